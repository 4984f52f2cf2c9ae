"""Which frames to use where the user supplies poses: those with a pose first, then others as far as there is room."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from runner.poses.supplied.match import LEAST, Matcher
from runner.poses.supplied.read import Supplied
from runner.scene.frames import Frame


def with_poses(supplied: Supplied, captures: Sequence[Sequence[Frame]], budget: int) -> list[list[int]] | None:
    """Of each capture the indices of the frames that have a pose, evenly thinned to the budget; None where too few
    have one. captures: the frames of each camera, of one clip or set of photos."""
    photos = [frame.photo for frames in captures for frame in frames if frame.photo is not None]
    matcher = Matcher(supplied, photos)
    posed = [
        (number, index)
        for number, frames in enumerate(captures)
        for index, frame in enumerate(frames)
        if matcher.find(frame) is not None
    ]
    if len(posed) < LEAST:
        return None
    kept = [posed[i] for i in np.unique(np.linspace(0, len(posed) - 1, min(budget, len(posed))).round().astype(int))]
    wanted: list[list[int]] = [[] for _ in captures]
    for number, index in kept:
        wanted[number].append(index)
    return wanted
