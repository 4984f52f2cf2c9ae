"""Black edges that come and go: what a program that steadies a film, or keeps its horizon level, leaves beside each
picture it has shifted and turned. And the bars of photos that a program made square: those of films are cut off.

Such an edge is black, flat, and ends in a straight line, in another place in each frame. Dark things of the place end
raggedly, or are not flat, or lie on one side only: a hand trembles to both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation

BLACK, FLAT = 16, 8.0  # grey levels: of a pixel in it, with what compression adds; the mean of all of them
LEAST_DEPTH_PX, ALONG = 3, 0.15  # at a long side of 640 px: depth that counts, and for which share of the side
DEEPEST = 0.35  # of the picture
STEEPEST = 0.2  # px per px: 11 degrees
STRAIGHT_PX, STRAIGHT = 1.5, 0.7  # px from the line, by so many of the columns; at the others dark things go on
CONTRAST, BESIDE_PX = 24.0, 4  # grey levels, median; so far beyond the line
FRAMES = (4, 0.25)  # that have such edges, at least, and share of all
STAYS_PX = 3.0  # at a long side of 640 px: by so much and less, edges are bars
ON_BOTH = 2  # frames with an edge on one side, and with one on the side opposite
MARGIN = 0.006  # of the long side: what compression and the smoothing of the line spoil
ANCHORS = 12  # columns, any two of which may give the line


@dataclass(frozen=True)
class Edges:
    """Of the pictures of one camera."""

    masks: list[NDArray[np.bool_] | None]  # [height, width]: where it is black beyond its edges; None where it is not
    said: str = ""  # what they are, in words; "" where there are none
    move: bool = False  # they are those of a film that a program steadied, not bars


def moving_edges(pictures: Sequence[NDArray[np.uint8]]) -> Edges:
    """pictures: brightness [height, width], long side about 640 px, of the frames of one camera."""
    for name, seen in (("black", pictures), ("white", [255 - picture for picture in pictures])):
        masks, move = _found(seen)
        if any(mask is not None for mask in masks):
            steadied = f"{name} edges that move, as a program leaves that steadies a film,"
            return Edges(masks, steadied if move else f"{name} bars", move)
    return Edges([None] * len(pictures))


def _found(pictures: Sequence[NDArray[np.uint8]]) -> tuple[list[NDArray[np.bool_] | None], bool]:
    """Where each picture is black beyond its edges; whether these move."""
    lines = [[_line(np.rot90(picture, side)) for side in range(4)] for picture in pictures]
    sides = [sum(of_picture[side] is not None for of_picture in lines) for side in range(4)]
    count = sum(any(of_picture) for of_picture in lines)
    opposite = max(min(sides[side], sides[side + 2]) for side in (0, 1))
    if count < max(FRAMES[0], FRAMES[1] * len(pictures)) or opposite < ON_BOTH:
        return [None] * len(pictures), False
    masks = [_beyond(picture, of_picture) for picture, of_picture in zip(pictures, lines, strict=True)]
    starts = [[line[0] for of_picture in lines if (line := of_picture[side]) is not None] for side in range(4)]
    return masks, max(float(np.ptp(found)) for found in starts if found) > STAYS_PX


def _beyond(picture: NDArray[np.uint8], lines: Sequence[tuple[float, float] | None]) -> NDArray[np.bool_] | None:
    """lines: of each side, the next one counter-clockwise."""
    beyond = np.zeros(picture.shape, bool)
    for side, line in enumerate(lines):
        if line is not None:
            rows, columns = np.indices(np.rot90(picture, side).shape)
            beyond |= np.rot90(rows < line[0] + line[1] * columns, -side)
    if not beyond.any():
        return None
    wider: NDArray[np.bool_] = binary_dilation(beyond, iterations=max(2, round(MARGIN * max(picture.shape))))
    return wider


def _line(picture: NDArray[np.uint8]) -> tuple[float, float] | None:
    """Where the black along its top ends, as depth at the first column and slope."""
    height, width = picture.shape
    light = picture > BLACK
    depth = np.where(light.any(axis=0), light.argmax(axis=0), height)
    columns = np.flatnonzero((depth >= LEAST_DEPTH_PX) & (depth <= DEEPEST * height))
    if len(columns) < ALONG * width:
        return None
    anchors = columns[np.linspace(0, len(columns) - 1, ANCHORS).astype(int)]
    best, inliers = (0.0, 0.0), np.zeros(len(columns), bool)
    for one, other in combinations(anchors.tolist(), 2):
        slope = (depth[other] - depth[one]) / (other - one) if other > one else 0.0
        start = depth[one] - slope * one
        near = np.abs(depth[columns] - start - slope * columns) <= STRAIGHT_PX
        if abs(slope) <= STEEPEST and near.sum() > inliers.sum():
            best, inliers = (float(start), float(slope)), near
    if inliers.mean() < STRAIGHT:
        return None
    inside = columns[inliers]
    beside = np.minimum(depth[inside] + BESIDE_PX, height - 1)
    black = np.concatenate([picture[: depth[column], column] for column in inside.tolist()])
    if black.mean() > FLAT or np.median(picture[beside, inside].astype(float)) - black.mean() < CONTRAST:
        return None
    return best
