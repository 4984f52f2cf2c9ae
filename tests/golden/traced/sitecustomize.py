"""Python imports this at its start when its folder is on PYTHONPATH: writes down each file of ours that is entered.

One line for each change from file to file, in the main thread: number of the process, path. In child processes too.
"""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

LOG, ROOT = "JOURNEY_LOG", "JOURNEY_ROOT"
FOLDER = str(Path(__file__).parent)
PACKAGES = ("runner", "scenejobs", "function_app", "serve", "watch")

_start: Any = subprocess.Popen.__init__


def _start_traced(self: Any, *args: Any, env: Any = None, **options: Any) -> None:
    env = dict(os.environ if env is None else env)
    path = [entry for entry in env.get("PYTHONPATH", "").split(os.pathsep) if entry and entry != FOLDER]
    same = {name: os.environ[name] for name in (LOG, ROOT)}
    _start(self, *args, env={**env, **same, "PYTHONPATH": os.pathsep.join([FOLDER, *path])}, **options)


def importing(frame: FrameType | None) -> bool:
    """Is this called while a module is imported: a class body, a decorator, a table?"""
    while frame is not None:
        if frame.f_code.co_filename == "<frozen importlib._bootstrap>":
            return True
        frame = frame.f_back
    return False


def trace(log: str, root: str) -> None:
    """From now on, whatever this process calls."""
    out = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    folders = tuple(f"{root}/{package}/" for package in PACKAGES)
    paths: dict[CodeType, str] = {}
    last = ""

    def entered(frame: FrameType, event: str, _: Any) -> None:
        nonlocal last
        if event != "call" or frame.f_code.co_name == "<module>":
            return
        code = frame.f_code
        path = paths.get(code)
        if path is None:
            name = code.co_filename
            path = paths[code] = name[len(root) + 1 :] if name.startswith(folders) else ""
        if path and path != last and not importing(frame):
            last = path
            os.write(out, f"{os.getpid()} {path}\n".encode())

    sys.setprofile(entered)
    subprocess.Popen.__init__ = _start_traced  # type: ignore[method-assign]


if "GOLDEN_NOW" in os.environ and LOG in os.environ:
    runpy.run_path(str(Path(FOLDER).with_name("fixed") / "sitecustomize.py"))  # only one of that name is imported
if LOG in os.environ:
    trace(os.environ[LOG], os.environ[ROOT])
