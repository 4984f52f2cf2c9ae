"""How many frames each clip gets of one budget, and which: the sharpest, spread evenly over time and motion. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Container, Sequence

import numpy as np
from numpy.typing import NDArray

from runner.media.selection.measures import FrameMeasures, duration_s, is_slide_show

MAX_RATE_FPS = 6.0  # more frames per second add time (pairs grow with the square) and no parallax
ALWAYS_USEFUL = 24  # frames of a clip, however short it is: a scene needs that many to hold together
MIN_PER_CLIP = 8  # fewer frames of a clip seldom register together
MAX_CROWDING = 2.0  # frames per second in a fast part of a clip, relative to an even spread: fast parts are blurred
LONGEST_GAP = (1.0, 3.0)  # seconds, and times what nine of ten gaps have: a longer one is a pause, which shows nothing


def choose(
    clips: Sequence[Sequence[FrameMeasures]], budget: int, rate_fps: float | None = None, photos: Sequence[bool] = (),
    preferred: Sequence[Container[int]] = (),
) -> list[list[int]]:  # fmt: skip
    """Indices into each clip's frames, increasing, at most `budget` over all clips.

    photos: which clips are sets of photos, one after the other; default: none is.
    preferred: of each clip, numbers of the frames that win in their window; default: none do.

    A clip gets frames by its duration and its motion in equal parts, and not fewer than MIN_PER_CLIP where it has them.
    Within a clip the frames are spread evenly over the same mixture, the sharpest of each window is taken, and repeated
    views are left out.
    """
    photos = photos or [False] * len(clips)
    most = [len(frames) if photo else _most(frames, rate_fps) for frames, photo in zip(clips, photos, strict=True)]
    whole = [photo or is_slide_show(frames) for frames, photo in zip(clips, photos, strict=True)]
    shares = allocate([_weight(frames, clips) for frames in clips], most, whole, budget)
    return [
        _sharpest_in_turn(frames, count) if photo else _spread(frames, count, known)
        for frames, count, photo, known in zip(clips, shares, photos, preferred or [()] * len(clips), strict=True)
    ]


def allocate(weights: Sequence[float], most: Sequence[int], photos: Sequence[bool], budget: int) -> list[int]:
    """Frames per clip: all of a clip of photos if that leaves the others their minimum, the rest by weight."""
    floor = [min(limit, MIN_PER_CLIP, budget // len(most)) for limit in most]
    shares = list(floor)
    whole = [limit if photo else low for limit, low, photo in zip(most, floor, photos, strict=True)]
    if sum(whole) <= budget:
        shares = whole
    while sum(shares) < budget:
        open_clips = [i for i, share in enumerate(shares) if share < most[i]]
        if not open_clips:
            break
        # The clip that is furthest below its part gets the next frame: the highest averages method of D'Hondt.
        shares[max(open_clips, key=lambda i: weights[i] / (shares[i] + 1))] += 1
    return shares


def _weight(frames: Sequence[FrameMeasures], clips: Sequence[Sequence[FrameMeasures]]) -> float:
    duration = sum(float(_filmed_s(clip)[-1]) for clip in clips) or 1.0
    travel = sum(clip[-1].travel for clip in clips) or 1.0
    return 0.5 * float(_filmed_s(frames)[-1]) / duration + 0.5 * frames[-1].travel / travel + 1e-9


def _filmed_s(frames: Sequence[FrameMeasures]) -> NDArray[np.float64]:
    """[frames] seconds since the first one, with pauses cut short: a stopped camera, one wrong timestamp."""
    gaps = np.diff([frame.timestamp_s for frame in frames], prepend=frames[0].timestamp_s)
    longest_s = max(LONGEST_GAP[0], LONGEST_GAP[1] * float(np.quantile(gaps[1:], 0.9))) if len(gaps) > 1 else 0.0
    filmed: NDArray[np.float64] = np.cumsum(np.minimum(gaps, longest_s))
    return filmed


def _most(frames: Sequence[FrameMeasures], rate_fps: float | None) -> int:
    """How many frames of a clip are of use."""
    views = len({frame.travel for frame in frames})
    if rate_fps is None:
        return (
            views if is_slide_show(frames) else min(views, max(ALWAYS_USEFUL, int(duration_s(frames) * MAX_RATE_FPS)))
        )
    return min(views, 1 + int(duration_s(frames) * rate_fps))


def _sharpest_in_turn(photos: Sequence[FrameMeasures], count: int) -> list[int]:
    """The sharpest of each `count`-th part. Photos are few and each another view: how they are spaced says little."""
    ends = [len(photos) * part // max(count, 1) for part in range(count + 1)]
    return [max(range(start, end), key=lambda i: photos[i].sharpness) for start, end in itertools.pairwise(ends)]


def _spread(frames: Sequence[FrameMeasures], count: int, preferred: Container[int] = ()) -> list[int]:
    views = np.unique([frame.travel for frame in frames], return_inverse=True)[1]
    if count >= views[-1] + 1:  # every view is wanted: the sharpest frame of each
        windows, inner = views, np.ones(len(frames), bool)
    else:
        time = _filmed_s(frames)
        travel = np.array([frame.travel for frame in frames])
        by_time = np.diff(time, prepend=time[0]) / max(time[-1] - time[0], 1e-9)
        by_travel = np.diff(travel, prepend=travel[0]) / max(travel[-1], 1e-9)
        position = np.cumsum(np.minimum((by_time + by_travel) / 2, MAX_CROWDING * by_time))
        position *= count / max(position[-1], 1e-9)
        windows = np.minimum(position.astype(int), count - 1)
        inner = np.abs(position - windows - 0.5) <= 0.35  # else two neighbours meet at the edge of their windows
    chosen: list[int] = []
    sharp = np.array([frame.sharpness for frame in frames])
    for window in np.unique(windows):
        members = np.flatnonzero(windows == window)
        known = [i for i in members.tolist() if frames[i].index in preferred]
        if known:  # each was the sharpest of a window before
            members = np.array(known)
        elif inner[members].any():
            members = members[inner[members]]
        best = int(members[np.argmax(sharp[members])])
        if not chosen or frames[best].travel > frames[chosen[-1]].travel:
            chosen.append(best)
    return chosen
