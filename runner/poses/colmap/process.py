"""The child process that runs pycolmap: `python -m runner.poses.colmap.process REQUEST.json`.

pycolmap can end a whole process (SIGABRT from a failed check, a crash, memory), so nothing else lives in this one. It
reads a request, writes `result` beside it, prints one JSON line per step of progress, and ends when its parent does.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import zlib  # noqa: F401 - must be loaded before pycolmap, else Pillow's PNG writer frees its memory in another zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pycolmap

from runner.files.atomic import write_atomically
from runner.poses.colmap.mapping import centers, cut, fit, place, reconstruct
from runner.poses.colmap.matching import extract, fix_lenses, forget_matches, match
from runner.poses.colmap.reuse import take_over
from runner.poses.colmap.undistort import undistort
from runner.sandbox import lockdown, seccomp

ORPHANED = 75  # exit code when the parent is gone


ACTIONS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    action.__name__: action
    for action in (
        take_over,
        extract,
        match,
        forget_matches,
        fix_lenses,
        reconstruct,
        place,
        cut,
        centers,
        fit,
        undistort,
    )
}


def main(request_path: Path) -> None:
    """Runs one request; an exception ends the process with its traceback on stderr."""
    request = json.loads(request_path.read_text(encoding="utf-8"))
    # The pictures were made by a process that had read a stranger's file: no network, no programs, no other folder.
    lockdown.complete([Path(request["workspace"])], read=None, rules=seccomp.NO_NETWORK)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    pycolmap.logging.minloglevel = 2
    pycolmap.set_random_seed(request.get("seed", 0))
    result = ACTIONS[request["action"]](request)
    write_atomically(Path(request["result"]), [json.dumps(result).encode()])


def _end_with_parent() -> None:
    """The parent holds the other end of stdin; it closes when the parent dies, however it dies."""
    while os.read(0, 1):  # not sys.stdin: its lock, held here, would abort the interpreter at a normal end
        pass
    os._exit(ORPHANED)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
