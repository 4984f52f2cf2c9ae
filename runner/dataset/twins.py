"""Frames that show what others show, told by where their cameras are: copies of a film or photo that are cropped,
stamped, enlarged or played at another speed, so that their pictures do not tell (media/selection/same_footage.py).

The camera of such a copy is where the other one's is. Somebody who walks a path a second time is a good part of a step
beside it, so a film is taken for a copy only where it follows another one closely for some frames. What is held out of
the one is then not trained on in the other (holdout.py).
"""

from __future__ import annotations

from collections.abc import Container, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from runner.scene.geometry import angles_between_deg

BESIDE = 0.15  # of the usual step of a film: so far from its path is a copy; errors of poses and what hands do between
TURNED_DEG = 3.0  # from how the other camera looks there
LEAST_RUN = 5  # frames, one after the other, that follow the other film
BESIDE_PHOTO = 0.03  # of the usual distance to the third nearest camera
Array = NDArray[np.float64]


def find_twins(
    timeline: Sequence[tuple[str, float]], photos: Container[str], centres: Array, rotations: Array
) -> dict[int, int]:
    """Index of a view that shows what another one shows -> index of that one, which is never such a view itself.

    timeline: (video or set of photos, seconds) of each view. photos: names of such sets. centres: [N, 3] in the world.
    rotations: [N, 3, 3] world to camera.
    """
    films: dict[str, list[int]] = {}
    stills = []
    for index in sorted(range(len(timeline)), key=lambda i: (timeline[i], i)):
        if timeline[index][0] in photos:
            stills.append(index)
        else:
            films.setdefault(timeline[index][0], []).append(index)
    found: dict[int, int] = {}
    kept: list[list[int]] = []
    for film in sorted(films.values(), key=lambda each: -len(each)):
        for other in kept:
            followed = _followed(film, other, centres, rotations)
            found |= {index: twin for index, twin in followed.items() if index not in found}
        kept.append([index for index in film if index not in found])
    return found | _of_photos(stills, [index for film in kept for index in film], centres, rotations)


def _followed(film: Sequence[int], other: Sequence[int], centres: Array, rotations: Array) -> dict[int, int]:
    """Of the frames of a film that are on the path of another one: the nearest frame there."""
    if len(other) < 2 or len(film) < LEAST_RUN:
        return {}
    begin, step = centres[other[:-1]], np.diff(centres[other], axis=0)
    length = np.linalg.norm(step, axis=1)
    usual = float(np.median(length))
    if usual <= 0:
        return {}
    to = centres[film][:, None] - begin[None]  # [film, segment, 3]
    along = np.clip((to * step).sum(axis=2) / np.maximum(length**2, 1e-12 * usual**2), 0, 1)
    beside = np.linalg.norm(to - along[..., None] * step, axis=2)
    nearest = beside.argmin(axis=1)
    rows = np.arange(len(film))
    share = along[rows, nearest]
    one, two = (Rotation.from_matrix(rotations[[other[at + more] for at in nearest]]) for more in (0, 1))
    there = (Rotation.from_rotvec(share[:, None] * (two * one.inv()).as_rotvec()) * one).as_matrix()
    turned = [float(angles_between_deg(rotations[film][row : row + 1], there[row])[0]) for row in rows]
    follows = (beside[rows, nearest] <= BESIDE * usual) & (np.array(turned) <= TURNED_DEG)
    follows[1:-1] |= follows[:-2] & follows[2:]  # a single one between two that do
    return {
        film[row]: other[nearest[row] + int(share[row] > 0.5)]
        for first, last in _runs(follows)
        for row in range(first, last)
        if last - first >= LEAST_RUN
    }


def _runs(follows: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """First and one after the last of each stretch of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], follows, [False]]).astype(np.int8)))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def _of_photos(stills: Sequence[int], frames: Sequence[int], centres: Array, rotations: Array) -> dict[int, int]:
    """Of photos: an earlier one, or a frame of a film, from the same place in the same direction."""
    everything = [*frames, *stills]
    if not stills or len(everything) < 5:
        return {}
    apart = np.linalg.norm(centres[stills][:, None] - centres[everything][None], axis=2)
    usual = float(np.median(np.sort(apart, axis=1)[:, 3]))  # the first is the photo itself
    found: dict[int, int] = {}
    for row, index in enumerate(stills):
        for column, other in enumerate(everything[: len(frames) + row]):
            near = other not in found and apart[row, column] <= BESIDE_PHOTO * usual
            if near and angles_between_deg(rotations[index][None], rotations[other])[0] <= TURNED_DEG:
                found[index] = other
                break
    return found
