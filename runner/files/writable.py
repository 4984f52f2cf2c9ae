"""Asked before any work: can a job write what it writes beside its results, the workspace and compiled kernels?"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from runner.paths import ROOT
from scenejobs.errors import ConfigurationError

KERNELS = ("raster", "training", "quality")  # folders of `runner` that have one named `kernels`


def check(base: str, backend: str, env: Mapping[str, str]) -> Path:
    """The workspace, when it and the place for compiled code can be written; "mock" compiles nothing.

    Raises ConfigurationError.
    """
    folder = workspace(base)
    if backend != "mock":
        compiled_code(env)
    return folder


def workspace(base: str) -> Path:
    """The folder of all workspaces, made where it is missing; "": the system's. Raises ConfigurationError."""
    try:
        folder = Path(base or tempfile.gettempdir())
    except FileNotFoundError:  # no usual place can be written; the system would name the current folder
        folder = Path(os.environ.get("TMPDIR") or "/tmp")
    if reason := _why_not(folder):
        raise ConfigurationError(
            f"the workspace {folder} cannot be used: {reason}",
            advice=f"set TEMP_PATH to a folder that is writable for user {os.getuid()} "
            f"(docker run --tmpfs {folder}:uid={os.getuid()})",
        )
    return folder


def compiled_code(env: Mapping[str, str]) -> Path:
    """Where numba keeps what it compiled. Raises ConfigurationError: it would refuse to load the kernels, after poses.

    The places and their order are numba's (numba/core/caching.py, `CacheImpl._locator_classes`): NUMBA_CACHE_DIR,
    beside the module, the user's folder.
    """
    wanted = env.get("NUMBA_CACHE_DIR", "")
    beside = [ROOT / "runner" / name / "kernels" / "__pycache__" for name in KERNELS]
    home = env.get("HOME") or os.path.expanduser("~")
    of_user = Path(env.get("XDG_CACHE_HOME", f"{home}/.cache")) / "numba"
    places = [[Path(wanted)]] if wanted else []
    told = []
    for folders in [*places, beside, [of_user]]:
        refused = [(folder, reason) for folder in folders if (reason := _why_not(folder))]
        if not refused:
            return folders[0]
        told += refused
    raise ConfigurationError(
        f"compiled code cannot be kept in {told[0][0]}: {told[0][1]}",
        advice=f"set NUMBA_CACHE_DIR to a folder that this user ({os.getuid()}) can write to",
    )


def _why_not(folder: Path) -> str:
    """Why no file can be made there, in the system's words; "" where one can. The folder is made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return ""
    except OSError as exc:
        return exc.strerror or str(exc)
