"""How every kernel is compiled, the types of kernels' arrays, and how many threads they use. The only place for it."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np
import torch
from numpy.typing import NDArray

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]
U8 = NDArray[np.uint8]
Function = TypeVar("Function", bound=Callable[..., Any])

# fastmath: sums may be reordered, without which no reduction is vectorised. Results stay deterministic on one machine:
# the order is fixed at compile time. error_model numpy: no branch for division by zero inside the loops.
# nogil: heartbeats and progress of other threads go on while a kernel runs.
# cache: next to the module, or in NUMBA_CACHE_DIR where that is read-only (containers).
OPTIONS: dict[str, Any] = {"cache": True, "fastmath": True, "error_model": "numpy", "nogil": True}
PARALLEL: dict[str, Any] = {**OPTIONS, "parallel": True}
EXACT: dict[str, Any] = {**OPTIONS, "fastmath": False}


def kernel(function: Function) -> Function:
    """Compiled when it is first called, for one thread. numba takes no notice of annotations; they are for readers."""
    return cast(Function, numba.njit(**OPTIONS)(function))


def parallel_kernel(function: Function) -> Function:
    """The same, its loops over `numba.prange` on all threads of `use_threads`."""
    return cast(Function, numba.njit(**PARALLEL)(function))


def exact_kernel(function: Function) -> Function:
    """The same as `kernel` with sums in the order that is written: for short ones, which vectorise all the same.

    With reordered sums the last bits depend on where in memory the arrays of a call lie.
    """
    return cast(Function, numba.njit(**EXACT)(function))


def exact_parallel_kernel(function: Function) -> Function:
    """The same, its loops over `numba.prange` on all threads of `use_threads`."""
    return cast(Function, numba.njit(parallel=True, **EXACT)(function))


def inlined_kernel(function: Function) -> Function:
    """The same as `kernel`, copied into its callers."""
    return cast(Function, numba.njit(inline="always", **OPTIONS)(function))


def use_threads(threads: int) -> int:
    """Run kernels, and torch's own operations, on `threads` threads (0: all cores of this process). Returns the number.

    Holds for kernels called from the thread that calls this. Numba's thread pool is sized once, when it is first used;
    asking for more gives all of the pool.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    available = min(int(vars(numba.config)["NUMBA_NUM_THREADS"]), cores)
    count = min(threads, available) if threads > 0 else available
    numba.set_num_threads(count)
    torch.set_num_threads(count)
    return count
