"""What covers a part of the picture's edge in every frame: a finger, a strap, the rim of a window.

It changes little while the picture moves, and the change begins at its border. In a plain part of the scene (sky, a
road) less and less changes towards its middle, and whatever is seen at its border moves on. The border itself says
little: it may be soft, and now brighter and now darker than what is seen beside it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, gaussian_filter, label

STEADY, HALFWAY = 0.25, 0.5  # of the picture's median change
# The part that changes less than HALFWAY / the one that changes less than STEADY. Fingers with a sharp border and with
# a soft one, over walk and fox: 1.02 to 1.28. The sky and the road of these films: 2.2 and more.
GROWS = 1.3
SHARE = (0.008, 0.15)  # of the picture
# Grey levels that the median pixel changes; in less motion nothing can be told. In up to three seconds of a walk
# (9 to 15) the path stays as a finger would. Over all frames: walk 26, fox 29 to 45.
LIVELY = 18.0
FEWEST = 12  # pictures
BLUR_PX = 1.0  # at a long side of 160 px
MARGIN_PX = 4  # at 160 px: where it fades into the picture


def covered_edges(pictures: Sequence[NDArray[np.float32]]) -> NDArray[np.bool_] | None:
    """[height, width], None where there are none. pictures: brightness 0 to 255, long side about 160 px."""
    if len(pictures) < FEWEST:
        return None
    change = np.stack([gaussian_filter(picture, BLUR_PX, mode="nearest") for picture in pictures]).std(axis=0)
    usual = float(np.median(change))
    if usual < LIVELY:
        return None
    wide, count = label(change < HALFWAY * usual)
    hidden = np.zeros(change.shape, bool)
    for number in range(1, count + 1):
        piece = wide == number
        steady = piece & (change < STEADY * usual)
        if (
            SHARE[0] <= steady.mean() <= SHARE[1]
            and piece.sum() <= GROWS * steady.sum()
            and _is_at_an_edge(piece)
        ):  # fmt: skip
            hidden |= binary_dilation(piece, iterations=MARGIN_PX)
    return hidden if hidden.any() else None


def _is_at_an_edge(piece: NDArray[np.bool_]) -> bool:
    """Whether it reaches an edge, and no two that lie opposite: the sky above the sea does."""
    top, bottom, left, right = piece[0].any(), piece[-1].any(), piece[:, 0].any(), piece[:, -1].any()
    return bool((top or bottom or left or right) and not (top and bottom) and not (left and right))
