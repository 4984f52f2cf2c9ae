"""The courtyard while something moves in it, filmed at 640 x 480: see tests/moving_scenes.py."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.footage_cases.case import Case, Run, result, wrong_cameras
from tests.moving_scenes import RATE_FPS, filmed
from tests.videos import write_video

POINT = "13 what moves"
POSE_ERROR = 2.0  # per cent; without anything that moves 0.1
KINDS = {
    "nobody": "a walk around a table in a yard",
    "people-10": "the same, somebody walks by: a tenth of the picture",
    "people-25": "the same, three people cross it: a quarter of the picture",
    "people-40": "the same, three people close by: two fifths of the picture",
    "companion": "the same, somebody walks along at one place of the picture: a fifth of it",
    "water": "the same, the ground is water with waves: a quarter of the picture",
    "screen": "the same, two screens show a film of another yard: a sixth of the picture",
}


def made(kind: str, folder: Path) -> Sequence[Path]:
    """The clip."""
    return [write_video(folder / f"{kind}.mp4", filmed(kind).pictures, fps=RATE_FPS, crf=16)]


def truth(kind: str, _: Run) -> Mapping[tuple[str, int], NDArray[np.float64]]:
    """The true cameras."""
    return {(f"{kind}.mp4", number): camera.world_to_camera for number, camera in enumerate(filmed(kind).cameras)}


def right(kind: str) -> Callable[[Run], str]:
    """A result with cameras that are where they were, doubtful or not: a stranger in the picture may be doubted."""

    def wrong(run: Run) -> str:
        if not run.metrics:
            return result(run)
        return wrong_cameras(run, truth(kind, run), POSE_ERROR)

    return wrong


CASES = tuple(
    Case(f"moving-{kind}", POINT, what, partial(made, kind), right(kind), truth=partial(truth, kind))
    for kind, what in KINDS.items()
)
