"""Which pictures to use where the user supplies poses: those with a pose first, then others as far as there is room."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from runner.media.captures import Take
from runner.poses.supplied.match import LEAST, Matcher
from runner.poses.supplied.read import Supplied


def with_poses(supplied: Supplied, takes: Sequence[Take], budget: int) -> list[list[int]] | None:
    """Of each take the pictures that have a pose, evenly thinned to the budget; None where too few have one.

    A video of which frames have poses gives no others; photos without a pose may be placed by the ones that have one.
    """
    photos = [clip.name for take in takes if take.is_photos for clip in take.clips]
    matcher = Matcher(supplied, photos)
    posed = [
        (number, index)
        for number, take in enumerate(takes)
        for index, frame in enumerate(take.frames())
        if matcher.find(frame) is not None
    ]
    if len(posed) < LEAST:
        return None
    kept = [posed[i] for i in np.unique(np.linspace(0, len(posed) - 1, min(budget, len(posed))).round().astype(int))]
    wanted: list[list[int]] = [[] for _ in takes]
    for number, index in kept:
        wanted[number].append(index)
    return wanted
