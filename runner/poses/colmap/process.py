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
from runner.poses.colmap.requests import (
    AnyRequest,
    ChoosePairs,
    Cut,
    Extract,
    FindBent,
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
    """An answer of type `request.answer`.

    Each request loads what it needs and no more: all of it is half a CPU second, six times per scene.
    """
    match request:
        case TakeOver():
            from runner.poses.colmap.reuse import take_over

            return take_over(request)
        case Extract():
            from runner.poses.colmap.features.extract import extract

            return extract(request)
        case Probe():
            from runner.poses.colmap.probe import probe

            return probe(request)
        case FindBent():
            from runner.poses.colmap.bending import find_bent

            return find_bent(request)
        case ChoosePairs() | Match() | ForgetMatches() | FixLenses():
            return _about_pairs(request)
        case Reconstruct() | Cut() | FindCentres() | Rescale():
            return _about_models(request)
        case Register():
            from runner.poses.colmap.supplied_cameras import register

            return register(request)
        case Undistort():
            from runner.poses.colmap.lenses.undistort import undistort

            return undistort(request)
    assert_never(request)


def _about_pairs(request: ChoosePairs | Match | ForgetMatches | FixLenses) -> Message:
    from runner.poses.colmap import matching

    match request:
        case ChoosePairs():
            return matching.choose(request)
        case Match():
            return matching.match(request)
        case ForgetMatches():
            return matching.forget_matches(request)
        case FixLenses():
            return matching.fix_lenses(request)
    assert_never(request)


def _about_models(request: Reconstruct | Cut | FindCentres | Rescale) -> Message:
    from runner.poses.colmap import mapping

    match request:
        case Reconstruct():
            return mapping.reconstruct(request)
        case Cut():
            return mapping.cut(request)
        case FindCentres():
            return mapping.find_centres(request)
        case Rescale():
            return mapping.rescale(request)
    assert_never(request)


def _end_with_parent() -> None:
    """The parent holds the other end of stdin; it closes when the parent dies, however it dies."""
    while os.read(0, 1):  # not sys.stdin: its lock, held here, would abort the interpreter at a normal end
        pass
    os._exit(ORPHANED)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
