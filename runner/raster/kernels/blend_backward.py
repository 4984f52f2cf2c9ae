"""From pixel gradients to sums per Gaussian: blending, backward. Groups and planes of pixels are those of blend.py."""

from __future__ import annotations

from collections.abc import Callable

import numba
import numpy as np

from runner.raster.compiled import F32, I32, I64, U8, exact_parallel_kernel, kernel
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
    SUM_COLUMNS,
    TILE_HEIGHT,
    TILE_PIXELS,
    TILE_WIDTH,
    X,
    Y,
)
from runner.raster.kernels.blend import (
    GROUPS,
    HALF,
    ONE,
    ROWS,
    ZERO,
    dealt,
    exp_minus,
    group_start,
    pixel_centres,
    slots,
)
from runner.raster.lanes import LANES, absolute, aligned, least, load, spread, store, store_totals, where_less


def _compiled(with_absolute: bool) -> Callable[..., F32]:
    """With the sums of absolute values or without: `with_absolute` is a constant of the compiled code."""

    @exact_parallel_kernel
    def blend_backward(
        starts: I64, ends: I64, ids: I32, rows: U8, splats: F32, image: F32, transmittance: F32, grad_image: F32,
        grad_alpha: F32, width: int, height: int,
    ) -> F32:  # fmt: skip
        """Sums over pixels for every (tile, Gaussian) pair.

        grad_image [H, W, 3] = dL/dimage, grad_alpha [H, W] = dL/dalpha, the rest as given to or returned by `blend`.
        Returns sums [M, 12], columns in constants.py; rows behind `ends` are not written, and without `with_absolute`
        the columns of absolute values are zero.

        Walks front to back like the forward pass. L changes with alpha_k through what k adds, T d (d = dL/dimage .
        colour, T the light before k), and through the light it takes from all behind it, rest / (1 - alpha). `rest`,
        what is still to come of dL/dimage . image, starts as all of it and shrinks by each contribution: no lists per
        pixel are kept.
        """
        tiles_x = (width + TILE_WIDTH - 1) // TILE_WIDTH
        tiles_y = (height + TILE_HEIGHT - 1) // TILE_HEIGHT
        sums = np.empty((ids.shape[0], SUM_COLUMNS), np.float32)
        for slot in numba.prange(slots(tiles_x * tiles_y)):
            tile = dealt(slot, tiles_x * tiles_y)
            if tile >= tiles_x * tiles_y:
                continue
            ty = tile // tiles_x
            tx = tile - ty * tiles_x
            left, top = tx * TILE_WIDTH, ty * TILE_HEIGHT
            xs, ys = pixel_centres(left, top)
            planes = aligned(5 * TILE_PIXELS)  # of each group: light, rest, gradient by red, by green, by blue
            planes[:] = ZERO  # no gradient in the part of a tile outside the image
            for group in range(GROUPS):
                store(planes, group * 5 * LANES, spread(ONE))
            for y in range(min(TILE_HEIGHT, height - top)):
                first = group_start(y, 5)
                for x in range(min(TILE_WIDTH, width - left)):
                    p = first + x
                    g0 = grad_image[top + y, left + x, 0]
                    g1 = grad_image[top + y, left + x, 1]
                    g2 = grad_image[top + y, left + x, 2]
                    planes[p + LANES] = (
                        g0 * image[top + y, left + x, 0]
                        + g1 * image[top + y, left + x, 1]
                        + g2 * image[top + y, left + x, 2]
                        - grad_alpha[top + y, left + x] * transmittance[top + y, left + x]
                    )
                    planes[p + 2 * LANES] = g0
                    planes[p + 3 * LANES] = g1
                    planes[p + 4 * LANES] = g2
            for k in range(starts[tile], ends[tile]):
                splat = splats[ids[k]]
                cy = splat[Y]
                a, b, c = splat[CONIC_XX], splat[CONIC_XY], splat[CONIC_YY]
                half_c = c * HALF
                opacity, cr, cg, cb = splat[OPACITY], splat[RED], splat[GREEN], splat[BLUE]
                dx = load(xs, 0) - splat[X]
                across = dx * dx * (a * HALF)
                slope = dx * b
                pull = dx * a
                none = spread(ZERO)
                v_sum, vy_sum, vyy_sum, red_sum, green_sum, blue_sum = none, none, none, none, none, none
                abs_x_sum, abs_y_sum = none, none
                for group in range(int(rows[k, 0]) // ROWS, (int(rows[k, 1]) + ROWS - 1) // ROWS):
                    at = group * 5 * LANES
                    dy = load(ys, group * LANES) - cy
                    free = exp_minus(across + dy * (slope + dy * half_c)) * opacity
                    alpha = least(free, ALPHA_MAX)
                    alpha = where_less(alpha, ALPHA_MIN, ZERO, alpha)
                    light = load(planes, at)
                    weight = alpha * light
                    g0, g1, g2 = (
                        load(planes, at + 2 * LANES),
                        load(planes, at + 3 * LANES),
                        load(planes, at + 4 * LANES),
                    )
                    red_sum = red_sum + weight * g0
                    green_sum = green_sum + weight * g1
                    blue_sum = blue_sum + weight * g2
                    d = g0 * cr + g1 * cg + g2 * cb
                    behind = load(planes, at + LANES) - weight * d
                    store(planes, at + LANES, behind)
                    store(planes, at, light - weight)
                    v = alpha * (light * d - behind / (ONE - alpha))
                    v = where_less(free, ALPHA_MAX, v, ZERO)  # a clamped alpha does not move
                    vy = v * dy
                    v_sum = v_sum + v
                    vy_sum = vy_sum + vy
                    vyy_sum = vyy_sum + vy * dy
                    if with_absolute:
                        abs_x_sum = abs_x_sum + absolute(v * (pull + dy * b))
                        abs_y_sum = abs_y_sum + absolute(v * (slope + dy * c))
                row = sums[k]  # in the order of the columns SUM_V to SUM_ABS_Y
                vx_sum = v_sum * dx
                store_totals(row, 0, v_sum, vx_sum, vy_sum, vx_sum * dx)
                store_totals(row, 4, vy_sum * dx, vyy_sum, red_sum, green_sum)
                store_totals(row, 8, blue_sum, abs_x_sum, abs_y_sum, none)
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
