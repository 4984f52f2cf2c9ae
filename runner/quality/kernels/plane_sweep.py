"""Kernels of plane-sweep stereo (training/stereo/plane_sweep.py, quality/agreement.py): how alike are two images there?

Every plane, and every row, is one parallel task with sums in a fixed order: the thread count changes no bit.
"""

from __future__ import annotations

import math

import numba
import numpy as np

from runner.raster.compiled import F32, F64, exact_kernel, exact_parallel_kernel

REACH = 2  # pixels of the window to each side: 5 x 5
PIXELS = np.float32(1.0 / (2 * REACH + 1) ** 2)
OUTSIDE = np.float32(-1.0)  # score of what the other image does not show
NEAR = 1e-6
ZERO, HALF = np.float32(0.0), np.float32(0.5)


@exact_kernel
def _sum_rows(values: F32, out: F32) -> None:
    """Horizontal sums of the window: [H, W] -> [H, W]; the first and last REACH columns are not written."""
    height, width = values.shape
    for y in range(height):
        row, to = values[y], out[y]
        for x in range(REACH, width - REACH):
            to[x] = row[x - 2] + row[x - 1] + row[x] + row[x + 1] + row[x + 2]


@exact_kernel
def window_moments(image: F32) -> tuple[F32, F32]:
    """Mean and variance [H, W] of the window about each pixel of an image [H, W]; 0 where it crosses the border."""
    height, width = image.shape
    sums, squares = np.zeros((height, width), np.float32), np.zeros((height, width), np.float32)
    mean, variance = np.zeros((height, width), np.float32), np.zeros((height, width), np.float32)
    _sum_rows(image, sums)
    _sum_rows(image * image, squares)
    for y in range(REACH, height - REACH):
        for x in range(REACH, width - REACH):
            first, second = ZERO, ZERO
            for row in range(y - REACH, y + REACH + 1):
                first += sums[row, x]
                second += squares[row, x]
            mean[y, x] = first * PIXELS
            variance[y, x] = second * PIXELS - mean[y, x] * mean[y, x]
    return mean, variance


@exact_kernel
def _warp(other: F32, rays: F64, shift: F64, inverse_depth: float, out: F32, score: F32) -> None:
    """The other image as this camera would see it on a plane; `score`: 0 where it shows the place, else OUTSIDE.

    A pixel (x, y) of this camera, at an inverse depth w, is at the homogeneous pixel rays @ (x, y, 1) + w shift there.
    """
    height, width = out.shape
    other_height, other_width = other.shape
    for y in range(height):
        v = y + 0.5
        for x in range(width):
            u = x + 0.5
            depth = rays[2, 0] * u + rays[2, 1] * v + rays[2, 2] + inverse_depth * shift[2]
            out[y, x] = ZERO
            score[y, x] = OUTSIDE
            if depth <= NEAR:
                continue
            ratio = 1.0 / depth
            px = (rays[0, 0] * u + rays[0, 1] * v + rays[0, 2] + inverse_depth * shift[0]) * ratio - 0.5
            py = (rays[1, 0] * u + rays[1, 1] * v + rays[1, 2] + inverse_depth * shift[1]) * ratio - 0.5
            if px < 0.0 or py < 0.0 or px > other_width - 1 or py > other_height - 1:
                continue
            left, top = min(int(px), other_width - 2), min(int(py), other_height - 2)
            right, down = np.float32(px - left), np.float32(py - top)
            upper = other[top, left] + right * (other[top, left + 1] - other[top, left])
            lower = other[top + 1, left] + right * (other[top + 1, left + 1] - other[top + 1, left])
            out[y, x] = upper + down * (lower - upper)
            # Only where the whole window is inside, too, unless the other camera is much nearer.
            if REACH <= px <= other_width - 1 - REACH and REACH <= py <= other_height - 1 - REACH:
                score[y, x] = ZERO


@exact_parallel_kernel
def sweep(
    image: F32, mean: F32, variance: F32, other: F32, rays: F64, shift: F64, inverse_depths: F64,
    least_variance: np.float32, scores: F32,
) -> None:  # fmt: skip
    """Normalised cross-correlation of an image with another one, pixel by pixel and plane by plane.

    image [H, W], its window_moments, other [H2, W2]: float32, 0..1. rays [3, 3], shift [3]: float64, see _warp.
    inverse_depths [D]. scores [D, H, W] float32: written, -1..1, OUTSIDE where nothing can be said.
    """
    height, width = image.shape
    for plane in numba.prange(len(inverse_depths)):
        warped = np.empty((height, width), np.float32)
        score = scores[plane]
        _warp(other, rays, shift, inverse_depths[plane], warped, score)
        sums, squares = np.zeros((height, width), np.float32), np.zeros((height, width), np.float32)
        products = np.zeros((height, width), np.float32)
        _sum_rows(warped, sums)
        _sum_rows(warped * warped, squares)
        _sum_rows(warped * image, products)
        for y in range(height):
            if y < REACH or y >= height - REACH:
                score[y] = OUTSIDE
                continue
            score[y, :REACH] = OUTSIDE
            score[y, width - REACH :] = OUTSIDE
            for x in range(REACH, width - REACH):
                first = sums[y - 2, x] + sums[y - 1, x] + sums[y, x] + sums[y + 1, x] + sums[y + 2, x]
                second = squares[y - 2, x] + squares[y - 1, x] + squares[y, x] + squares[y + 1, x] + squares[y + 2, x]
                mixed = (
                    products[y - 2, x] + products[y - 1, x] + products[y, x] + products[y + 1, x] + products[y + 2, x]
                )
                other_mean = first * PIXELS
                spread = max(second * PIXELS - other_mean * other_mean, least_variance)
                spread *= max(variance[y, x], least_variance)
                likeness = (mixed * PIXELS - other_mean * mean[y, x]) / np.float32(math.sqrt(spread))
                score[y, x] = likeness if score[y, x] == ZERO else OUTSIDE


@exact_parallel_kernel
def best_planes(scores: F32, inverse_depths: F64, inverse_depth: F32, best: F32) -> None:
    """Per pixel the plane on which the two most alike of the other images agree best, between planes by a parabola.

    scores [C, D, H, W]. Written: inverse_depth [H, W], 0 where the best plane is the first or last one; best [H, W],
    its score.
    """
    count, planes, height, width = scores.shape
    step = inverse_depths[1] - inverse_depths[0]
    for y in numba.prange(height):
        pair = np.empty((planes, width), np.float32)
        for plane in range(planes):
            for x in range(width):
                first, second = OUTSIDE, OUTSIDE
                for other in range(count):
                    value = scores[other, plane, y, x]
                    if value > first:
                        first, second = value, first
                    elif value > second:
                        second = value
                pair[plane, x] = HALF * (first + second) if count > 1 else first
        for x in range(width):
            chosen = 0
            for plane in range(1, planes):
                if pair[plane, x] > pair[chosen, x]:
                    chosen = plane
            best[y, x] = pair[chosen, x]
            inverse_depth[y, x] = ZERO
            if 0 < chosen < planes - 1:
                before, here, after = pair[chosen - 1, x], pair[chosen, x], pair[chosen + 1, x]
                bend = before - np.float32(2.0) * here + after
                offset = HALF * (before - after) / bend if bend < -1e-6 else ZERO
                inverse_depth[y, x] = inverse_depths[chosen] + max(-HALF, min(HALF, offset)) * step
