"""Which views are held out of training to measure the result."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from itertools import groupby

HELD_OUT = 0.09  # share of all views
FRAMES_PER_BLOCK = 30  # one frame of block length for so many views
BLOCK_LENGTH = (2, 4)  # frames, shortest and longest
PHOTOS = "photos"  # the timeline of all sets of photos
SMALLEST = 8  # views; fewer are all needed for training


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
    timeline: Sequence[tuple[str, float]], together: Mapping[str, str], photos: Container[str]
) -> list[str]:
    """`split_of_moments`; where no set of photos is large enough for a block, all of them are one timeline.

    Photos of another size are a set of their own: sixteen crops would be sixteen sets. photos: names of such sets,
    whose times count through all of them.
    """
    split = split_of_moments(timeline, together)
    if "test" in split:
        return split
    joined = [(PHOTOS if video in photos and video not in together else video, time_s) for video, time_s in timeline]
    return split_of_moments(joined, together)


def split_of_moments(timeline: Sequence[tuple[str, float]], together: Mapping[str, str]) -> list[str]:
    """The same where some videos were taken together: what they show at one moment is held out together.

    together: of such videos what they are views of.
    """
    moments = [(together.get(video, video), time_s) for video, time_s in timeline]
    once = sorted({moment for moment, (video, _) in zip(moments, timeline, strict=True) if video in together})
    alone = [index for index, (video, _) in enumerate(timeline) if video not in together]
    split = assign_split([*(timeline[index] for index in alone), *once])
    of_moment = dict(zip(once, split[len(alone) :], strict=True))
    of_view = dict(zip(alone, split, strict=False))
    return [of_view[index] if index in of_view else of_moment[moment] for index, moment in enumerate(moments)]


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
