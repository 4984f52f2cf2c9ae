"""The child process that runs pycolmap: `python -m runner.poses.colmap.process ORDER.json`.

pycolmap can end a whole process (SIGABRT from a failed check, a crash, memory), so nothing else lives in this one. It
reads an order (`requests.py`), writes the answer, prints one JSON line per step of progress, and ends when its parent
does.
"""

from __future__ import annotations

import os
import sys
import threading
import zlib  # noqa: F401 - must be loaded before pycolmap, else Pillow's PNG writer frees its memory in another zlib
from pathlib import Path
from typing import assert_never

import msgspec
import pycolmap

from runner.files.atomic import write_atomically
from runner.poses.colmap.features import extract
from runner.poses.colmap.lenses.undistort import undistort
from runner.poses.colmap.mapping import cut, find_centres, reconstruct, rescale
from runner.poses.colmap.matching import choose, fix_lenses, forget_matches, match
from runner.poses.colmap.probe import probe
from runner.poses.colmap.requests import (
    AnyRequest,
    ChoosePairs,
    Cut,
    Extract,
    FindCentres,
    FixLenses,
    ForgetMatches,
    Match,
    Message,
    Order,
    Probe,
    Reconstruct,
    Register,
    Rescale,
    TakeOver,
    Undistort,
)
from runner.poses.colmap.reuse import take_over
from runner.poses.colmap.supplied_cameras import register
from runner.sandbox import lockdown, seccomp

ORPHANED = 75  # exit code when the parent is gone


def main(order_path: Path) -> None:
    """Runs one request; an exception ends the process with its traceback on stderr."""
    order = msgspec.json.decode(order_path.read_bytes(), type=Order)
    # The images were made by a process that had read an untrusted file: no network, no programs, no other folder.
    lockdown.complete([Path(order.workspace)], read=None, rules=seccomp.NO_NETWORK)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    pycolmap.logging.minloglevel = 2
    pycolmap.set_random_seed(order.request.seed)
    write_atomically(Path(order.result), [msgspec.json.encode(answer(order.request))])


def answer(request: AnyRequest) -> Message:
    """An answer of type `request.answer`."""
    match request:
        case TakeOver():
            return take_over(request)
        case Extract():
            return extract(request)
        case Probe():
            return probe(request)
        case ChoosePairs():
            return choose(request)
        case Match():
            return match(request)
        case ForgetMatches():
            return forget_matches(request)
        case FixLenses():
            return fix_lenses(request)
        case Reconstruct():
            return reconstruct(request)
        case Register():
            return register(request)
        case Cut():
            return cut(request)
        case FindCentres():
            return find_centres(request)
        case Rescale():
            return rescale(request)
        case Undistort():
            return undistort(request)
    assert_never(request)


def _end_with_parent() -> None:
    """The parent holds the other end of stdin; it closes when the parent dies, however it dies."""
    while os.read(0, 1):  # not sys.stdin: its lock, held here, would abort the interpreter at a normal end
        pass
    os._exit(ORPHANED)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
