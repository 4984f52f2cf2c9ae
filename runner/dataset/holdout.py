"""Which views are held out of training to measure the result."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from itertools import groupby
from types import MappingProxyType

import numpy as np

from runner.scene.frames import SharedStretch

HELD_OUT = 0.09  # share of all views
FRAMES_PER_BLOCK = 30  # one frame of block length for so many views
BLOCK_LENGTH = (2, 4)  # frames, shortest and longest
PHOTOS = "photos"  # the timeline of all sets of photos
SMALLEST = 8  # views; fewer are all needed for training
NO_TWINS: Mapping[int, int] = MappingProxyType({})
TWIN_GAPS = 2.0  # gaps between the frames of a film: the nearest one is a twin up to there


def assign_split(timeline: Sequence[tuple[str, float]]) -> list[str]:
    """ "train" or "test" for each view, given (video, timestamp in seconds) in any order.

    Held out are blocks of consecutive frames. Every n-th frame, as is common, has a neighbour in training a fraction of
    a second away and so measures little but memory; a block is a stretch of the path that training has not seen. Blocks
    lie inside a clip and never at its ends, so they are interpolated, and are spread evenly over the whole timeline.
    Deterministic. Two blocks at least where the views allow it; none below SMALLEST views.
    """
    order = sorted(range(len(timeline)), key=lambda i: (timeline[i][0], timeline[i][1], i))
    split = ["train"] * len(timeline)
    count = len(timeline)
    if count < SMALLEST:
        return split
    length = min(max(round(count / FRAMES_PER_BLOCK), BLOCK_LENGTH[0]), BLOCK_LENGTH[1])
    videos = [timeline[i][0] for i in order]
    while not (starts := _possible_starts(videos, length)) and length > 1:
        length -= 1  # every clip is short
    wanted = max(2, round(HELD_OUT * count / length))
    if wanted * length > 0.2 * count:
        wanted = 1  # a small scene cannot spare two blocks
    for start in _evenly(starts, wanted, length, count):
        for position in range(start, start + length):
            split[order[position]] = "test"
    return split


def split_of_scene(
    timeline: Sequence[tuple[str, float]], together: Mapping[str, str], photos: Container[str],
    shared: Sequence[SharedStretch] = (), twins: Mapping[int, int] = NO_TWINS,
) -> list[str]:  # fmt: skip
    """`split_of_moments`; where no set of photos is large enough for a block, all of them are one timeline.

    Photos of another size are a set of their own: sixteen crops would be sixteen sets. photos: names of such sets,
    whose times count through all of them. shared: what films have in common. twins: see `twins.find_twins`.
    """
    split = split_of_moments(timeline, together, shared, twins)
    if "test" in split:
        return split
    joined = [(PHOTOS if video in photos and video not in together else video, time_s) for video, time_s in timeline]
    return split_of_moments(joined, together, shared, twins)


def split_of_moments(
    timeline: Sequence[tuple[str, float]], together: Mapping[str, str], shared: Sequence[SharedStretch] = (),
    twins: Mapping[int, int] = NO_TWINS,
) -> list[str]:  # fmt: skip
    """The same where some videos were taken together: what they show at one moment is held out together.

    together: of such videos what they are views of.
    """
    moments = [(together.get(video, video), time_s) for video, time_s in timeline]
    once = sorted({moment for moment, (video, _) in zip(moments, timeline, strict=True) if video in together})
    alone = [index for index, (video, _) in enumerate(timeline) if video not in together]
    place = {index: number for number, index in enumerate(alone)}
    placed = {place[one]: place[other] for one, other in twins.items() if one in place and other in place}
    split = split_of_films([*(timeline[index] for index in alone), *once], shared, placed)
    of_moment = dict(zip(once, split[len(alone) :], strict=True))
    of_view = dict(zip(alone, split, strict=False))
    return [of_view[index] if index in of_view else of_moment[moment] for index, moment in enumerate(moments)]


def split_of_films(
    timeline: Sequence[tuple[str, float]], shared: Sequence[SharedStretch], twins: Mapping[int, int] = NO_TWINS
) -> list[str]:
    """`assign_split` where some films have a part in common: of what both show one film is split, and each frame of the
    other one goes with the nearest frame of it. So no held-out frame has its twin in training."""
    if not shared and not twins:
        return assign_split(timeline)
    places = [_place(video, time_s, shared) for video, time_s in timeline]
    twin_of = _twins(timeline, places)
    for index, other in twins.items():
        of_other = twin_of.get(other, other)
        if index not in twin_of and index not in twin_of.values() and of_other != index:
            twin_of[index] = of_other
    alone = [index for index in range(len(timeline)) if index not in twin_of]
    split_alone = assign_split(_in_runs([timeline[index] for index in alone], [timeline[index] for index in twin_of]))
    split = dict(zip(alone, split_alone, strict=True))
    return [split[twin_of.get(index, index)] for index in range(len(timeline))]


def _place(video: str, time_s: float, shared: Sequence[SharedStretch]) -> tuple[str, float]:
    """The film, and the time in it, that stands for what is shown."""
    for _ in shared:  # the other one's place may be in a third film
        for one in shared:
            if one.video == video and one.begin_s - 1e-6 <= time_s <= one.end_s + 1e-6:
                video, time_s = one.other, time_s + one.offset_s
                break
        else:
            break
    return video, time_s


def _twins(timeline: Sequence[tuple[str, float]], places: Sequence[tuple[str, float]]) -> dict[int, int]:
    """Of frames whose place is in another film, the nearest frame there; none where that film has none nearby."""
    own: dict[str, list[tuple[float, int]]] = {}
    for index, (moment, place) in enumerate(zip(timeline, places, strict=True)):
        if moment == place:
            own.setdefault(place[0], []).append((place[1], index))
    found: dict[int, int] = {}
    for index, (moment, (video, time_s)) in enumerate(zip(timeline, places, strict=True)):
        if moment == (video, time_s) or video not in own:
            continue
        times = sorted(time for time, _ in own[video])
        apart_s, twin = min((abs(time - time_s), other) for time, other in own[video])
        if apart_s <= TWIN_GAPS * (float(np.median(np.diff(times))) if len(times) > 1 else 0.0):
            found[index] = twin
    return found


def _in_runs(timeline: Sequence[tuple[str, float]], gone: Sequence[tuple[str, float]]) -> list[tuple[str, float]]:
    """A film is as many as it has parts between frames that are gone: a block does not reach across them."""
    return [
        (f"{video} {sum(other == video and before < time_s for other, before in gone):06d}", time_s)
        for video, time_s in timeline
    ]


def _possible_starts(videos: Sequence[str], length: int) -> list[int]:
    """Positions where a block fits into one clip with a training frame on either side."""
    starts: list[int] = []
    first = 0
    for _, members in groupby(videos):
        size = sum(1 for _ in members)
        starts += range(first + 1, first + size - length)
        first += size
    return starts


def _evenly(starts: Sequence[int], wanted: int, length: int, count: int) -> list[int]:
    """For each of `wanted` equal parts of the timeline, the possible start nearest to the middle of the part."""
    chosen: list[int] = []
    for part in range(wanted):
        middle = (part + 0.5) / wanted * count - length / 2
        free = [s for s in starts if all(abs(s - other) > length for other in chosen)]  # a training frame between
        if free:
            chosen.append(min(free, key=lambda s: (abs(s - middle), s)))
    return sorted(chosen)
