"""Blend the Gaussians of every tile front to back (alpha compositing, Kerbl et al. 2023, section 6).

A tile's pixels lie in groups of LANES, one or two rows of them; the planes of a group (light and colours, or what the
backward pass carries) lie side by side. So one vector holds a plane of a group, dx is the same in every group, and the
sums over the pixels of a Gaussian need three products where pixel by pixel there are eight.
"""

from __future__ import annotations

import numba
import numpy as np

from runner.raster.compiled import F32, I32, I64, U8, exact_parallel_kernel, inlined_kernel, kernel
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
    TILE_HEIGHT,
    TILE_PIXELS,
    TILE_WIDTH,
    TRANSMITTANCE_MIN,
    X,
    Y,
)
from runner.raster.lanes import LANES, Lanes, aligned, largest, least, load, most, spread, store, where_less

ZERO = np.float32(0.0)
ONE = np.float32(1.0)
HALF = np.float32(0.5)
HANDS = 8  # shares the runs of tiles are dealt into; see `dealt`
RUN = 8  # tiles side by side
ROWS = LANES // TILE_WIDTH  # of a group of pixels
GROUPS = TILE_PIXELS // LANES
CHECK_EVERY = 16  # Gaussians between two looks at whether a tile is opaque (a power of two)

SIGMA_MAX = np.float32(5.6)  # exp(-5.6) < ALPHA_MIN: beyond it alpha is zero whatever the opacity
EIGHTH = np.float32(-0.125)
# Chebyshev fit of e^y on [-0.7, 0] (relative error 1e-7); e^-s = (e^(-s/8))^8 is then accurate to 1e-6.
_FIT = np.polynomial.Chebyshev.interpolate(np.exp, 5, domain=[-0.7, 0.0]).convert(kind=np.polynomial.Polynomial).coef
E0, E1, E2, E3, E4, E5 = (np.float32(c) for c in _FIT)


@inlined_kernel
def exp_minus(sigma: Lanes) -> Lanes:
    """e^-sigma for 0 <= sigma <= SIGMA_MAX, constant beyond."""
    y = least(sigma, SIGMA_MAX) * EIGHTH
    p = E0 + y * (E1 + y * (E2 + y * (E3 + y * (E4 + y * E5))))
    p = p * p
    p = p * p
    return p * p


@inlined_kernel
def group_start(row: int | np.int64, planes: int) -> int | np.int64:
    """Where the first plane of a row of a tile begins, of `planes` planes per group."""
    return row // ROWS * (planes * LANES) + row % ROWS * TILE_WIDTH


