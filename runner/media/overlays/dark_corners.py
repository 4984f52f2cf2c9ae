"""Dark corners: what a case, a hood or a lens that is too small for the sensor hides of every frame.

They are darker than the rest and change less, reach into a corner of the picture, and their soft border stays in place.
Night, a black ceiling or a shadow is as dark, but its border moves with the picture.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, find_objects, gaussian_filter, label

DARK = 0.25  # of the picture's median brightness ...
STEADY = 0.25  # ... and change over time
IN_PLACE = 0.85  # mean direction of the gradient along the border of a corner: 0.86 and more of four fifths of it
SHARE = (0.001, 0.15)  # of the picture
BORDER_PX, OUTER_PX = 3, 2  # at a long side of 160 px: the border of a region, and what of it is the picture's own
LIVELY = 4.0  # grey levels that the median pixel changes: in less motion nothing can be told
SOFT = 1.0  # px, grey levels: blur, and a gradient that is none
MARGIN_PX = 4  # at 160 px: where the corner fades into the picture


def dark_corners(pictures: Sequence[NDArray[np.float32]]) -> NDArray[np.bool_] | None:
    """[height, width], None where there are none. pictures: brightness 0 to 255, long side about 160 px."""
    stack = np.stack([gaussian_filter(picture, SOFT, mode="nearest") for picture in pictures])
    mean, change = stack.mean(axis=0), stack.std(axis=0)
    if np.median(change) < LIVELY:
        return None
    gy, gx = np.gradient(stack, axis=(1, 2))
    scale = 1 / np.maximum(np.hypot(gx, gy), SOFT)
    in_place = np.hypot((gx * scale).mean(axis=0), (gy * scale).mean(axis=0))
    pieces, _ = label((mean < DARK * np.median(mean)) & (change < STEADY * np.median(change)))
    inner = np.zeros(mean.shape, bool)
    inner[OUTER_PX:-OUTER_PX, OUTER_PX:-OUTER_PX] = True
    hidden = np.zeros(mean.shape, bool)
    for number in range(1, len(find_objects(pieces)) + 1):
        piece = pieces == number
        border = binary_dilation(piece, iterations=BORDER_PX) & ~piece & inner
        corner = piece[0, 0] or piece[0, -1] or piece[-1, 0] or piece[-1, -1]
        if corner and SHARE[0] <= piece.mean() <= SHARE[1] and np.percentile(in_place[border], 20) > IN_PLACE:
            hidden |= binary_dilation(piece, iterations=MARGIN_PX)
    return hidden if hidden.any() else None
