"""Unit quaternions for files that keep a few bits of each: normalised, and as the smallest three components."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

OTHERS = np.array([[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2]])  # the components beside the largest, in order


def unit(quats: NDArray[np.float32]) -> NDArray[np.float32]:
    """[N, 4] of length 1."""
    scaled = _scaled(quats)
    normalised: NDArray[np.float32] = scaled / np.linalg.norm(scaled, axis=1, keepdims=True)
    return normalised


def smallest_three(quats: NDArray[np.float32]) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Which of the four components is largest [N], and the other three [N, 3] of that rotation where it is positive."""
    values = _scaled(quats).astype(np.float64)
    values /= np.linalg.norm(values, axis=1, keepdims=True)
    largest = np.abs(values).argmax(axis=1)
    values *= np.where(values[np.arange(len(values)), largest] < 0, -1, 1)[:, None]
    return largest, np.take_along_axis(values, OTHERS[largest], axis=1)


def _scaled(quats: NDArray[np.float32]) -> NDArray[np.float32]:
    """The largest component becomes 1 or -1: squares of tiny values are 0."""
    scaled: NDArray[np.float32] = quats / np.abs(quats).max(axis=1, keepdims=True)
    return scaled


def from_smallest_three(largest: NDArray[np.intp], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """[N, 4] of length 1, in the order of the components that `largest` counts in."""
    values = np.zeros((len(others), 4))
    np.put_along_axis(values, OTHERS[largest], others, axis=1)
    values[np.arange(len(values)), largest] = np.sqrt(np.maximum(0.0, 1 - (others**2).sum(axis=1)))
    return values
