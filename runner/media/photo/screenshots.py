"""Photos in the frame of an app, as screenshots of a gallery show them: what all of them have in common is cut off.

An app draws its bars, buttons and texts to the bit as it drew them around the photo before, along straight borders. A
camera on a tripod never takes the same pixel twice: its noise differs. So lines are compared for equality and not for
likeness, and only of pictures that no camera has signed.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from runner.media.frame_size import is_too_small
from runner.media.photo.grouping import PhotoSurvey
from runner.media.selection.measures import LINE_DIGITS as DIGITS
from runner.media.settings import Limits
from runner.media.video.bars.crops import cropped
from runner.scene.frames import NO_CROP, Crop
from runner.scene.sizes import shrink

LEAST_PHOTOS = 5
FRAME, PICTURE, OTHERS = 0.1, 0.3, 0.1  # of the side: lines of the frame, at least; of the photo; of a clock, at most
DIFFERS = 5  # grey levels between some two of the photos
BORDER, INSIDE = 0.6, 0.9  # of a border of the rectangle, and of all of it: pixels that differ
BORDER_LINES = 2  # of the small image
DRAWN = 4.0  # grey levels: deviation of what the frame shows; a plain one may be the ground that a thing lies on
FILLS = 0.85  # of the lines of the photos of one shape: those of one of them that are in few others
MARGIN = 4  # lines, of the picture that was looked at: where one ends and the other begins they are mixed
BLOCK_PX = 16  # of a JPEG: so far beside a border its two sides are mixed
TOLD = "what all of these pictures have around the photo (the frame of an app) is cut off"


def line_digests(pixels: NDArray[np.uint8]) -> tuple[str, str]:
    """Of the rows and of the columns of a picture [height, width, 3], DIGITS hexadecimal digits each."""
    return _digests(pixels), _digests(np.ascontiguousarray(pixels.transpose(1, 0, 2)))


def _digests(lines: NDArray[np.uint8]) -> str:
    return "".join(f"{zlib.crc32(line.tobytes()) & 0xFFFF:0{DIGITS}x}" for line in lines)


def without_crop(pixels: NDArray[np.uint8], crop: Crop, long_side: int) -> NDArray[np.uint8]:
    """What is inside of the frame, of a picture [height, width, 3] that was not shrunk yet."""
    left, top, right, bottom = crop
    inside = Image.fromarray(pixels[top : pixels.shape[0] - bottom, left : pixels.shape[1] - right])
    return np.asarray(inside.resize(shrink(*inside.size, long_side), Image.Resampling.LANCZOS))


def out_of_apps(photos: Sequence[PhotoSurvey], limits: Limits) -> list[PhotoSurvey]:
    """The photos, of those in the frame of an app what is inside of it."""
    alike: dict[tuple[object, ...], list[int]] = {}
    for number, photo in enumerate(photos):
        if photo.rows and not photo.projection:
            shape = photo.width, photo.height, len(photo.rows), len(photo.columns), photo.small.shape
            alike.setdefault(shape, []).append(number)
    found = list(photos)
    for numbers in alike.values():
        for some in _of_one_shape([photos[number] for number in numbers]):
            crop = _crop([photos[numbers[place]] for place in some], limits)
            for place in some if crop != NO_CROP else ():
                found[numbers[place]] = _inside(photos[numbers[place]], crop)
    return found


def _of_one_shape(photos: Sequence[PhotoSurvey]) -> list[list[int]]:
    """The places of those that have the frame at the same place: upright photos in a gallery leave less of it.

    Of each, what other photos do not have there. A photo whose own edge is black leaves a little more.
    """
    if len(photos) < LEAST_PHOTOS:
        return []
    both = (_own([photo.rows for photo in photos]), _own([photo.columns for photo in photos]))
    shapes = [(*_longest(rows), *_longest(columns)) for rows, columns in zip(*both, strict=True)]
    found: dict[tuple[int, ...], list[int]] = {}
    for shape in sorted(set(shapes), key=lambda shape: (-shapes.count(shape), shape)):
        wide = next((known for known in found if _nearly_fills(shape, known)), shape)
        found.setdefault(wide, []).extend(place for place, one in enumerate(shapes) if one == shape)
    return list(found.values())


def _own(digests: Sequence[str]) -> NDArray[np.bool_]:
    """[photos, lines] those that are in few photos only."""
    lines = _lines(digests)
    return np.stack([(lines == own).sum(axis=0) < LEAST_PHOTOS for own in lines])


def _nearly_fills(shape: tuple[int, ...], other: tuple[int, ...]) -> bool:
    """Whether lines from `start` to `end`, of rows and of columns, lie within others and leave little of them."""
    return all(
        other[at] <= shape[at] and shape[at + 1] <= other[at + 1]
        and shape[at + 1] - shape[at] >= FILLS * (other[at + 1] - other[at])
        for at in (0, 2)
    )  # fmt: skip


def _inside(photo: PhotoSurvey, crop: Crop) -> PhotoSurvey:
    left, top, right, bottom = crop
    return replace(
        photo, width=photo.width - left - right, height=photo.height - top - bottom, crop=crop,
        small=cropped(photo.small, crop, photo.width, photo.height), warnings=(*photo.warnings, TOLD),
    )  # fmt: skip


def _crop(photos: Sequence[PhotoSurvey], limits: Limits) -> Crop:
    """What is cut off photos of one size; nothing where they are not in one frame."""
    if len(photos) < LEAST_PHOTOS:
        return NO_CROP
    width, height = photos[0].width, photos[0].height
    block_px = BLOCK_PX if any(photo.codec == "jpeg" for photo in photos) else 0
    top, bottom = _around([photo.rows for photo in photos], height, block_px)
    left, right = _around([photo.columns for photo in photos], width, block_px)
    crop = left, top, right, bottom
    if bool(top or bottom) == bool(left or right):  # an app shows a photo as wide or as high as it can
        return NO_CROP
    if is_too_small(width - left - right, height - top - bottom, limits):
        return NO_CROP
    small = np.stack([photo.small for photo in photos])
    differs = np.ptp(small, axis=0) > DIFFERS
    inside = cropped(differs.astype(np.uint8), crop, width, height)
    borders = [inside[:BORDER_LINES], inside[-BORDER_LINES:]] if top or bottom else []
    borders += [inside[:, :BORDER_LINES], inside[:, -BORDER_LINES:]] if left or right else []
    filled = inside.mean() >= INSIDE and min(float(border.mean()) for border in borders) >= BORDER
    frame = small[0][~differs]
    return crop if filled and frame.size and float(frame.std()) >= DRAWN else NO_CROP


def _around(digests: Sequence[str], side: int, block_px: int) -> tuple[int, int]:
    """Pixels before and behind the lines of the photo; 0 and 0 where not enough is the same in all pictures."""
    lines = _lines(digests)
    differ = (lines != lines[0]).any(axis=0)
    start, end = _longest(differ)
    count, of_the_photo = len(differ), end - start
    if of_the_photo < PICTURE * count or differ.mean() > 1 - FRAME or differ.sum() - of_the_photo > OTHERS * count:
        return 0, 0

    def pixels(beside: int) -> int:
        return math.ceil((beside + MARGIN) * side / count) + block_px if beside else 0

    return pixels(start), pixels(count - end)


def _lines(digests: Sequence[str]) -> NDArray[np.int64]:
    """[photos, lines]"""
    return np.array([[int(one[at : at + DIGITS], 16) for at in range(0, len(one), DIGITS)] for one in digests])


def _longest(which: NDArray[np.bool_]) -> tuple[int, int]:
    """Where the longest run of lines begins and ends; 0 and 0 without any."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], which.astype(int), [0]]))).reshape(-1, 2)
    start, end = max(edges, key=lambda run: run[1] - run[0], default=(0, 0))
    return int(start), int(end)
