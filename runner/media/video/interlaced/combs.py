"""Are pictures interlaced that do not say so? As films of old camcorders that an editor has exported as progressive.

In such a picture every other line is of another moment: what moves differs from the line above and from the one below
in the same direction, while lines of one field go on smoothly. Noise does both alike, and a picture of one moment has
fewer such lines the closer they are: real films had 0.6 times as many at most, combed ones thousands of times.
"""

from __future__ import annotations

from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

STANDS_OUT = 12.0  # grey levels, of 255, from the lines on both sides
LEAST_SHARE = 0.01  # of the pixels, that stand out from the next lines ...
TIMES = 3.0  # ... and so many times those that stand out from the next lines of their own field
COLUMNS = 120  # are looked at
MOST_LINES = 1088  # nothing larger is interlaced


def is_combed(frame: av.VideoFrame) -> bool:
    """Whether so much of it moves that its fields tell."""
    luma = _luma(frame)
    if luma is None:
        return False
    own = luma[2:-2]
    next_lines = _share(own, luma[1:-3], luma[3:-1])
    return next_lines >= LEAST_SHARE and next_lines >= TIMES * _share(own, luma[:-4], luma[4:])


def _share(lines: NDArray[np.float32], above: NDArray[np.float32], below: NDArray[np.float32]) -> float:
    """Of the pixels, that stand out from the lines above and below in the same direction."""
    up, down = lines - above, lines - below
    return float(((np.minimum(np.abs(up), np.abs(down)) > STANDS_OUT) & (up * down > 0)).mean())


def _luma(frame: av.VideoFrame) -> NDArray[np.float32] | None:
    """[height, COLUMNS or more] 0..255; None where the first plane is something else than brightness."""
    kind = frame.format
    if (
        not 16 <= frame.height <= MOST_LINES
        or not kind.name.startswith(("yuv", "nv", "gray", "p01"))
        or kind.is_rgb
        or not frame.planes
    ):
        return None
    bits = kind.components[0].bits
    plane: Any = frame.planes[0]
    kind_of = np.dtype(np.uint8) if bits <= 8 else np.dtype("<u2")
    lines = np.frombuffer(plane, kind_of).reshape(plane.height, plane.line_size // kind_of.itemsize)
    scale = 1.0 if bits <= 8 else 255.0 / ((1 << (16 if kind.name.startswith("p01") else bits)) - 1)
    return lines[:, : plane.width : max(1, plane.width // COLUMNS)].astype(np.float32) * np.float32(scale)
