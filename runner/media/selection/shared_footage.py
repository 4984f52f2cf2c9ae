"""Films that have a part in common: both are used, and what is held out of one must not be trained on in the other.

Told like copies (`same_footage.py`), but for every stretch at a constant offset by itself: an edited film may hold
several pieces of a longer one.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from runner.media.captures import Capture
from runner.media.selection.same_footage import (
    MOST_APART,
    SHARE_OF_MOTION,
    Film,
    apart_and_moved,
    film_of,
    has_looks,
    looked_for,
    reach_s,
)
from runner.scene.frames import SharedStretch
from scenejobs.wording import listed

SAMPLES = 240  # frames of the shorter film that are looked for in the other
FEWEST = 4  # samples of a stretch
SHORTEST_S = 0.5  # below, two films may be alike by chance
MISSES = 2  # samples between others that may differ more
MOST_STRETCHES = 8  # of two films
LEAST_MOVED = 4e-4  # 1 - correlation over STEP_S: whatever moves less is alike at any offset
NAMED = 3

Stretch = tuple[float, float, float]  # begin and end in one film, offset in seconds to the other


def shared_footage(captures: Sequence[Capture]) -> tuple[tuple[SharedStretch, ...], tuple[str, ...]]:
    """What the films have in common, two by two; a warning about it."""
    films = [(c, film_of(c.measures)) for c in captures if not c.is_photos and has_looks(c.measures)]
    found: list[SharedStretch] = []
    for number, (capture, film) in enumerate(films):
        for other, frames in films[:number]:
            if capture.clips[0].name != other.clips[0].name:
                found += [
                    SharedStretch(capture.info.name, begin_s, end_s, other.info.name, offset_s)
                    for begin_s, end_s, offset_s in stretches_in_both(film, frames)
                ]
    if not found:
        return (), ()
    named = [
        f"{one.video} from {one.begin_s:.1f} to {one.end_s:.1f} s and {one.other} from "
        f"{one.begin_s + one.offset_s:.1f} to {one.end_s + one.offset_s:.1f} s"
        for one in found
    ]
    said = "films show the same recording in parts, which are held out of training together"
    return tuple(found), (f"{said}: {listed(named, NAMED, '; ')}",)


def stretches_in_both(film: Film, other: Film) -> list[Stretch]:
    """Of `film`, in order."""
    if film.times[-1] - film.times[0] <= other.times[-1] - other.times[0]:
        return _stretches(film, other)
    return sorted((begin + offset, end + offset, -offset) for begin, end, offset in _stretches(other, film))


def _stretches(film: Film, other: Film) -> list[Stretch]:
    times, alike, offsets, sure = looked_for(film, other, SAMPLES)
    reach = reach_s(other)
    found: list[Stretch] = []
    for _ in range(2 * MOST_STRETCHES):
        offset_s = _most_frequent(offsets[sure], reach)
        if offset_s is None or len(found) == MOST_STRETCHES:
            break
        same = _same_at(offset_s, alike, times, other)
        agreeing = sure & (np.abs(offsets - offset_s) <= reach)
        for first, last in _runs(same):
            if agreeing[first : last + 1].sum() >= FEWEST and times[last] - times[first] >= SHORTEST_S:
                begin_s, end_s = times[max(first - 1, 0)], times[min(last + 1, len(times) - 1)]
                edges = (film.times > begin_s) & (film.times < times[first])
                edges |= (film.times > times[last]) & (film.times < end_s)
                between = film.times[edges]  # up to where between two samples it goes
                more = between[_same_at(offset_s, film.looks[edges] @ other.looks.T, between, other)]
                both = np.concatenate([more, times[[first, last]]])
                found.append((float(both.min()), float(both.max()), offset_s))
                sure[first : last + 1] = False
        sure &= ~agreeing
    return sorted(found)


def _most_frequent(offsets: NDArray[np.float64], reach: float) -> float | None:
    """The offset that most samples agree on; None where fewer than FEWEST do."""
    ordered = np.sort(offsets)
    if len(ordered) < FEWEST:
        return None
    ends = np.searchsorted(ordered, ordered + reach, side="right")
    first = int(np.argmax(ends - np.arange(len(ordered))))
    agreeing = ordered[first : ends[first]]
    return float(np.median(agreeing)) if len(agreeing) >= FEWEST else None


def _same_at(offset_s: float, alike: NDArray[np.float32], times: NDArray[np.float64], other: Film) -> NDArray[np.bool_]:
    """[samples] whether the other film shows the same at this offset, by far more than the motion around it would."""
    apart, moved = apart_and_moved(times + offset_s, alike, other)
    same: NDArray[np.bool_] = (moved >= LEAST_MOVED) & (apart <= 2 * np.minimum(MOST_APART, SHARE_OF_MOTION * moved))
    return same


def _runs(same: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """First and last sample of each stretch, whose samples but MISSES at a time are the same."""
    runs: list[tuple[int, int]] = []
    for index in np.flatnonzero(same).tolist():
        if runs and index - runs[-1][1] <= MISSES + 1:
            runs[-1] = (runs[-1][0], index)
        else:
            runs.append((index, index))
    return runs
