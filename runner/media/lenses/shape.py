"""What kind of picture a camera with more than a usual lens makes, told from the pixels alone.

An equirectangular picture (360 degrees across, 180 degrees down) is twice as wide as high, its left edge goes on at its
right one, and its uppermost and lowest row are each one single point. A circular fisheye is a disc in front of black;
raw recordings of 360-degree cameras are two such discs side by side. Nothing else has all of these marks at once, and
each is asked for in most of the frames that are looked at. Of pictures for two eyes see `two_eyes.py`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from runner.media.lenses.two_eyes import holds_two_eyes

Grey = NDArray[np.float32]


class Shape(StrEnum):
    """Of the pictures of one clip or photo."""

    FLAT = ""  # usual: what the lens sees fills the picture
    EQUIRECTANGULAR = "equirectangular"
    FISHEYE = "fisheye"  # one disc
    TWO_DISCS = "two discs"  # raw, one for each lens of a 360-degree camera
    TWO_EYES = "two eyes"  # 3D: a picture for each eye, side by side or one above the other


LOOKED_AT = 10  # frames of a clip that show something, at most
APART_S = 0.5  # between two of them, at least
MOST = 0.75  # of them have to have the marks
ASPECT = (1.97, 2.03)  # width / height of what may be equirectangular or two discs
EDGES_DIFFER = 1.6  # left edge from right edge, as a factor of neighbouring columns
FAR_DIFFER = 0.6  # left edge from right edge, as a share of columns that are far apart
POLE_VARIES = 0.3  # from column to column of the uppermost and the lowest row, as a share of the rows in the middle
NOISE = 2.0  # grey levels: compression and rounding
CONTRAST = 8.0  # grey levels: a picture with less says nothing
BLACK = 20.0  # grey level at most, outside of a disc
DISC = (0.7, 1.06)  # diameter of a disc / height of its part of the picture
TOUCHES = 0.9  # diameter of the disc of a lens / shorter side of the picture, at least: less is a porthole or a beam
QUIET = 0.2  # grey levels that blocks of BLOCK_PX outside of a disc change, at most: a dark room around a beam changes
BLOCK_PX = 9  # more, and the noise of a sensor is none in their mean
DISC_DEG = 190.0  # what a lens usually sees that draws a disc
STAYS = 0.02  # widths: by so much the disc of a lens seems to move where things at its rim are dark
CENTRED = 0.08  # widths: its middle from that of the picture
DIMMED = 0.4  # brightness near the rim / in the middle: less is the light of a torch, which fades outwards
CLEAR_OF = 1.04  # radii from the middle: there it is black
ROUND = 0.94  # of the pixels are on the side of the disc's edge where they belong


@dataclass
class ShapeWatch:
    """Looks at some frames of a clip, the first that show something."""

    found: list[Shape] = field(default_factory=list)
    discs: list[tuple[float, float, float]] = field(default_factory=list)  # x, y, radius in widths of the picture
    changes: list[float] = field(default_factory=list)  # grey levels, outside of discs, from one picture to the next
    _next_s: float = 0.0
    _last: Grey | None = None  # the last disc

    def wants(self, timestamp_s: float) -> bool:
        return len(self.found) < LOOKED_AT and timestamp_s >= self._next_s

    def read(self, luma: NDArray[np.uint8], timestamp_s: float) -> None:
        """luma [height, width], shrunk."""
        if self.wants(timestamp_s):
            self._next_s = timestamp_s + APART_S
            if (shape := shape_of(luma)) is None:
                return
            self.found.append(shape)
            grey = luma.astype(np.float32)
            if shape is Shape.FISHEYE and (found := disc(grey)) is not None:
                x, y, radius = (length / luma.shape[1] for length in found)
                self.discs.append((x, y, radius))
                if self._last is not None:
                    self.changes.append(change_outside(found, self._last, grey))
                self._last = grey

    def disc_focal_px(self, width: int) -> float | None:
        """Of a lens whose picture is a disc and that sees DISC_DEG, where pictures are `width` px wide."""
        radius = float(np.median(self.discs, axis=0)[2]) if self.discs else 0.0
        return radius * width / math.radians(DISC_DEG / 2) if radius else None

    @property
    def verdict(self) -> Shape:
        shape = most_common(self.found)
        if shape is Shape.FISHEYE and np.ptp(self.discs, axis=0).max() > STAYS:
            return Shape.FLAT  # a round thing before black, and no lens
        if shape is Shape.FISHEYE and self.changes and np.median(self.changes) > QUIET:
            return Shape.FLAT  # the light of a torch: dimly, the scene goes on around it
        return shape


def most_common(found: Sequence[Shape]) -> Shape:
    """What most of the frames are."""
    for shape in (Shape.EQUIRECTANGULAR, Shape.TWO_DISCS, Shape.TWO_EYES, Shape.FISHEYE):
        if found and sum(one == shape for one in found) >= MOST * len(found):
            return shape
    return Shape.FLAT


def shape_of(luma: NDArray[np.uint8]) -> Shape | None:
    """What one picture [height, width] looks like; None: it is too dark or too even to say."""
    grey = luma.astype(np.float32)
    if float(grey.std()) < CONTRAST:
        return None
    height, width = grey.shape
    if ASPECT[0] <= width / height <= ASPECT[1]:
        if all(disc(half) is not None for half in (grey[:, : width // 2], grey[:, width // 2 :])):
            return Shape.TWO_DISCS
        if is_equirectangular(grey):
            return Shape.EQUIRECTANGULAR
    if holds_two_eyes(luma):
        return Shape.TWO_EYES
    found = disc(grey)
    touches = found is not None and 2 * found[2] >= TOUCHES * min(height, width)
    return Shape.FISHEYE if touches else Shape.FLAT


def is_equirectangular(grey: Grey) -> bool:
    """Does its left edge go on at its right one, and is each pole one point? grey: [height, width], 2:1."""
    height, width = grey.shape
    inner = grey[height // 6 : height - height // 6]

    def apart(columns: int) -> float:
        """Mean difference of columns that far apart, over the whole width."""
        return float(np.abs(inner - np.roll(inner, columns, axis=1))[:, columns:].mean())

    seam = float(np.abs(inner[:, 0] - inner[:, -1]).mean())
    edges = float(inner[:, [0, -1]].std(axis=0).min())
    closes = seam <= NOISE + EDGES_DIFFER * apart(1) and seam <= FAR_DIFFER * apart(width // 5)
    # Black bars are even and alike as well; the edges of a picture of something are not even.
    drawn = edges >= 0.3 * float(inner.std(axis=0).mean()) and edges >= CONTRAST / 2
    poles = all(float(np.abs(np.diff(row)).mean()) <= NOISE / 2 + POLE_VARIES * apart(1) for row in (grey[0], grey[-1]))
    return closes and drawn and poles


def disc(grey: Grey) -> tuple[float, float, float] | None:
    """(x, y, radius) in px of the one disc that the picture [height, width] is, black around it; None: it is none."""
    height, width = grey.shape
    lit = grey > BLACK
    if not 0.2 <= float(lit.mean()) <= 0.9:
        return None
    across, down = np.flatnonzero(lit.mean(axis=0) > 0.02), np.flatnonzero(lit.mean(axis=1) > 0.02)
    if len(across) < 8 or len(down) < 8:
        return None
    x, y = (across[0] + across[-1] + 1) / 2, (down[0] + down[-1] + 1) / 2
    radius = (across[-1] - across[0] + 1) / 2  # up and down it may be cut off by the picture
    if max(abs(x - width / 2), abs(y - height / 2)) > CENTRED * width:
        return None
    if not DISC[0] * min(height, width) <= 2 * radius <= DISC[1] * max(height, width) or 2 * radius > 1.6 * height:
        return None
    distance = _distance((x, y), (height, width))
    outside, rim = distance > CLEAR_OF * radius, (distance > 0.8 * radius) & (distance < 0.94 * radius)
    if outside.mean() < 0.05 or not rim.any():
        return None
    if float(np.median(grey[rim])) < DIMMED * float(np.median(grey[distance < radius / 2])):
        return None
    inside_lit = float(lit[rim].mean())  # things at the rim may be dark
    outside_dark = 1 - float(lit[outside].mean())
    even = float(grey[outside].std()) < CONTRAST / 2
    return (float(x), float(y), float(radius)) if outside_dark >= ROUND and even and inside_lit >= 0.6 else None


def change_outside(found: tuple[float, float, float], one: Grey, other: Grey) -> float:
    """Grey levels by which two pictures [height, width] differ around their disc, in blocks."""
    x, y, radius = found
    outside = (_distance((x, y), one.shape) > CLEAR_OF * radius).astype(np.float32)
    within = np.maximum(_block_means(outside), 1e-6)
    blocks = _block_means((other - one) * outside) / within
    return float(np.abs(blocks[outside > 0]).mean())


def _block_means(values: Grey) -> NDArray[np.float64]:
    """[height, width] mean of the block around each pixel. Not by scipy: its libraries are more than the decoder may
    need of memory, and take half a second in each of its processes."""
    before, after = BLOCK_PX // 2, BLOCK_PX - BLOCK_PX // 2
    means = np.pad(values.astype(np.float64), (before, after - 1), "symmetric")
    for axis in (0, 1):
        sums = np.insert(np.cumsum(means, axis=axis), 0, 0.0, axis=axis)
        count = values.shape[axis]
        means = (sums.take(range(BLOCK_PX, BLOCK_PX + count), axis) - sums.take(range(count), axis)) / BLOCK_PX
    return means


def _distance(middle: tuple[float, float], size: tuple[int, ...]) -> NDArray[np.float64]:
    v, u = np.mgrid[0 : size[0], 0 : size[1]] + 0.5
    return np.asarray(np.hypot(u - middle[0], v - middle[1]))
