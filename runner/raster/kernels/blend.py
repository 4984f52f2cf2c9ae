"""Blend the Gaussians of every tile front to back (alpha compositing, Kerbl et al. 2023, section 6).

What keeps these loops vectorised (a factor 4 to 9, silently lost otherwise; a test looks at the machine code):
the arrays of a tile are allocated in the same function; the innermost loop runs over slices from 0 (an index that might
be negative stops LLVM); pixels of the rows a Gaussian touches are one flat run; exp is a polynomial, no call.
"""

from __future__ import annotations

import numba
import numpy as np

from runner.raster.compiled import F32, I32, I64, U8, inlined_kernel, kernel, parallel_kernel
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

ZERO = np.float32(0.0)
ONE = np.float32(1.0)
HALF = np.float32(0.5)
HANDS = 8  # shares the runs of tiles are dealt into; see `dealt`
RUN = 8  # tiles side by side
CHECK_EVERY = 16  # Gaussians between two looks at whether a tile is opaque (a power of two)

SIGMA_MAX = np.float32(5.6)  # exp(-5.6) < ALPHA_MIN: beyond it alpha is zero whatever the opacity
EIGHTH = np.float32(-0.125)
# Chebyshev fit of e^y on [-0.7, 0] (relative error 1e-7); e^-s = (e^(-s/8))^8 is then accurate to 1e-6.
_FIT = np.polynomial.Chebyshev.interpolate(np.exp, 5, domain=[-0.7, 0.0]).convert(kind=np.polynomial.Polynomial).coef
E0, E1, E2, E3, E4, E5 = (np.float32(c) for c in _FIT)


@inlined_kernel
def exp_minus(sigma: np.float32) -> np.float32:
    """e^-sigma for 0 <= sigma <= SIGMA_MAX, constant beyond."""
    y = min(sigma, SIGMA_MAX) * EIGHTH
    p = E0 + y * (E1 + y * (E2 + y * (E3 + y * (E4 + y * E5))))
    p = p * p
    p = p * p
    return p * p


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


@parallel_kernel
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
        red = np.zeros(TILE_PIXELS, np.float32)
        green = np.zeros(TILE_PIXELS, np.float32)
        blue = np.zeros(TILE_PIXELS, np.float32)
        end = starts[tile + 1]
        for k in range(starts[tile], starts[tile + 1]):
            splat = splats[ids[k]]
            cx = splat[X] - np.float32(left) - HALF
            cy = splat[Y] - np.float32(top) - HALF
            a, b, c = splat[CONIC_XX] * HALF, splat[CONIC_XY], splat[CONIC_YY] * HALF
            opacity, cr, cg, cb = splat[OPACITY], splat[RED], splat[GREEN], splat[BLUE]
            start = int(rows[k, 0]) * TILE_WIDTH
            stop = int(rows[k, 1]) * TILE_WIDTH
            n = max(0, stop - start)
            xs, ys, lights = tile_x[start:stop], tile_y[start:stop], light[start:stop]
            reds, greens, blues = red[start:stop], green[start:stop], blue[start:stop]
            for i in range(n):
                dx = xs[i] - cx
                dy = ys[i] - cy
                sigma = a * dx * dx + b * dx * dy + c * dy * dy
                alpha = min(opacity * exp_minus(sigma), ALPHA_MAX)
                alpha = alpha if alpha >= ALPHA_MIN else ZERO
                weight = alpha * lights[i]
                reds[i] += weight * cr
                greens[i] += weight * cg
                blues[i] += weight * cb
                lights[i] -= weight
            if (k & (CHECK_EVERY - 1)) == CHECK_EVERY - 1:
                brightest = ZERO
                for i in range(TILE_PIXELS):
                    brightest = max(brightest, light[i])
                if brightest < TRANSMITTANCE_MIN:
                    end = k + 1
                    break
        ends[tile] = end
        for y in range(min(TILE_HEIGHT, height - top)):
            for x in range(min(TILE_WIDTH, width - left)):
                p = y * TILE_WIDTH + x
                image[top + y, left + x, 0] = red[p] + background[0] * light[p]
                image[top + y, left + x, 1] = green[p] + background[1] * light[p]
                image[top + y, left + x, 2] = blue[p] + background[2] * light[p]
                transmittance[top + y, left + x] = light[p]
    return image, transmittance, ends
