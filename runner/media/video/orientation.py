"""How a video is stored and how it is shown: the display matrix of its frames, as quarter turns and mirrors."""

from __future__ import annotations

import av
import numpy as np
from av.sidedata.sidedata import Type as SideDataType
from numpy.typing import NDArray

from runner.media.video.side_data import side_data

IDENTITY_MATRIX = (65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30)  # display matrix, 16.16 fixed point
MATRIX_BYTES = 36  # nine int32


def display_matrix(frame: av.VideoFrame) -> tuple[int, ...]:
    """[9] as FFmpeg has it; the identity where the frame states none."""
    data = side_data(frame, SideDataType.DISPLAYMATRIX)
    if data is None or len(data) < MATRIX_BYTES:
        return IDENTITY_MATRIX
    return tuple(int(value) for value in np.frombuffer(data[:MATRIX_BYTES], np.int32))


def is_quarter_turn(matrix: tuple[int, ...]) -> bool:
    """Are width and height exchanged?"""
    return abs(matrix[0]) < abs(matrix[1])


def upright(stored: NDArray[np.uint8], matrix: tuple[int, ...]) -> NDArray[np.uint8]:
    """Turns and mirrors a stored frame [height, width, ...] as the display matrix says: all eight orientations.

    The matrix maps stored (x, y) to shown (a x + c y, b x + d y), with a, b, _, c, d the first entries (QuickTime file
    format, "matrix structure"). Only quarter turns and mirrors are applied: phones write nothing else.
    """
    a, b, _, c, d = matrix[:5]
    shown = stored
    if is_quarter_turn(matrix):
        shown = np.swapaxes(stored, 0, 1)
        flip_x, flip_y = c < 0, b < 0
    else:
        flip_x, flip_y = a < 0, d < 0
    if flip_x:
        shown = shown[:, ::-1]
    if flip_y:
        shown = shown[::-1]
    return np.ascontiguousarray(shown)
