"""A 360-degree picture (equirectangular) as four ordinary ones: what a pinhole camera sees ahead, right, behind, left.

Each view is 90 degrees wide and high, so that the four together go once around the horizon and nothing is seen twice by
one of them. What is straight up and down is left out: there are the sky, and whoever holds the camera.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runner.media.lenses.shape import Shape

VIEW_DEG = 90.0


@dataclass(frozen=True)
class Reframing:
    """How views are cut out of equirectangular pictures of one size."""

    width: int  # of the whole picture, px
    height: int
    side: int  # of a view, px

    @property
    def focal_px(self) -> float:
        """Of a view."""
        return self.side / 2 / math.tan(math.radians(VIEW_DEG / 2))

    def view(self, pixels: NDArray[np.uint8], quarter_turns: int) -> NDArray[np.uint8]:
        """[side, side, 3] of a whole picture [height, width, 3], bilinear."""
        place = (np.arange(self.side) + 0.5 - self.side / 2) / self.focal_px
        x, y = place[None, :], place[:, None]
        column = (np.arctan(x) / (2 * np.pi) + 0.5 + quarter_turns / 4) * self.width - 0.5
        row = (np.arctan2(y, np.hypot(x, 1.0)) / np.pi + 0.5) * self.height - 0.5
        column = np.broadcast_to(column, row.shape)
        left, top = np.floor(column).astype(np.int32), np.floor(row).astype(np.int32)
        across, down = (column - left).astype(np.float32)[..., None], (row - top).astype(np.float32)[..., None]
        lower = np.minimum(top + 1, self.height - 1)
        one, two = left % self.width, (left + 1) % self.width
        above = pixels[top, one] * (1 - across) + pixels[top, two] * across
        below = pixels[lower, one] * (1 - across) + pixels[lower, two] * across
        cut: NDArray[np.uint8] = np.rint(above * (1 - down) + below * down).astype(np.uint8)
        return cut


def reframing(width: int, height: int, most: int) -> Reframing:
    """For whole pictures of this size: views as sharp in their middle as these are, at most `most` px wide."""
    return Reframing(width, height, max(2, min(most, side_of(width))))


def side_of(width: int) -> int:
    """Of a view that is as sharp in its middle as the whole picture is."""
    return 2 * round(width / (2 * np.pi) * math.tan(math.radians(VIEW_DEG / 2)))


def width_for(side: int) -> int:
    """Of a whole picture whose views have this side."""
    return 2 * math.ceil(side / 2 / math.tan(math.radians(VIEW_DEG / 2)) * np.pi)


def written_side(projection: str, long_side: int) -> int:
    """Long side of a frame as the decoder writes it, where the frames of the scene have `long_side`, px."""
    return width_for(long_side) if projection == Shape.EQUIRECTANGULAR else long_side
