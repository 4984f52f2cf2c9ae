"""Photos into sets, each with one camera: the same device, lens and size. Pure, on their surveys.

A set is surveyed like a clip of one frame per second, so that budget, poses and reports treat both alike.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from runner.media.lenses.shape import DISC_DEG, Shape
from runner.media.selection.measures import NEW_VIEW, ClipSurvey, FrameMeasures, displacement_px
from runner.scene.frames import NO_CROP, Clip, ClipInfo, Crop
from scenejobs.errors import UnusedFile
from scenejobs.wording import listed

SAME_CORRELATION = 0.98  # of two small images: below, they show different things, whatever their motion seems to be
# Where two pictures differ they still show the same, or they are two photos in one frame (screenshots of a gallery).
# Copies that were made smaller, brighter, blurred or of more contrast: 0.95 and more. Screenshots: 0.79 at most.
DIFFERS, LEAST_DIFFERENT = 5.0, 0.03  # grey levels; share of the picture that does, for it to say anything
EQUAL = 2.0  # grey levels at most
SAME_INSIDE = 0.9  # correlation there
STILL_INSIDE = 1.5  # times the motion allowed to the whole: copies moved 0.85 times as far there, screenshots 2.2
MIRRORED = 3 * NEW_VIEW  # of mirrored copies: the blocks of the small images are not the same ones
NAMED = 5  # photos in one warning
# Names that programs give to a copy of a photo: IMG_E1234 (Apple), -EDITED (Google), (1), _edit, " copy", "- Kopie".
EDITED = re.compile(r"IMG_E\d+\.|\(\d+\)\.|[-_ ~](edit|edited|bearbeitet|copy|kopie)( ?\(?\d*\)?)?\.", re.IGNORECASE)


@dataclass(frozen=True)
class PhotoSurvey:
    """What the first pass found in one photo."""

    clip: Clip
    width: int  # pixels, upright
    height: int
    codec: str
    recorded_at: str | None
    camera_model: str | None
    lens: str | None
    focal_px: float | None  # at width x height
    gps: tuple[float, float] | None
    altitude_m: float | None
    sharpness: float  # at SHARPNESS_SIDE
    small: NDArray[np.uint8]  # [h, w] brightness, about MOTION_SIDE
    warnings: tuple[str, ...] = ()
    turned_deg: int = 0  # counter-clockwise, from how it is stored to upright
    projection: str = ""  # see ClipInfo
    rows: str = ""  # digests of its lines, see `screenshots.line_digests`; "" of what a camera has signed
    columns: str = ""
    crop: Crop = NO_CROP  # the frame of an app, which is cut off before anything else; width and height are without it


@dataclass(frozen=True)
class PhotoSet:
    """The photos of one camera."""

    survey: ClipSurvey  # its folder is named later
    photos: tuple[PhotoSurvey, ...]  # one for each entry of survey.measures
    left_out: tuple[UnusedFile, ...] = ()  # in the first set: the photos of all sets that repeat another


def make_sets(photos: Sequence[PhotoSurvey]) -> list[PhotoSet]:
    """Sets in the order of their first photo; within a set, photos in the order they were taken.

    By their time where all have one, else by name, numbers by value. A photo that shows the same as another, as a
    burst, a copy in a second format, a mirrored or a turned one does, is left out for the one that is larger, knows its
    camera, or is sharper.
    """
    kept, left_out = _different(photos)
    order = sorted(kept, key=_taken if all(photo.recorded_at for photo in kept) else _by_name)
    cameras: dict[tuple[object, ...], list[tuple[int, PhotoSurvey]]] = {}
    for place, photo in enumerate(order):
        camera = (photo.camera_model, photo.lens, photo.width, photo.height, photo.projection, photo.crop)
        cameras.setdefault(camera, []).append((place, photo))
    sets = [_set(number, members) for number, members in enumerate(cameras.values(), start=1)]
    if left_out and sets:
        names = listed([*left_out], NAMED)
        said = (
            "1 photo shows the same as another and is"
            if len(left_out) == 1
            else f"{len(left_out)} photos show the same as others and are"
        )
        sets[0] = _warned(sets[0], f"{said} left out: {names}")
        unused = (UnusedFile(name, f"it shows the same as {same}{how}", same) for name, (same, how) in left_out.items())
        sets[0] = replace(sets[0], left_out=tuple(unused))
    return sets


def _set(number: int, members: Sequence[tuple[int, PhotoSurvey]]) -> PhotoSet:
    photos = tuple(photo for _, photo in members)
    first = photos[0]
    codecs = {photo.codec for photo in photos}
    info = ClipInfo(
        name="photos" if number == 1 else f"photos {number}",
        folder="",
        frame_count=len(photos),
        width=first.width,
        height=first.height,
        fps=1.0,
        duration_s=float(len(photos)),
        codec=codecs.pop() if len(codecs) == 1 else "mixed",
        rotation_deg=0,
        recorded_at=next((photo.recorded_at for photo in photos if photo.recorded_at), None),
        camera_model=first.camera_model,
        gps=next((photo.gps for photo in photos if photo.gps), None),
        warnings=_said_once(photos),
        focal_px=_disc_focal_px(first)
        if first.projection
        else next((photo.focal_px for photo in photos if photo.focal_px), None),
        projection=first.projection,
        crop=first.crop,
    )
    # Each photo is a view of its own, so the image travels by a whole length from one to the next.
    measures = (FrameMeasures(i, float(place), photo.sharpness, i + 1.0) for i, (place, photo) in enumerate(members))
    return PhotoSet(ClipSurvey(info, tuple(measures)), photos)


def _said_once(photos: Sequence[PhotoSurvey]) -> tuple[str, ...]:
    """Each warning with the photos that it is about."""
    about: dict[str, list[str]] = {}
    for photo in photos:
        for warning in photo.warnings:
            about.setdefault(warning, []).append(photo.clip.name)
    said = []
    for warning, names in list(about.items())[:NAMED]:
        said.append(f"{listed(names, NAMED)}: {warning}")
    return tuple(said)


def _disc_focal_px(photo: PhotoSurvey) -> float | None:
    """Of a disc that fills the height or width of the photo, as those of fisheyes do; spheres have none."""
    short = min(photo.width, photo.height)
    return short / 2 / math.radians(DISC_DEG / 2) if photo.projection == Shape.FISHEYE else None


def _warned(photos: PhotoSet, warning: str) -> PhotoSet:
    info = photos.survey.info
    return replace(photos, survey=replace(photos.survey, info=replace(info, warnings=(*info.warnings, warning))))


def _different(photos: Sequence[PhotoSurvey]) -> tuple[list[PhotoSurvey], dict[str, tuple[str, str]]]:
    """Those to keep; the names of those that repeat one of them, with its name and how."""
    kept: list[PhotoSurvey] = []
    left_out: dict[str, tuple[str, str]] = {}
    of_shape: dict[tuple[int, ...], list[tuple[PhotoSurvey, NDArray[np.float32]]]] = {}
    for photo in sorted(photos, key=_worth):
        small = photo.small
        others = of_shape.setdefault(small.shape, [])
        same = _twin(small, others, "", NEW_VIEW) or _twin(small[:, ::-1], others, ", mirrored", MIRRORED)
        for quarters in (1, 2, 3):  # a program that turned it and forgot to say so
            turned = np.rot90(small, quarters)
            same = same or _twin(turned, of_shape.get(turned.shape, ()), ", turned", MIRRORED)
        if same is not None:
            left_out[photo.clip.name] = same
        else:
            others.append((photo, _normalised(small)))
            kept.append(photo)
    return kept, left_out


def _worth(photo: PhotoSurvey) -> tuple[object, ...]:
    """Most worth first: of two of one size an edited copy has forgotten its camera, or is named like one. It may be
    sharper, in other colours than all the others have.
    """
    edited = EDITED.search(photo.clip.name) is not None
    return -photo.width * photo.height, photo.camera_model is None, edited, -photo.sharpness, photo.clip.name


def _twin(
    small: NDArray[np.uint8], others: Sequence[tuple[PhotoSurvey, NDArray[np.float32]]], how: str, moved: float
) -> tuple[str, str] | None:
    """The name of the photo that shows the same, and how. moved: of the long side, less than that is the same."""
    unit = _normalised(small)
    alike = (each.clip.name for each, other in others if _is_same(small, each.small, float(unit @ other), moved))
    return next(((name, how) for name in alike), None)


def _is_same(one: NDArray[np.uint8], other: NDArray[np.uint8], correlation: float, moved: float) -> bool:
    if correlation < SAME_CORRELATION:
        return False
    grey, beside = one.astype(np.float32), other.astype(np.float32)
    if displacement_px(grey, beside) >= moved * max(one.shape):
        return False
    inside = STILL_INSIDE * moved * max(one.shape)
    by_either = ((grey, beside), (beside, grey))  # by the contrast of the first
    return all(_is_alike_inside(*pair, inside) for pair in by_either)


def _is_alike_inside(one: NDArray[np.float32], other: NDArray[np.float32], moved_px: float) -> bool:
    """Whether two pictures show the same where they differ most, whatever they have in common around that.

    What is equal in both, as the frame of a gallery is, does not differ, however the contrast of the photos does.
    """
    level, beside = one - one.mean(), other - other.mean()
    gain = float((level * beside).mean() / max(float(beside.var()), 1e-6))
    differs = (np.abs(level - gain * beside) > DIFFERS) & (np.abs(one - other) > EQUAL)
    if differs.mean() < LEAST_DIFFERENT:
        return True
    (top, bottom), (left, right) = (np.percentile(places, [2, 98]).astype(int) for places in np.nonzero(differs))
    part = slice(top, bottom + 1), slice(left, right + 1)
    first, second = (picture[part].ravel() - picture[part].mean() for picture in (one, other))
    if first @ second <= SAME_INSIDE * np.linalg.norm(first) * np.linalg.norm(second):
        return False
    return displacement_px(one[part], other[part]) < moved_px


def _normalised(small: NDArray[np.uint8]) -> NDArray[np.float32]:
    """A vector without mean, of length 1; zeros for a blank image, which correlates with nothing."""
    vector = small.astype(np.float32).ravel() - np.float32(small.mean())
    length = float(np.linalg.norm(vector))
    return vector / length if length > len(vector) ** 0.5 else np.zeros_like(vector)


def _taken(photo: PhotoSurvey) -> tuple[object, ...]:
    time = datetime.fromisoformat(photo.recorded_at or "")
    return (time if time.tzinfo else time.replace(tzinfo=UTC), *_by_name(photo))


def _by_name(photo: PhotoSurvey) -> tuple[object, ...]:
    """IMG_9 before IMG_10."""
    parts = re.split(r"(\d+)", photo.clip.name)
    return ([int(part) if i % 2 else part for i, part in enumerate(parts)], photo.clip.name)
