"""Which pairs of images are worth a comparison of all their features, from how much each pair looks alike.

Pure: it takes a matrix and gives a list. The number of pairs grows with the number of frames, not with its square.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

ACROSS = 3  # most alike frames of each other shot, per frame
OTHER_SHOTS = 8  # at most, the most alike ones: a film of many cuts is no set of clips of one place


@dataclass(frozen=True)
class Pictures:
    """N images in the order of their shots, and in each shot in that of time."""

    shot_of: NDArray[np.int64]  # [N]
    moment_of: NDArray[np.int64]  # [N] images of one moment (views of a 360-degree frame) are never compared


def choose_pairs(alike: NDArray[np.float32], pictures: Pictures, each: int, in_time: int) -> NDArray[np.int64]:
    """[M, 2] numbers of images, the lower one first, in order.

    alike: [N, N] symmetric, 0 and more. each: so many of the most alike ones of every image. in_time: so many after
    each one in its shot. With them go the most alike of other shots, and the spanning tree of the most alike pairs,
    which leaves nobody alone.
    """
    from scipy.sparse import csr_matrix  # loaded where it is needed: other requests to COLMAP's process choose nothing
    from scipy.sparse.csgraph import minimum_spanning_tree

    count = len(alike)
    allowed = pictures.moment_of[:, None] != pictures.moment_of[None, :]
    weights = np.where(allowed, alike, -1.0)
    wanted = np.zeros((count, count), bool)
    _mark_best(wanted, weights, each)
    same_shot = pictures.shot_of[:, None] == pictures.shot_of[None, :]
    for step in range(1, in_time + 1):
        first = np.flatnonzero(np.diagonal(same_shot, step))
        wanted[first, first + step] = True
    _mark_other_shots(wanted, weights, pictures.shot_of)
    tree = minimum_spanning_tree(csr_matrix(np.where(allowed, 1.0 / (1.0 + np.maximum(weights, 0.0)), 0.0))).tocoo()
    wanted[tree.row, tree.col] = True
    wanted = np.triu((wanted | wanted.T) & allowed, 1)
    return np.argwhere(wanted)


def _mark_best(wanted: NDArray[np.bool_], weights: NDArray[np.float32], each: int) -> None:
    """Of every image the most alike ones, as far as they are alike at all; equal ones by their number."""
    best = np.argsort(-weights, axis=1, kind="stable")[:, :each]
    np.put_along_axis(wanted, best, np.take_along_axis(weights, best, axis=1) > 0, axis=1)


def _mark_other_shots(wanted: NDArray[np.bool_], weights: NDArray[np.float32], shot_of: NDArray[np.int64]) -> None:
    """Of every image the most alike ones of other shots: what joins clips to one model."""
    shots = np.unique(shot_of)
    best_of = np.stack([weights[:, shot_of == shot].max(axis=1) for shot in shots], axis=1)  # [N, shots]
    for own in shots:
        rows = np.flatnonzero(shot_of == own)
        total = best_of[rows].sum(axis=0)
        total[shots == own] = -np.inf
        for other in shots[np.argsort(-total, kind="stable")[:OTHER_SHOTS]]:
            if other != own:
                columns = np.flatnonzero(shot_of == other)
                some = weights[np.ix_(rows, columns)]
                best = np.argsort(-some, axis=1, kind="stable")[:, :ACROSS]
                wanted[rows[:, None], columns[best]] |= np.take_along_axis(some, best, axis=1) > 0
