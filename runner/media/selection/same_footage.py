"""Films that show the same recording: a copy in another codec, at another size or frame rate, or a part cut out of it.

Trained on, such a copy tells nothing new and takes frames; held out, each of its frames has a twin in training, and the
score tells how well training remembers. Told by the brightness of an 8 x 8 grid over time: at a constant offset, frames
of a copy differ by far less than half a second of the camera's motion does. Two walks along one path do not. A mirrored
copy is told in the same way, and is worse than useless: nothing in it fits the place.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runner.media.captures import Capture
from runner.media.selection.measures import LOOK_CELLS, FrameMeasures
from scenejobs.errors import UnusedFile
from scenejobs.wording import listed

SAMPLES = 48  # frames of the shorter film that are looked for in the other
ALIKE = 0.98  # correlation of two frames that may be the same; tells the offset
MOST_APART = 0.01  # 1 - correlation of the same frame in two encodings: 0.0001 to 0.003 were seen
SHARE_OF_MOTION = 0.25  # of what STEP_S of the camera's motion changes
STEP_S = 0.5
INSIDE = 0.9  # of the samples lie in the time of the other film
NAMED = 5


@dataclass(frozen=True)
class Film:
    """The frames of a film as vectors."""

    looks: NDArray[np.float32]  # [N, 64] without mean, of length 1; zeros for a blank frame
    times: NDArray[np.float64]  # [N] seconds, increasing


def without_copies(captures: Sequence[Capture]) -> tuple[list[Capture], tuple[UnusedFile, ...], tuple[str, ...]]:
    """The captures without films that show what another one shows; those films; a warning about them.

    The one with most pixels stays, of the same size that with most frames, then the one that knows its camera.
    """
    per_file = Counter(capture.clips[0].name for capture in captures)
    films = [c for c in captures if not c.is_photos and per_file[c.clips[0].name] == 1 and has_looks(c.measures)]
    order = sorted(films, key=_worth)
    kept: list[tuple[Capture, Film]] = []
    copy_of: dict[str, tuple[str, str]] = {}
    for capture in order:
        film = film_of(capture.measures)
        twin = _twin(film, kept, "") or _twin(mirrored(film), kept, ", mirrored")
        for quarters in (1, 2, 3):
            twin = twin or _twin(turned(film, quarters), kept, ", turned")
        twin = twin or _twin(backwards(film), kept, ", backwards")
        if twin is None:
            kept.append((capture, film))
        else:
            copy_of[capture.info.name] = twin
    if not copy_of:
        return list(captures), (), ()
    unused = tuple(
        UnusedFile(name, f"it shows the same as {other}{how}", other) for name, (other, how) in copy_of.items()
    )
    named = listed([f"{each.name} as {each.same_as}" for each in unused], NAMED)
    what = "1 video shows" if len(unused) == 1 else f"{len(unused)} videos show"
    warning = f"{what} the same recording as another and {'is' if len(unused) == 1 else 'are'} left out: {named}"
    return [capture for capture in captures if capture.info.name not in copy_of], unused, (warning,)


def _worth(film: Capture) -> tuple[object, ...]:
    """Most worth first."""
    info = film.info
    return -info.width * info.height, -info.frame_count, info.camera_model is None


def _twin(film: Film, kept: Sequence[tuple[Capture, Film]], how: str) -> tuple[str, str] | None:
    """The name of the one that shows the same, and how."""
    return next(((other.info.name, how) for other, frames in kept if shows_the_same(film, frames)), None)


def mirrored(film: Film) -> Film:
    """Left and right changed round."""
    grid = film.looks.reshape(-1, LOOK_CELLS, LOOK_CELLS)
    return Film(np.ascontiguousarray(grid[:, :, ::-1]).reshape(film.looks.shape), film.times)


def turned(film: Film, quarters: int) -> Film:
    """By so many right angles, as by a program that turned it and forgot to say so."""
    grid = film.looks.reshape(-1, LOOK_CELLS, LOOK_CELLS)
    return Film(np.ascontiguousarray(np.rot90(grid, quarters, axes=(1, 2))).reshape(film.looks.shape), film.times)


def backwards(film: Film) -> Film:
    """From its end to its beginning."""
    return Film(np.ascontiguousarray(film.looks[::-1]), film.times[-1] - film.times[::-1])


def shows_the_same(film: Film, other: Film) -> bool:
    """Whether everything that `film` shows is in `other`, at a constant offset in time."""
    times, alike, offsets, sure = looked_for(film, other, SAMPLES)
    if sure.mean() < INSIDE:
        return False
    offset_s = float(np.median(offsets[sure]))
    expected, reach = times + offset_s, reach_s(other)
    inside = (expected >= other.times[0] - reach) & (expected <= other.times[-1] + reach)
    if inside.mean() < INSIDE:
        return False
    apart, moved = apart_and_moved(expected[inside], alike[inside], other)
    allowed = min(MOST_APART, SHARE_OF_MOTION * float(np.median(moved)))
    return bool(np.median(apart) <= allowed and np.quantile(apart, INSIDE) <= 2 * max(allowed, 1e-4))


def looked_for(
    film: Film, other: Film, samples: int
) -> tuple[NDArray[np.float64], NDArray[np.float32], NDArray[np.float64], NDArray[np.bool_]]:
    """So many frames of a film: their times [samples], how alike each is to the frames of another [samples, N], the
    seconds to the one most like it [samples], and whether that may be the same."""
    picked = np.unique(np.linspace(0, len(film.times) - 1, samples).round().astype(int))
    times = film.times[picked]
    alike = film.looks[picked] @ other.looks.T
    best = alike.argmax(axis=1)
    return times, alike, other.times[best] - times, alike[np.arange(len(picked)), best] > ALIKE


def reach_s(film: Film) -> float:
    """So far from the expected time, in seconds, its frame may be."""
    return max(1.5 * float(np.median(np.diff(film.times))), 0.06)


def apart_and_moved(
    expected: NDArray[np.float64], alike: NDArray[np.float32], other: Film
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """1 - correlation with what the other film shows around the expected times [samples], and with what it shows there
    after STEP_S of its motion. alike: as of `looked_for`."""
    near = np.abs(other.times[None, :] - expected[:, None]) <= reach_s(other)
    apart = 1 - np.where(near, alike, -1.0).max(axis=1)
    at = nearest(other.times, expected)
    later, earlier = nearest(other.times, expected + STEP_S), nearest(other.times, expected - STEP_S)
    return apart, 1 - np.minimum(along(other.looks, at, later), along(other.looks, at, earlier))


def along(looks: NDArray[np.float32], one: NDArray[np.intp], other: NDArray[np.intp]) -> NDArray[np.float32]:
    """[N] correlation of each frame of `one` with that of `other`."""
    correlation: NDArray[np.float32] = (looks[one] * looks[other]).sum(axis=1)
    return correlation


def nearest(times: NDArray[np.float64], wanted: NDArray[np.float64]) -> NDArray[np.intp]:
    """[N] indices of the frames nearest to the wanted times."""
    found: NDArray[np.intp] = np.abs(times[None, :] - wanted[:, None]).argmin(axis=1)
    return found


def has_looks(frames: Sequence[FrameMeasures]) -> bool:
    """An earlier program's survey, found in a cache, has none."""
    return len(frames) > 1 and all(frame.look for frame in frames)


def film_of(frames: Sequence[FrameMeasures]) -> Film:
    """Of frames that have looks."""
    grey = np.array([list(bytes.fromhex(frame.look)) for frame in frames], np.float32)
    grey -= grey.mean(axis=1, keepdims=True)
    length = np.linalg.norm(grey, axis=1, keepdims=True)
    blank = length < grey.shape[1] ** 0.5  # one grey level
    return Film(np.where(blank, 0, grey / np.maximum(length, 1e-6)), np.array([f.timestamp_s for f in frames]))
