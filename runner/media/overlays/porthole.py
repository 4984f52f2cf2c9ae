"""A porthole: a round window in the middle of every picture with black around it, too small for the disc of a lens.

A viewfinder, the tube of a telescope, a round frame that an editor has drawn: what is around it is no part of the
scene, and what is inside comes through a usual lens.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from runner.media.lenses.shape import QUIET, STAYS, change_outside, disc

MOST = 0.75  # of the pictures have to show it
INSIDE = 0.96  # of the radius: the rim itself never moves


def porthole(pictures: Sequence[NDArray[np.float32]]) -> NDArray[np.bool_] | None:
    """[height, width] what is around it; None: there is none. pictures: brightness 0 to 255, long side about 160 px."""
    found = [place for picture in pictures if (place := disc(picture)) is not None]
    height, width = pictures[0].shape
    if len(found) < MOST * len(pictures) or np.ptp(found, axis=0).max() > STAYS * width:
        return None
    x, y, radius = (float(number) for number in np.median(found, axis=0))
    if np.median([change_outside((x, y, radius), *pair) for pair in pairwise(pictures)]) > QUIET:
        return None
    v, u = np.mgrid[0:height, 0:width] + 0.5
    return np.asarray(np.hypot(u - x, v - y) > INSIDE * radius)
