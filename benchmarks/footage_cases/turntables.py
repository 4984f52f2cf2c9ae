"""Something that turns on a plate before a camera on a tripod: see tests/turntables.py."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.footage_cases.case import Case, Run, result, wrong_cameras
from tests.turntables import RATE_FPS, turned
from tests.videos import write_video

POINT = "13 what moves"
POSE_ERROR = 3.0  # per cent
FILMS: Mapping[str, tuple[str, bool]] = {
    "turntable": ("things on a turntable, a camera on a tripod, a courtyard behind them", False),
    "turntable-plain": ("the same before a plain wall", True),
}


def made(name: str, folder: Path) -> Sequence[Path]:
    """The film."""
    return [write_video(folder / f"{name}.mp4", turned(plain=FILMS[name][1]).pictures, fps=RATE_FPS, crf=18)]


def truth(name: str, _: Run) -> Mapping[tuple[str, int], NDArray[np.float64]]:
    """The true cameras, as what turns sees them."""
    cameras = turned(plain=FILMS[name][1]).cameras
    return {(f"{name}.mp4", number): camera.world_to_camera for number, camera in enumerate(cameras)}


def right(name: str) -> Callable[[Run], str]:
    """A result that nobody needs to doubt, of what turns alone."""

    def wrong(run: Run) -> str:
        if said := result(run):
            return said
        if not any("something turns before it" in warning for warning in run.warnings()):
            return "it does not say that what stands still is ignored"
        return wrong_cameras(run, truth(name, run), POSE_ERROR)

    return wrong


CASES = tuple(
    Case(name, POINT, what, partial(made, name), right(name), arguments=("--preset", "smoke", "--frames", "48"),
         truth=partial(truth, name))
    for name, (what, _) in FILMS.items()
)  # fmt: skip
