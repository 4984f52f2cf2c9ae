"""How every kernel is compiled, and how many threads they use. The only place that sets either."""

from __future__ import annotations

import os
from typing import Any

import numba
import torch

# fastmath: sums may be reordered, without which no reduction is vectorised. Results stay deterministic on one machine:
# the order is fixed at compile time. error_model numpy: no branch for division by zero inside the loops.
# nogil: heartbeats and progress of other threads go on while a kernel runs.
# cache: next to the module, or in NUMBA_CACHE_DIR where that is read-only (containers).
OPTIONS: dict[str, Any] = {"cache": True, "fastmath": True, "error_model": "numpy", "nogil": True}
PARALLEL: dict[str, Any] = {**OPTIONS, "parallel": True}


def use_threads(threads: int) -> int:
    """Run kernels, and torch's own operations, on `threads` threads (0: all cores of this process). Returns the number.

    Holds for kernels called from the thread that calls this. Numba's thread pool is sized once, when it is first used;
    asking for more gives all of the pool.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    available = min(numba.config.NUMBA_NUM_THREADS, cores)
    count = min(threads, available) if threads > 0 else available
    numba.set_num_threads(count)
    torch.set_num_threads(count)
    return count
