"""From pixel gradients to sums per Gaussian: blending, backward. The rules of blend.py keep the loops vectorised."""

from __future__ import annotations

from collections.abc import Callable

import numba
import numpy as np

from runner.raster.compiled import F32, I32, I64, U8, kernel, parallel_kernel
from runner.raster.constants import (
    ALPHA_MAX,
    ALPHA_MIN,
    BLUE,
    CONIC_XX,
    CONIC_XY,
    CONIC_YY,
    GREEN,
    OPACITY,
    RED,
    SUM_ABS_X,
    SUM_ABS_Y,
    SUM_BLUE,
    SUM_COLUMNS,
    SUM_GREEN,
    SUM_RED,
    SUM_V,
    SUM_VX,
    SUM_VXX,
    SUM_VXY,
    SUM_VY,
    SUM_VYY,
    TILE_HEIGHT,
    TILE_PIXELS,
    TILE_WIDTH,
    X,
    Y,
)
from runner.raster.kernels.blend import HALF, ONE, ZERO, dealt, exp_minus, slots


def _compiled(absolute: bool) -> Callable[..., F32]:
    """With the sums of absolute values or without: `absolute` is a constant of the compiled code."""

    @parallel_kernel
    def blend_backward(
        starts: I64, ends: I64, ids: I32, rows: U8, splats: F32, image: F32, transmittance: F32, grad_image: F32,
        grad_alpha: F32, width: int, height: int,
    ) -> F32:  # fmt: skip
        """Sums over pixels for every (tile, Gaussian) pair.

        grad_image [H, W, 3] = dL/dimage, grad_alpha [H, W] = dL/dalpha, the rest as given to or returned by `blend`.
        Returns sums [M, 12], columns in constants.py; rows behind `ends` are not written, and without `absolute` the
        columns of absolute values are zero.

        Walks front to back like the forward pass. L changes with alpha_k through what k adds, T d (d = dL/dimage .
        colour, T the light before k), and through the light it takes from all behind it, rest / (1 - alpha). `rest`,
        what is still to come of dL/dimage . image, starts as all of it and shrinks by each contribution: no lists per
        pixel are kept.
        """
        tiles_x = (width + TILE_WIDTH - 1) // TILE_WIDTH
        tiles_y = (height + TILE_HEIGHT - 1) // TILE_HEIGHT
        sums = np.empty((ids.shape[0], SUM_COLUMNS), np.float32)
        tile_x = np.empty(TILE_PIXELS, np.float32)
        tile_y = np.empty(TILE_PIXELS, np.float32)
        for p in range(TILE_PIXELS):
            tile_x[p] = p % TILE_WIDTH
            tile_y[p] = p // TILE_WIDTH
        for slot in numba.prange(slots(tiles_x * tiles_y)):
            tile = dealt(slot, tiles_x * tiles_y)
            if tile >= tiles_x * tiles_y:
                continue
            ty = tile // tiles_x
            tx = tile - ty * tiles_x
            left, top = tx * TILE_WIDTH, ty * TILE_HEIGHT
            light = np.ones(TILE_PIXELS, np.float32)
            rest = np.zeros(TILE_PIXELS, np.float32)
            grad_r = np.zeros(TILE_PIXELS, np.float32)  # zero in the part of a tile outside the image
            grad_g = np.zeros(TILE_PIXELS, np.float32)
            grad_b = np.zeros(TILE_PIXELS, np.float32)
            for y in range(min(TILE_HEIGHT, height - top)):
                for x in range(min(TILE_WIDTH, width - left)):
                    p = y * TILE_WIDTH + x
                    g0 = grad_image[top + y, left + x, 0]
                    g1 = grad_image[top + y, left + x, 1]
                    g2 = grad_image[top + y, left + x, 2]
                    grad_r[p] = g0
                    grad_g[p] = g1
                    grad_b[p] = g2
                    rest[p] = (
                        g0 * image[top + y, left + x, 0]
                        + g1 * image[top + y, left + x, 1]
                        + g2 * image[top + y, left + x, 2]
                        - grad_alpha[top + y, left + x] * transmittance[top + y, left + x]
                    )
            for k in range(starts[tile], ends[tile]):
                splat = splats[ids[k]]
                cx = splat[X] - np.float32(left) - HALF
                cy = splat[Y] - np.float32(top) - HALF
                a2, b, c2 = splat[CONIC_XX], splat[CONIC_XY], splat[CONIC_YY]
                a, c = a2 * HALF, c2 * HALF
                opacity, cr, cg, cb = splat[OPACITY], splat[RED], splat[GREEN], splat[BLUE]
                s, sx, sy, sxx, sxy, syy = ZERO, ZERO, ZERO, ZERO, ZERO, ZERO
                sr, sg, sb, s_abs_x, s_abs_y = ZERO, ZERO, ZERO, ZERO, ZERO
                start = int(rows[k, 0]) * TILE_WIDTH
                stop = int(rows[k, 1]) * TILE_WIDTH
                n = max(0, stop - start)
                xs, ys, lights, rests = tile_x[start:stop], tile_y[start:stop], light[start:stop], rest[start:stop]
                reds, greens, blues = grad_r[start:stop], grad_g[start:stop], grad_b[start:stop]
                for i in range(n):
                    dx = xs[i] - cx
                    dy = ys[i] - cy
                    sigma = a * dx * dx + b * dx * dy + c * dy * dy
                    alpha = opacity * exp_minus(sigma)
                    free = ONE if alpha < ALPHA_MAX else ZERO  # a clamped alpha does not move
                    alpha = min(alpha, ALPHA_MAX)
                    alpha = alpha if alpha >= ALPHA_MIN else ZERO
                    before, g0, g1, g2 = lights[i], reds[i], greens[i], blues[i]
                    weight = alpha * before
                    sr += weight * g0
                    sg += weight * g1
                    sb += weight * g2
                    d = cr * g0 + cg * g1 + cb * g2
                    behind = rests[i] - weight * d
                    rests[i] = behind
                    v = alpha * (before * d - behind / (ONE - alpha)) * free
                    vx = v * dx
                    vy = v * dy
                    s += v
                    sx += vx
                    sy += vy
                    sxx += vx * dx
                    sxy += vx * dy
                    syy += vy * dy
                    if absolute:
                        s_abs_x += abs(a2 * vx + b * vy)
                        s_abs_y += abs(b * vx + c2 * vy)
                    lights[i] = before - weight
                row = sums[k]
                row[SUM_V] = s
                row[SUM_VX] = sx
                row[SUM_VY] = sy
                row[SUM_VXX] = sxx
                row[SUM_VXY] = sxy
                row[SUM_VYY] = syy
                row[SUM_RED] = sr
                row[SUM_GREEN] = sg
                row[SUM_BLUE] = sb
                row[SUM_ABS_X] = s_abs_x
                row[SUM_ABS_Y] = s_abs_y
                row[11] = ZERO
        return sums

    return blend_backward


blend_backward = _compiled(False)
blend_backward_absolute = _compiled(True)


@kernel
def sum_by_gaussian(starts: I64, ends: I64, ids: I32, sums: F32, count: int) -> F32:
    """Add up the (tile, Gaussian) rows of each Gaussian: [count, 12]. One thread, in tile order: deterministic."""
    total = np.zeros((count, SUM_COLUMNS), np.float32)
    for tile in range(ends.shape[0]):
        for k in range(starts[tile], ends[tile]):
            into, row = total[ids[k]], sums[k]
            for column in range(SUM_COLUMNS):
                into[column] += row[column]
    return total
