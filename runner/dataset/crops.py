"""Photos that are a part of another picture, told by the points of the sparse model that both see.

A crop from the side of a photo has its principal point beside its middle, which COLMAP's cameras do not know: the
camera that is found looks elsewhere and stands elsewhere, so cameras do not tell it (twins.py). Its pixels do: between
a picture and a part of it all points follow one similarity (scale, turn, shift), to the error of the features. Between
two photos of one place they do not: of what is not flat because of the step between them, of what is flat because of
the turn. One taken closer to something flat, or one only zoomed in, looks like a part, and shows no more than one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array

FEWEST = 30  # points that both see
LEAST_SHARE = 0.4  # of the points that a part sees, which the whole sees too: 0.68 to 0.87 were seen
OFF = 0.001  # of the long side: eight of ten points are nearer to where the similarity has them. Crops of sceaux had
NEAREST = 0.8  # 0.0002 at most, two photos of it 0.0045 at least
OUTSIDE = 0.02  # of the long side: a part reaches so far out of the whole at most
ROUNDS = 6  # of fitting


@dataclass(frozen=True)
class Seen:
    """What one picture sees of the sparse model."""

    width: int
    height: int  # of the picture that `at` is in
    points: NDArray[np.int64]  # [N] numbers of points, increasing
    at: NDArray[np.float64]  # [N, 2] px, with the lens's distortion


def find_crops(seen: Sequence[Seen], photos: Sequence[int]) -> dict[int, int]:
    """Index of a photo that is a part of another picture -> index of that one, which is no such part itself.

    photos: indices of those that may be parts; any picture may be the whole. Of two that show the same the later one is
    the part.
    """
    shared = shared_points(seen)
    wholes: dict[int, int] = {}
    for one in photos:
        around = [
            (area, other)
            for other in range(len(seen))
            if other != one and shared[one, other] >= max(FEWEST, LEAST_SHARE * len(seen[one].points))
            if (area := _share_of_whole(seen[one], seen[other])) and (area < 1 - OUTSIDE or other < one)
        ]
        if around:
            wholes[one] = min(around)[1]
    return flattened(wholes)


def flattened(*groups: Mapping[int, int]) -> dict[int, int]:
    """What follows something that follows something else itself, follows that one."""
    found: dict[int, int] = {}
    for group in groups:
        for first, second in group.items():
            one, other = found.get(first, first), found.get(second, second)
            if one != other:
                found = {index: other if twin == one else twin for index, twin in found.items()} | {one: other}
    return found


def shared_points(seen: Sequence[Seen]) -> NDArray[np.int64]:
    """[N, N] how many points two pictures both see."""
    rows = np.repeat(np.arange(len(seen)), [len(one.points) for one in seen])
    numbers, columns = np.unique(np.concatenate([one.points for one in seen]), return_inverse=True)
    sees = coo_array((np.ones(len(rows), np.int64), (rows, columns)), (len(seen), len(numbers) or 1)).tocsr()
    shared: NDArray[np.int64] = (sees @ sees.T).toarray()
    return shared


def _share_of_whole(part: Seen, whole: Seen) -> float:
    """How much of the whole the part shows; 0 where it is no part of it."""
    _, first, second = np.intersect1d(part.points, whole.points, assume_unique=True, return_indices=True)
    at, there = (points @ np.array([1, 1j]) for points in (part.at[first], whole.at[second]))
    scale, shift, off = _similarity(at, there)
    side = max(whole.width, whole.height)
    if not np.quantile(off, NEAREST) <= OFF * side:
        return 0.0
    corners = scale * np.array([0, part.width, part.width + 1j * part.height, 1j * part.height]) + shift
    out = max(-corners.real.min(), -corners.imag.min(), corners.real.max() - whole.width,
              corners.imag.max() - whole.height)  # fmt: skip
    if out > OUTSIDE * side:
        return 0.0
    return float(abs(scale) ** 2 * part.width * part.height / (whole.width * whole.height))


def _similarity(
    at: NDArray[np.complex128], there: NDArray[np.complex128]
) -> tuple[complex, complex, NDArray[np.float64]]:
    """Scale with turn, and shift, that take points to others, by least squares without what lies far off; and how far
    off each is, px."""
    kept = np.ones(len(at), bool)
    for _ in range(ROUNDS):
        middle, other = at[kept].mean(), there[kept].mean()
        spread = float((abs(at[kept] - middle) ** 2).sum())
        scale = complex((np.conj(at[kept] - middle) * (there[kept] - other)).sum() / max(spread, 1e-12))
        shift = complex(other - scale * middle)
        off = np.abs(scale * at + shift - there)
        kept = off <= max(3 * float(np.median(off)), 1e-9)
    return scale, shift, off
