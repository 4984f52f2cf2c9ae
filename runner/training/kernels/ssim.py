"""L1 and SSIM (Wang et al. 2004) with their gradient, fused: about seven times faster on a CPU than torch convolutions.

Images are [H, 3 W]: rows of interleaved channels. Blurring vertically does not care about channels, and horizontally
the neighbour of a value is three places on, so nothing is ever rearranged. Every row is one parallel task whose buffers
fit the level-1 cache; sums are returned per row and added by the caller, so the thread count changes no bit.

Windows reach over the border, where images count as zero, as in 3DGS's training loss (Kerbl et al. 2023).
"""

from __future__ import annotations

import numba
import numpy as np

from runner.raster.compiled import F32, F64, kernel, parallel_kernel

TAPS = 11
REACH = TAPS // 2
PAD = 3 * REACH  # values beside a row, three channels each
SIGMA_PX = 1.5
C1 = np.float32(0.01**2)  # stabilisers for values in 0..1
C2 = np.float32(0.03**2)

_weights = np.exp(-0.5 * (np.arange(TAPS) - REACH) ** 2 / SIGMA_PX**2)
WINDOW = tuple(np.float32(w) for w in _weights / _weights.sum())

ZERO, ONE, TWO = np.float32(0.0), np.float32(1.0), np.float32(2.0)
Tap = tuple[np.float32, np.int64]  # weight and row


@kernel
def _blur_row(padded: F32, out: F32) -> None:
    """Horizontal window: padded [3 W + 2 PAD] -> out [3 W]."""
    w0, w1, w2, w3, w4, w5, w6, w7, w8, w9, w10 = WINDOW
    n = out.shape[0]
    for i in range(n):
        out[i] = (
            w0 * padded[i]
            + w1 * padded[i + 3]
            + w2 * padded[i + 6]
            + w3 * padded[i + 9]
            + w4 * padded[i + 12]
            + w5 * padded[i + 15]
            + w6 * padded[i + 18]
            + w7 * padded[i + 21]
            + w8 * padded[i + 24]
            + w9 * padded[i + 27]
            + w10 * padded[i + 30]
        )


@kernel
def _tap(height: int, y: int, tap: int) -> Tap:
    """Weight and row of one tap of the window around row y; outside the image weight 0 and some row that exists."""
    row = np.int64(y) + tap - REACH  # a prange index is unsigned: minus something it would become a float
    if tap >= TAPS or row < 0 or row >= height:
        return ZERO, np.int64(y)
    return WINDOW[tap], row


@kernel
def _four_rows(height: int, y: int, tap: int) -> tuple[Tap, Tap, Tap, Tap]:
    return _tap(height, y, tap), _tap(height, y, tap + 1), _tap(height, y, tap + 2), _tap(height, y, tap + 3)


@kernel
def _blur_column(rows: F32, y: int, out: F32) -> None:
    """Vertical window around row y: rows [H, N] -> out [N]. Four rows a pass: fewer stores, still vectorised."""
    out[:] = ZERO
    for tap in range(0, TAPS, 4):
        (w0, r0), (w1, r1), (w2, r2), (w3, r3) = _four_rows(rows.shape[0], y, tap)
        a, b, c, d = rows[r0], rows[r1], rows[r2], rows[r3]
        for i in range(out.shape[0]):
            out[i] += w0 * a[i] + w1 * b[i] + w2 * c[i] + w3 * d[i]


@kernel
def _blur_column_product(rows: F32, others: F32, y: int, out: F32) -> None:
    """Like `_blur_column`, of rows times others."""
    out[:] = ZERO
    for tap in range(0, TAPS, 4):
        (w0, r0), (w1, r1), (w2, r2), (w3, r3) = _four_rows(rows.shape[0], y, tap)
        a, b, c, d = rows[r0], rows[r1], rows[r2], rows[r3]
        e, f, g, h = others[r0], others[r1], others[r2], others[r3]
        for i in range(out.shape[0]):
            out[i] += w0 * a[i] * e[i] + w1 * b[i] * f[i] + w2 * c[i] * g[i] + w3 * d[i] * h[i]


