"""One Adam step in a single pass over memory. torch's takes several, which is a tenth of a training step on the CPU."""

from __future__ import annotations

import numpy as np
from numba import prange

from runner.raster.compiled import F32, parallel_kernel

BLOCK = 16_384  # values per work item: five arrays of it fit a core's cache


@parallel_kernel
def adam_step(
    values: F32,
    grads: F32,
    means: F32,
    squares: F32,
    beta1: np.float32,
    beta2: np.float32,
    step_size: np.float32,
    inverse_root: np.float32,
    eps: np.float32,
) -> None:
    """In place, all arrays [N]. Adam (Kingma and Ba 2015), algorithm 1, in the order of torch.optim.Adam.

    step_size: lr / (1 - beta1^t). inverse_root: 1 / sqrt(1 - beta2^t).
    """
    count = values.shape[0]
    one = np.float32(1.0)
    for block in prange((count + BLOCK - 1) // BLOCK):
        begin = block * BLOCK
        end = min(count, begin + BLOCK)
        p, g, m, v = values[begin:end], grads[begin:end], means[begin:end], squares[begin:end]
        for i in range(end - begin):
            gradient = g[i]
            mean = beta1 * m[i] + (one - beta1) * gradient
            square = beta2 * v[i] + (one - beta2) * gradient * gradient
            m[i] = mean
            v[i] = square
            p[i] -= step_size * mean / (np.sqrt(square) * inverse_root + eps)
