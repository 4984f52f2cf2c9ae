"""Which Gaussians touch which tile, front to back, and on which rows."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from runner.raster.compiled import F32, I32, I64, U8, kernel
from runner.raster.constants import (
    CONIC_XX,
    CONIC_XY,
    CONIC_YY,
    CUTOFF,
    EXTENT_X,
    EXTENT_Y,
    TILE_HEIGHT,
    TILE_WIDTH,
    X,
    Y,
)

SLACK_PX = 1e-3  # spans are widened by this, so that rounding never drops a pixel the tile kernels would draw


def front_to_back(splats: NDArray[np.float32], depths: NDArray[np.float32]) -> NDArray[np.int64]:
    """Indices of the Gaussians that are seen, nearest first, ties by index.

    Depth ties are common in float32 and a stable order is what makes the same seed give the same file. The bits of a
    positive float sort like the float, so depth and index fit one integer: no two keys are equal, and numpy's fast
    unstable sort does.
    """
    seen = np.flatnonzero(splats[:, EXTENT_X] > 0.0)
    keys = depths[seen].view(np.uint32).astype(np.uint64) << np.uint64(32) | seen.astype(np.uint64)
    keys.sort()
    return (keys & np.uint64(0xFFFFFFFF)).astype(np.int64)


@kernel
def _span(splat: F32, left: float, right: float) -> tuple[float, float]:
    """Lowest and highest y, relative to the centre, of the ellipse sigma <= CUTOFF between two x (relative to it too).

    That part is convex, and its upper edge is concave in x: the highest point is the ellipse's top, or where the top
    is outside [left, right], the edge at the nearer end. The ellipse is symmetric: the lowest point likewise.
    """
    a, b, c = float(splat[CONIC_XX]), float(splat[CONIC_XY]), float(splat[CONIC_YY])
    extent_x, extent_y = float(splat[EXTENT_X]), float(splat[EXTENT_Y])
    det = a * c - b * b
    if det <= 0.0:  # a needle whose rounded conic is no ellipse any more
        return -extent_y, extent_y
    left, right = max(left, -extent_x), min(right, extent_x)
    top = -b / a * extent_y
    at = min(max(top, left), right)
    high = (-b * at + math.sqrt(max(0.0, 2.0 * splat[CUTOFF] * c - det * at * at))) / c
    at = min(max(-top, left), right)
    low = (-b * at - math.sqrt(max(0.0, 2.0 * splat[CUTOFF] * c - det * at * at))) / c
    return low, high


@kernel
def bin_tiles(order: I64, splats: F32, width: int, height: int) -> tuple[I64, I32, U8]:
    """Lists of Gaussians per tile by a counting sort: `order` is front to back, so every list is.

    A Gaussian is listed only in tiles its ellipse touches, with the rows it touches there (the idea of Speedy-Splat's
    AccuTile, Hanson et al. 2024, by columns of tiles and down to rows).

    Returns starts [tiles + 1] int64, ids [M] int32 and rows [M, 2] uint8 (first and last + 1 within the tile): the
    Gaussians of tile t are ids[starts[t] : starts[t + 1]]. Tiles are numbered row by row.
    """
    tiles_x = (width + TILE_WIDTH - 1) // TILE_WIDTH
    tiles_y = (height + TILE_HEIGHT - 1) // TILE_HEIGHT
    boxes = np.empty((order.shape[0], 2), np.int32)  # first and last + 1 column of tiles
    upper_bound = 0
    for n in range(order.shape[0]):
        splat = splats[order[n]]
        boxes[n, 0] = max(0, math.floor((splat[X] - splat[EXTENT_X]) / TILE_WIDTH))
        boxes[n, 1] = min(tiles_x, math.floor((splat[X] + splat[EXTENT_X]) / TILE_WIDTH) + 1)
        first = max(0, math.floor((splat[Y] - splat[EXTENT_Y]) / TILE_HEIGHT))
        last = min(tiles_y, math.floor((splat[Y] + splat[EXTENT_Y]) / TILE_HEIGHT) + 1)
        upper_bound += max(0, boxes[n, 1] - boxes[n, 0]) * max(0, last - first + 1)

    starts = np.zeros(tiles_x * tiles_y + 1, np.int64)
    tile_of = np.empty(upper_bound, np.int32)
    id_of = np.empty(upper_bound, np.int32)
    rows_of = np.empty((upper_bound, 2), np.uint8)
    total = 0
    for n in range(order.shape[0]):
        splat = splats[order[n]]
        x, y = float(splat[X]), float(splat[Y])
        for tx in range(boxes[n, 0], boxes[n, 1]):
            left = tx * TILE_WIDTH - x  # pixel centres of this column of tiles
            low, high = _span(splat, left + 0.5 - SLACK_PX, left + TILE_WIDTH - 0.5 + SLACK_PX)
            first_row = max(0, math.ceil(y + low - SLACK_PX - 0.5))
            last_row = min(height, math.floor(y + high + SLACK_PX - 0.5) + 1)
            if first_row >= last_row:
                continue
            for ty in range(first_row // TILE_HEIGHT, (last_row - 1) // TILE_HEIGHT + 1):
                tile = ty * tiles_x + tx
                starts[tile + 1] += 1
                tile_of[total] = tile
                id_of[total] = order[n]
                rows_of[total, 0] = max(first_row - ty * TILE_HEIGHT, 0)
                rows_of[total, 1] = min(last_row - ty * TILE_HEIGHT, TILE_HEIGHT)
                total += 1
    for tile in range(tiles_x * tiles_y):
        starts[tile + 1] += starts[tile]
    place = starts[:-1].copy()
    ids = np.empty(total, np.int32)
    rows = np.empty((total, 2), np.uint8)
    for n in range(total):
        tile = tile_of[n]
        at = place[tile]
        place[tile] = at + 1
        ids[at] = id_of[n]
        rows[at, 0] = rows_of[n, 0]
        rows[at, 1] = rows_of[n, 1]
    return starts, ids, rows
