"""How every kernel is compiled, and how many threads they use. The only place that sets either."""

from __future__ import annotations

import os
from typing import Any

import numba

# fastmath: sums may be reordered, without which no reduction is vectorised. Results stay deterministic on one machine:
# the order is fixed at compile time. error_model numpy: no branch for division by zero inside the loops.
# nogil: heartbeats and progress of other threads go on while a kernel runs.
# cache: next to the module, or in NUMBA_CACHE_DIR where that is read-only (containers).
OPTIONS: dict[str, Any] = {"cache": True, "fastmath": True, "error_model": "numpy", "nogil": True}
PARALLEL: dict[str, Any] = {**OPTIONS, "parallel": True}


def use_threads(threads: int) -> int:
    """Run kernels on `threads` threads (0: all cores this process may use). Returns the number in use.

    Numba's thread pool is sized once, when it is first used; asking for more than that gives all of the pool.
    """
    available = min(
        numba.config.NUMBA_NUM_THREADS, len(os.sched_getaffinity(0)) if _HAS_AFFINITY else os.cpu_count() or 1
    )
    count = min(threads, available) if threads > 0 else available
    numba.set_num_threads(count)
    return count


_HAS_AFFINITY = hasattr(os, "sched_getaffinity")  # not on macOS and Windows
