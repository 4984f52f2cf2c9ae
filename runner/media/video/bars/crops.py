"""What is cut off the frames of a clip that have bars, and which of them share a camera."""

from __future__ import annotations

import bisect
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runner.media.settings import Limits
from runner.media.video.bars.watch import BLACK, BarWatch
from runner.scene.frames import NO_CROP, Crop

FEW_PX = 0.01  # of the long side: bars that differ less are the same
LEAST_SIDE = 0.2  # of the frame, that the bars have to leave
LEAST_SHARE = 0.15  # of the frames, of a camera of its own
KEPT = 0.9  # of its area, that a camera has to keep to take over frames with other bars

MARGIN = 1.02  # of what is left, at most, was cut off beside the bars: counted in lines of a shrunk picture


@dataclass(frozen=True)
class Crops:
    """Of all frames of one size: from which frame on how much is cut off."""

    starts: tuple[int, ...] = (0,)  # indices of frames
    crops: tuple[Crop, ...] = (NO_CROP,)
    kind: str = BLACK  # what is cut off, in words

    def at(self, index: int) -> Crop:
        """Of the frame with this index."""
        return self.crops[max(0, bisect.bisect_right(self.starts, index) - 1)]

    def resemble(self, others: Crops, width: int, height: int) -> bool:
        """Do they differ by a few pixels at most?"""
        return self.starts == others.starts and all(
            _alike(one, other, width, height) for one, other in zip(self.crops, others.crops, strict=True)
        )

    def instead_of(self, others: Crops, width: int, height: int) -> dict[Crop, Crop]:
        """For each of the others what it is here; itself where the two do not fit together."""
        if self.resemble(others, width, height):
            found = dict(zip(others.crops, self.crops, strict=True))
            if len(set(found.values())) == len(found):
                return found
        return {crop: crop for crop in others.crops}


def find_crops(watch: BarWatch, width: int, height: int, limits: Limits) -> Crops:
    """What to cut off frames of this size, px, upright. Frames whose bars no camera of their own would pay for get the
    area that they have in common with others."""
    crops = [(start, _in_pixels(lines, watch.shape, width, height)) for start, lines in watch.stretches()]
    if not crops:
        return Crops()
    starts, counts = [start for start, _ in crops], Counter[Crop]()
    for number, (start, crop) in enumerate(crops):
        end = starts[number + 1] if number + 1 < len(starts) else watch.indices[-1] + 1
        counts[crop] += bisect.bisect_left(watch.indices, end) - bisect.bisect_left(watch.indices, start)
    becomes = _cameras(counts, width, height, limits)
    found: list[tuple[int, Crop]] = []
    for start, crop in crops:
        if not found or becomes[crop] != found[-1][1]:
            found.append((start, becomes[crop]))
    return Crops((0, *(start for start, _ in found[1:])), tuple(crop for _, crop in found), watch.kind)


def _cameras(counts: Counter[Crop], width: int, height: int, limits: Limits) -> dict[Crop, Crop]:
    """What each crop becomes, so that few cameras are left and each has enough frames."""
    becomes = {crop: crop for crop in counts}
    total = counts.total()

    def join(one: Crop, other: Crop) -> None:
        common = common_area([one, other])
        number = counts.pop(one) + counts.pop(other, 0)
        counts[common] += number
        becomes.update({crop: common for crop, now in becomes.items() if now in (one, other)})

    while alike := next(
        ((a, b) for a in counts for b in counts if a != b and _alike(a, b, width, height)), None
    ):  # fmt: skip
        join(*alike)
    least = max(limits.min_frames, LEAST_SHARE * total)
    refused: set[Crop] = set()
    while small := [crop for crop, count in counts.items() if count < least and crop not in refused]:
        crop = min(small, key=lambda each: counts[each])
        others = sorted((each for each in counts if each != crop), key=lambda each: -counts[each])
        for other in others:
            common = common_area([crop, other])
            if _area(common, width, height) >= KEPT * _area(other, width, height):
                join(crop, other)
                break
        else:
            refused.add(crop)
    if all(count < limits.min_frames for count in counts.values()):
        common = common_area(list(counts))
        if _leaves_enough(common, width, height):
            return dict.fromkeys(becomes, common)
    return becomes


def cropped(shrunk: NDArray[np.uint8], crop: Crop, width: int, height: int) -> NDArray[np.uint8]:
    """What is inside of the bars, of a picture [rows, columns] shrunk from width x height."""
    if crop == NO_CROP:
        return shrunk
    rows, columns = shrunk.shape
    left, top, right, bottom = crop
    down = slice(math.ceil(top * rows / height), max(1, (height - bottom) * rows // height))
    across = slice(math.ceil(left * columns / width), max(1, (width - right) * columns // width))
    return np.ascontiguousarray(shrunk[down, across])


def common_area(crops: Sequence[Crop]) -> Crop:
    """The crop that leaves what all of these leave."""
    left, top, right, bottom = (max(sides) for sides in zip(*crops, strict=True))
    return left, top, right, bottom


def told(crop: Crop, kind: str = BLACK) -> str:
    """For the person whose clip it is; "" where nothing is cut off. kind: of the bars, in words."""
    left, top, right, bottom = crop
    sides = [("left", left), ("right", right), ("at the top", top), ("at the bottom", bottom)]
    parts = []
    for (one, first), (other, second) in (sides[:2], sides[2:]):
        if first and first == second:
            parts.append(f"{first} px {one} and {other}".replace("and at the bottom", "and bottom"))
        else:
            parts += [f"{px} px {side}" for side, px in ((one, first), (other, second)) if px]
    return f"{kind} were cut off: {', '.join(parts)}" if parts else ""


def without_margin(crop: Crop, width: int, height: int) -> tuple[int, int]:
    """About the size inside of the bars, where width x height are left: a little more than the bars was cut off."""
    left, top, right, bottom = crop
    return (
        math.floor(width * MARGIN) if left or right else width,
        math.floor(height * MARGIN) if top or bottom else height,
    )


def _in_pixels(lines: Sequence[int], shrunk: tuple[int, int], width: int, height: int) -> Crop:
    """One line more than the bar, whose last pixels may be mixed, to even numbers; nothing where too little is left."""

    def pixels(count: int, side: int, of: int) -> int:
        return 2 * math.ceil((count + 1) * side / of / 2) if count else 0

    (rows, columns), (left, top, right, bottom) = shrunk, lines
    crop = (
        pixels(left, width, columns), pixels(top, height, rows),
        pixels(right, width, columns), pixels(bottom, height, rows),
    )  # fmt: skip
    return crop if _leaves_enough(crop, width, height) else NO_CROP


def _leaves_enough(crop: Crop, width: int, height: int) -> bool:
    left, top, right, bottom = crop
    return width - left - right >= LEAST_SIDE * width and height - top - bottom >= LEAST_SIDE * height


def _area(crop: Crop, width: int, height: int) -> int:
    left, top, right, bottom = crop
    return max(0, width - left - right) * max(0, height - top - bottom)


def _alike(one: Crop, other: Crop, width: int, height: int) -> bool:
    return all(abs(a - b) <= FEW_PX * max(width, height) for a, b in zip(one, other, strict=True))