@kernel
def pixel_centres(left: int | np.int64, top: int | np.int64) -> tuple[F32, F32]:
    """x of the pixels of a group [LANES], the same for all groups of a tile, and y of all its pixels [TILE_PIXELS]."""
    xs, ys = aligned(LANES), aligned(TILE_PIXELS)
    for p in range(LANES):
        xs[p] = np.float32(left + p % TILE_WIDTH) + HALF
    for p in range(TILE_PIXELS):
        ys[p] = np.float32(top + p // TILE_WIDTH) + HALF
    return xs, ys


@kernel
def dealt(slot: int | np.int64, tiles: int) -> int | np.int64:
    """Which tile comes at `slot` of a parallel loop over `slots`; `tiles` and more: none. Runs are dealt like cards.

    numba gives every thread one contiguous share of a loop. In image order one thread could get the sky and another
    the ground: counted in pixel rows to blend, the largest of four shares was 1.6 times the mean in the benchmark's
    images, and is 1.1 to 1.3 dealt. Runs of tiles side by side, because neighbours share Gaussians in the cache.
    """
    slot = np.int64(slot)  # a prange index is unsigned, and unsigned with signed makes a float
    runs = (tiles + RUN - 1) // RUN
    run, place = slot // RUN, slot % RUN
    size, larger = runs // HANDS, runs % HANDS  # the first `larger` hands hold one run more
    if run < larger * (size + 1):
        card = run // (size + 1) + run % (size + 1) * HANDS
    else:
        run -= larger * (size + 1)
        card = larger + run // size + run % size * HANDS
    return card * RUN + place


@kernel
def slots(tiles: int) -> int:
    """How many slots deal all the tiles."""
    return (tiles + RUN - 1) // RUN * RUN


@exact_parallel_kernel
def blend(
    starts: I64, ids: I32, rows: U8, splats: F32, background: F32, width: int, height: int
) -> tuple[F32, F32, I64]:
    """Draw. starts, ids, rows: of `bin_tiles`; background [3] float32.

    Returns image [H, W, 3], transmittance [H, W] (light that passes everything), and ends [tiles] int64: where each
    tile's list was left because it had become opaque.
    """
    tiles_x = (width + TILE_WIDTH - 1) // TILE_WIDTH
    tiles_y = (height + TILE_HEIGHT - 1) // TILE_HEIGHT
    image = np.empty((height, width, 3), np.float32)
    transmittance = np.empty((height, width), np.float32)
    ends = np.empty(tiles_x * tiles_y, np.int64)
    for slot in numba.prange(slots(tiles_x * tiles_y)):
        tile = dealt(slot, tiles_x * tiles_y)
        if tile >= tiles_x * tiles_y:
            continue
        ty = tile // tiles_x
        tx = tile - ty * tiles_x
        left, top = tx * TILE_WIDTH, ty * TILE_HEIGHT
        xs, ys = pixel_centres(left, top)
        planes = aligned(4 * TILE_PIXELS)  # of each group: light, red, green, blue
        for group in range(GROUPS):
            store(planes, group * 4 * LANES, spread(ONE))
            for plane in range(1, 4):
                store(planes, (group * 4 + plane) * LANES, spread(ZERO))
        end = starts[tile + 1]
        for k in range(starts[tile], starts[tile + 1]):
            splat = splats[ids[k]]
            cy = splat[Y]
            c = splat[CONIC_YY] * HALF
            opacity, cr, cg, cb = splat[OPACITY], splat[RED], splat[GREEN], splat[BLUE]
            dx = load(xs, 0) - splat[X]
            across = dx * dx * (splat[CONIC_XX] * HALF)
            slope = dx * splat[CONIC_XY]
            for group in range(int(rows[k, 0]) // ROWS, (int(rows[k, 1]) + ROWS - 1) // ROWS):
                at = group * 4 * LANES
                dy = load(ys, group * LANES) - cy
                alpha = least(exp_minus(across + dy * (slope + dy * c)) * opacity, ALPHA_MAX)
                alpha = where_less(alpha, ALPHA_MIN, ZERO, alpha)
                light = load(planes, at)
                weight = alpha * light
                store(planes, at, light - weight)
                store(planes, at + LANES, load(planes, at + LANES) + weight * cr)
                store(planes, at + 2 * LANES, load(planes, at + 2 * LANES) + weight * cg)
                store(planes, at + 3 * LANES, load(planes, at + 3 * LANES) + weight * cb)
            if (k & (CHECK_EVERY - 1)) == CHECK_EVERY - 1:
                brightest = load(planes, 0)
                for group in range(1, GROUPS):
                    brightest = most(brightest, load(planes, group * 4 * LANES))
                if largest(brightest) < TRANSMITTANCE_MIN:
                    end = k + 1
                    break
        ends[tile] = end
        for y in range(min(TILE_HEIGHT, height - top)):
            first = group_start(y, 4)
            for x in range(min(TILE_WIDTH, width - left)):
                p = first + x
                light_left = planes[p]
                image[top + y, left + x, 0] = planes[p + LANES] + background[0] * light_left
                image[top + y, left + x, 1] = planes[p + 2 * LANES] + background[1] * light_left
                image[top + y, left + x, 2] = planes[p + 3 * LANES] + background[2] * light_left
                transmittance[top + y, left + x] = light_left
    return image, transmittance, ends
