"""Vectors inside kernels compute what numpy computes, lane by lane, wherever in memory the numbers lie."""

from __future__ import annotations

import numpy as np
import pytest
from numba.core.errors import TypingError

from runner.raster.compiled import exact_kernel
from runner.raster.lanes import (
    ALIGNMENT,
    LANES,
    absolute,
    aligned,
    largest,
    least,
    load,
    most,
    spread,
    store,
    store_totals,
    where_less,
)

RNG = np.random.default_rng(0)
A, B, C, D = RNG.normal(size=(4, LANES)).astype(np.float32)
TWO = np.float32(2.0)


@exact_kernel
def computed(a, b, out):
    x, y = load(a, 0), load(b, 0)
    store(out, 0 * LANES, x + y)
    store(out, 1 * LANES, TWO - y)
    store(out, 2 * LANES, x * TWO)
    store(out, 3 * LANES, x / y)
    store(out, 4 * LANES, least(x, y))
    store(out, 5 * LANES, most(x, y))
    store(out, 6 * LANES, where_less(x, y, TWO, x))
    store(out, 7 * LANES, absolute(x))
    store(out, 8 * LANES, spread(largest(x)))


@exact_kernel
def summed(a, b, c, d, out):
    store_totals(out, 1, load(a, 0), load(b, 0), load(c, 0), load(d, 0))


@exact_kernel
def polynomial(values, out):
    for at in range(0, len(values), LANES):
        x = load(values, at)
        store(out, at, x * (x * TWO + x) + x / (x * x + TWO))


@exact_kernel
def mixed_up(a, factor):
    store(a, 0, load(a, 0) * factor)


def test_each_operation_is_numpys():
    out = np.zeros(9 * LANES, np.float32)
    computed(A, B, out)
    expected = (
        A + B, TWO - B, A * TWO, A / B, np.minimum(A, B), np.maximum(A, B), np.where(A < B, TWO, A), np.abs(A),
        np.full(LANES, A.max()),
    )  # fmt: skip
    assert np.array_equal(out, np.concatenate(expected))


def test_totals_are_the_four_sums_in_order():
    out = np.zeros(6, np.float32)
    summed(A, B, C, D, out)
    expected = [0.0, *(values.astype(np.float64).sum() for values in (A, B, C, D)), 0.0]
    np.testing.assert_allclose(out, expected, rtol=0, atol=1e-5)


def test_the_place_of_an_array_changes_no_bit():
    values = RNG.normal(size=5 * LANES).astype(np.float32)
    results = set()
    for shift in range(ALIGNMENT // 4):
        room, out = np.zeros(len(values) + shift, np.float32), np.zeros(len(values) + shift, np.float32)
        room[shift:] = values
        polynomial(room[shift:], out[shift:])
        results.add(out[shift:].tobytes())
    assert len(results) == 1


def test_aligned_arrays_begin_at_a_cache_line():
    arrays = [aligned(count) for count in (1, 7, 64, 1000)]
    assert [len(array) for array in arrays] == [1, 7, 64, 1000]
    assert all(array.ctypes.data % ALIGNMENT == 0 for array in arrays)


def test_numbers_of_another_type_are_refused():
    """A float64 beside lanes would be rounded in silence."""
    with pytest.raises(TypingError):
        mixed_up(A.copy(), 2.0)
