"""Films that are a part of another one, cut out of the side of its pictures, told by the points that both see.

As of photos (crops.py), cameras do not tell them: the middle of such a picture is not where the lens looks. And no
frame of the one is a frame of the other: two in time lie around it. So the points are taken between these two, and the
part has to lie at one place of the whole, at one size, all the time. Whoever walks twice holds the camera otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from runner.dataset.crops import Seen, flattened, shared_points
from runner.scene.views import evenly

FEWEST = 20  # points that a frame and the two around it see
LEAST_FRAMES, MOST_FRAMES = 5, 16  # of a film that are looked for in the other
LEAST_SHARE = 0.6  # of these that lie at its place there
AT_ITS_PLACE = 0.015  # of the long side: so far from the usual place, and so much larger or smaller, a frame is there
OFF, NEAREST = 0.003, 0.8  # of the long side: so near, so many of the points are to where the place has them
LARGER = 0.02  # than the other film: that one is the part
BEYOND = 0.3  # of the time between two frames, before the first and after the second of them
ROUNDS = 5  # of fitting
Complex = NDArray[np.complex128]
Place = tuple[complex, complex]  # scale with turn, and shift of the middle, of pictures of long side 1


def find_cut_films(seen: Sequence[Seen], films: Sequence[Sequence[int]]) -> dict[int, int]:
    """Index of a frame of a film that is a part of another one -> index of the frame most like it of that one, which is
    no such part itself. films: indices of the frames of each, in order of time."""
    known = [film for film in films if len(film) >= LEAST_FRAMES]
    if len(known) < 2:
        return {}
    shared = shared_points(seen)
    found: dict[int, int] = {}
    for number, part in enumerate(known):
        for other, whole in enumerate(known):
            if other == number or part[0] in found or whole[0] in found:
                continue
            place = _place(seen, shared, part, whole)
            if place is not None and abs(place[0]) < (1 + LARGER if other < number else 1 - LARGER):
                found |= {index: _nearest(seen, shared, index, whole, place) for index in part}
    return flattened(found)


def _place(
    seen: Sequence[Seen], shared: NDArray[np.int64], part: Sequence[int], whole: Sequence[int]
) -> Place | None:  # fmt: skip
    """Where a film lies in another one; None where it is no part of it."""
    looked_for = [part[number] for number in evenly(range(len(part)), MOST_FRAMES)]
    least = max(LEAST_FRAMES, LEAST_SHARE * len(looked_for))
    places: list[Place] = []
    for number, index in enumerate(looked_for):
        if len(places) + len(looked_for) - number < least:
            return None
        fits = [
            fit for one, two in pairwise(whole)
            if min(shared[index, one], shared[index, two]) >= FEWEST
            and (fit := _fit(seen[index], seen[one], seen[two])) is not None
        ]  # fmt: skip
        if fits:
            places.append(min(fits, key=lambda fit: fit[0])[1])
    if len(places) < least:
        return None
    scale, shift = (complex(np.median(np.real(each)), np.median(np.imag(each))) for each in zip(*places, strict=True))
    near = [max(abs(place[0] - scale), abs(place[1] - shift)) <= AT_ITS_PLACE for place in places]
    return (scale, shift) if sum(near) >= least else None


def _fit(part: Seen, first: Seen, second: Seen) -> tuple[float, Place] | None:
    """How far off the points of a frame are, and its place; None where it is not between the two others.

    Least squares, without what lies far off, of scale * part + shift = first + share * (second - first).
    """
    common = np.intersect1d(np.intersect1d(part.points, first.points, True), second.points, True)
    if len(common) < FEWEST:
        return None
    here, one, two = (_unit(picture, common) for picture in (part, first, second))
    ones, zeros, moved = np.ones(len(common)), np.zeros(len(common)), two - one
    rows = np.concatenate([
        np.stack([here.real, -here.imag, ones, zeros, -moved.real], axis=1),
        np.stack([here.imag, here.real, zeros, ones, -moved.imag], axis=1),
    ])  # fmt: skip
    wanted = np.concatenate([one.real, one.imag])
    kept = np.ones(len(common), bool)
    for _ in range(ROUNDS):
        both = rows[np.concatenate([kept, kept])]
        numbers = np.linalg.lstsq(both, wanted[np.concatenate([kept, kept])], rcond=None)[0]
        off = np.hypot(*np.split(rows @ numbers - wanted, 2))
        kept = off <= max(3 * float(np.median(off)), 1e-9)
    far, share = float(np.quantile(off, NEAREST)), float(numbers[4])
    if far > OFF or not -BEYOND <= share <= 1 + BEYOND:
        return None
    return far, (complex(*numbers[:2]), complex(*numbers[2:4]))


def _nearest(
    seen: Sequence[Seen], shared: NDArray[np.int64], index: int, whole: Sequence[int], place: Place
) -> int:  # fmt: skip
    """Of another film, the frame in which a frame's points are nearest to where its place has them."""
    off = []
    for other in whole:
        common = np.intersect1d(seen[index].points, seen[other].points, True)
        at, there = (_unit(seen[each], common) for each in (index, other))
        off.append(float(np.median(np.abs(place[0] * at + place[1] - there))) if len(common) >= FEWEST else np.inf)
    if np.isinf(min(off)):
        return whole[int(shared[index, list(whole)].argmax())]
    return whole[int(np.argmin(off))]


def _unit(picture: Seen, points: NDArray[np.int64]) -> Complex:
    """Where it sees these points, from its middle, in long sides."""
    at = picture.at[np.searchsorted(picture.points, points)] - [picture.width / 2, picture.height / 2]
    found: Complex = (at @ np.array([1, 1j])) / max(picture.width, picture.height)
    return found
