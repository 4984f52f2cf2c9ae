"""A camera that leaps within a film, while the pictures go on as before: two parts are joined at the wrong place.

Where a pattern repeats (wallpaper, tiles, windows) two halves of a film can be joined by one period too far. Every
match between them fits, each half is right, and no two views of both halves show anything that contradicts. But whoever
films does not leap: from one frame to the next the camera would move many times as far as before and after, and the
pictures would change by as much.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from runner.quality.nearest import thumb
from runner.scene.geometry import camera_positions
from runner.scene.views import TrainingScene

LEAST_VIEWS = 8  # of a film
AROUND = 4  # steps before a step, and as many after it, that it is compared with
LEAST_AROUND = 4  # of them in all
LEAP = 3.0  # times the longest of these: right cameras, where the pictures change no more, have 1.9 at most
LEAP_UNSEEN = 5.0  # the same where neighbouring pictures have nothing in common, so that they cannot change by more
CHANGES = 1.5  # times the usual change of the pictures, from which on they say that the camera did leap
UNLIKE = 0.7  # usual change, 0..1, of pictures that have nothing in common
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Leap:
    """One of them."""

    video: str  # View.video
    timestamp_s: float  # of the picture before it
    times: float  # as long as the longest step around it


def leaps(scene: TrainingScene, films: Sequence[Sequence[str]]) -> tuple[Leap, ...]:
    """films: of each the names of its images, in order of time, without a cut. Other images (photos) are not asked."""
    index_of = {view.image: index for index, view in enumerate(scene.views)}
    centres, found = camera_positions(scene.views), []
    for film in films:
        views = [index_of[name] for name in film if name in index_of]
        if len(views) < LEAST_VIEWS:
            continue
        times = np.array([scene.views[view].timestamp_s for view in views])
        speeds = np.linalg.norm(np.diff(centres[views], axis=0), axis=1) / np.maximum(np.diff(times), 1e-3)
        thumbs = [thumb(scene.pixels[view]) for view in views]
        changes = np.array([_change(one, other) for one, other in pairwise(thumbs)])
        for step, factor in enumerate(_leaps(speeds, changes)):
            if factor:
                found.append(Leap(scene.views[views[step]].video, float(times[step]), factor))
    return tuple(found)


def _change(one: Array, other: Array) -> float:
    """0: the same but for its exposure; 1: nothing in common."""
    if one.shape != other.shape:
        return 1.0
    return 1.0 - float((one * other).sum(axis=0).mean())


def _leaps(speeds: Array, changes: Array) -> list[float]:
    """For each step how many times as long as those around it, 0 for what is none. Pure."""
    found = []
    for step, (speed, change) in enumerate(zip(speeds, changes, strict=True)):
        around = [other for other in range(max(0, step - AROUND), min(len(speeds), step + AROUND + 1)) if other != step]
        longest, usual = float(speeds[around].max(initial=0.0)), float(np.median(changes[around])) if around else 0.0
        limit = LEAP if usual < UNLIKE else LEAP_UNSEEN
        leap = len(around) >= LEAST_AROUND and longest > 0 and speed > limit * longest and change < CHANGES * usual
        found.append(float(speed / longest) if leap else 0.0)
    return found
