"""Frames of a film that show what it showed before: a clip that an editor or a player repeats, forwards or backwards.

They count once. Chosen twice, such a picture takes the place of another one; and held out, it has a twin in training.
Of a second walk past the same place, pictures count as repeats that are as near as a tenth of a second of motion.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from runner.media.selection.measures import FrameMeasures
from runner.media.selection.same_footage import MOST_APART, STEP_S, film_of, has_looks

AS_NEAR_S = 0.1  # of its own motion, that far from an earlier picture a frame shows nothing new
COMPARED_S = (0.03, 0.15)  # between the frames by which that is measured; others tell of exact repetition alone
EXACT = 1e-6  # 1 - correlation of a picture with itself
SHARPER = 1.1  # than the earlier picture: then it is worth having
MOST = 0.5  # of a film; where it repeats more, that is said, and how far its frames are apart says nothing


@dataclass(frozen=True)
class Repeats:
    """What of a film was there before."""

    again: frozenset[int]  # indices of frames that show the same as one before, by STEP_S at least, which is as sharp
    new_s: tuple[float, ...]  # of each frame, seconds of motion from the most similar one before; STEP_S at most

    @property
    def is_most(self) -> bool:
        return len(self.again) > MOST * len(self.new_s)

    def told(self) -> str:
        """A warning about a film that mostly repeats; empty for others."""
        if not self.is_most:
            return ""
        frames = len(self.new_s)
        differ = frames - len(self.again)
        return f"it shows the same again and again: {differ:,} of {frames:,} frames differ, and only these are used"

    def without_gaps(self, frames: Sequence[FrameMeasures], chosen: Sequence[int]) -> list[FrameMeasures]:
        """Some of the frames, with times and travel as if the film showed each thing once, without a gap."""
        times_s = np.cumsum([self.new_s[index] for index in chosen]).tolist()
        return [
            replace(frames[index], timestamp_s=time_s, travel=time_s)
            for index, time_s in zip(chosen, times_s, strict=True)
        ]


def find_repeats(frames: Sequence[FrameMeasures]) -> Repeats:
    """Told by the brightness of a grid, like copies of films."""
    if not has_looks(frames):
        return Repeats(frozenset(), (0.0,) * len(frames))
    film = film_of(frames)
    sharp = np.array([frame.sharpness for frame in frames])
    same = _same(film.looks, film.times)
    before = 1 - (film.looks * np.roll(film.looks, 1, axis=0)).sum(axis=1)
    kept, nearest = np.ones(len(frames), bool), np.where(np.arange(len(frames)), before, 0.0)
    begin = 0
    while begin < len(frames):  # frames within STEP_S are not compared with each other, so all of them at once
        end = max(begin + 1, int(np.searchsorted(film.times, film.times[begin] + STEP_S)))
        earlier = np.flatnonzero(kept[:begin])
        alike = film.looks[begin:end] @ film.looks[earlier].T
        apart = 1 - alike.max(axis=1, initial=-1.0)
        nearest[begin:end] = np.minimum(nearest[begin:end], apart)
        for row in np.flatnonzero(apart <= same[begin:end]).tolist():
            index = begin + row
            found = earlier[1 - alike[row] <= same[index]]
            long_ago = film.times[found] <= film.times[index] - STEP_S
            kept[index] = not (long_ago & (sharp[index] <= SHARPER * sharp[found])).any()
        begin = end
    new_s = np.minimum(AS_NEAR_S * np.sqrt(np.maximum(nearest, 0.0) / same), STEP_S)
    return Repeats(frozenset(np.flatnonzero(~kept).tolist()), tuple(new_s.tolist()))


def _same(looks: NDArray[np.float32], times: NDArray[np.float64]) -> NDArray[np.float64]:
    """[frames] 1 - correlation with a picture that shows the same: what AS_NEAR_S of the motion there changes."""
    changes = []
    for step_s in (AS_NEAR_S, -AS_NEAR_S):
        near = _nearest(times, times + step_s)
        between_s = np.abs(times[near] - times)
        change = (1 - (looks * looks[near]).sum(axis=1)) * (AS_NEAR_S / np.maximum(between_s, COMPARED_S[0])) ** 2
        fits = (between_s >= COMPARED_S[0]) & (between_s <= COMPARED_S[1])
        changes.append(np.where(fits, change, np.inf))
    least = np.minimum(*changes)
    same: NDArray[np.float64] = np.clip(np.where(np.isinf(least), 0.0, least), EXACT, MOST_APART)
    return same


def _nearest(times: NDArray[np.float64], wanted: NDArray[np.float64]) -> NDArray[np.intp]:
    """[N] like `same_footage.nearest`, of many frames."""
    after = np.clip(np.searchsorted(times, wanted), 1, len(times) - 1)
    nearest: NDArray[np.intp] = after - (wanted - times[after - 1] < times[after] - wanted)
    return nearest