@parallel_kernel
def blurred_moments(image: F32) -> tuple[F32, F32]:
    """Windowed mean and mean square of image [H, 3 W]: what the loss needs of a target that never changes."""
    height, n = image.shape
    mean = np.empty((height, n), np.float32)
    square = np.empty((height, n), np.float32)
    for y in numba.prange(height):
        row_mean = np.zeros(n + 2 * PAD, np.float32)
        row_square = np.zeros(n + 2 * PAD, np.float32)
        _blur_column(image, y, row_mean[PAD : PAD + n])
        _blur_column_product(image, image, y, row_square[PAD : PAD + n])
        _blur_row(row_mean, mean[y])
        _blur_row(row_square, square[y])
    return mean, square


@kernel
def _ssim_row(
    mean_x: F32, square_x: F32, product: F32, mean_y: F32, square_y: F32, by_mean: F32, by_square: F32, by_product: F32
) -> np.float32:
    """SSIM along a row from its five windowed moments: its sum, and its derivatives by the three that depend on x."""
    total = ZERO
    for i in range(mean_x.shape[0]):
        mx, my = mean_x[i], mean_y[i]
        a1 = TWO * mx * my + C1
        a2 = TWO * (product[i] - mx * my) + C2
        b1 = mx * mx + my * my + C1
        b2 = square_x[i] - mx * mx + square_y[i] - my * my + C2
        inverse = ONE / (b1 * b2)
        ssim = a1 * a2 * inverse
        total += ssim
        by_product[i] = TWO * a1 * inverse
        by_square[i] = -ssim * b1 * inverse
        by_mean[i] = TWO * (my * (a2 - a1) - ssim * mx * (b2 - b1)) * inverse
    return total


@kernel
def _gradient_row(
    x: F32, y: F32, by_mean: F32, by_square: F32, by_product: F32, ssim_factor: np.float32, l1_factor: np.float32,
    grad: F32,
) -> np.float32:  # fmt: skip
    """Gradient of the loss along a row, and the sum of |x - y|."""
    total = ZERO
    for i in range(grad.shape[0]):
        difference = x[i] - y[i]
        sign = ONE if difference > ZERO else (-ONE if difference < ZERO else ZERO)
        total += abs(difference)
        grad[i] = ssim_factor * (by_mean[i] + TWO * x[i] * by_square[i] + y[i] * by_product[i]) + l1_factor * sign
    return total


@parallel_kernel
def l1_ssim(x: F32, y: F32, mean_y: F32, square_y: F32, ssim_weight: float) -> tuple[F64, F64, F32]:
    """(1 - w) mean |x - y| + w (1 - mean SSIM). Images are [H, 3 W] float32; mean_y, square_y: blurred_moments(y).

    Returns per row the sum of |x - y| and the sum of SSIM (float64 [H]), and the gradient of the loss by x [H, 3 W].
    """
    height, n = x.shape
    absolute = np.empty(height, np.float64)
    ssim = np.empty(height, np.float64)
    derivatives = np.empty((3, height, n), np.float32)
    for row in numba.prange(height):
        padded = np.zeros((3, n + 2 * PAD), np.float32)
        moments = np.empty((3, n), np.float32)
        _blur_column(x, row, padded[0, PAD : PAD + n])
        _blur_column_product(x, x, row, padded[1, PAD : PAD + n])
        _blur_column_product(x, y, row, padded[2, PAD : PAD + n])
        for k in range(3):
            _blur_row(padded[k], moments[k])
        ssim[row] = _ssim_row(
            moments[0], moments[1], moments[2], mean_y[row], square_y[row],
            derivatives[0, row], derivatives[1, row], derivatives[2, row],
        )  # fmt: skip
    # The window is symmetric, so the gradient of a blur is the same blur of the gradient.
    grad = np.empty((height, n), np.float32)
    ssim_factor = np.float32(-ssim_weight / (height * n))
    l1_factor = np.float32((1.0 - ssim_weight) / (height * n))
    for row in numba.prange(height):
        padded = np.zeros((3, n + 2 * PAD), np.float32)
        blurred = np.empty((3, n), np.float32)
        for k in range(3):
            _blur_column(derivatives[k], row, padded[k, PAD : PAD + n])
            _blur_row(padded[k], blurred[k])
        absolute[row] = _gradient_row(
            x[row], y[row], blurred[0], blurred[1], blurred[2], ssim_factor, l1_factor, grad[row]
        )
    return absolute, ssim, grad
