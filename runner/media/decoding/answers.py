"""What a decoder answers, as values of this process; an answer that cannot be true refuses the file.

A lie gains nothing: sizes, names and paths are ours, and every number and text is checked (`requests.py`).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import datetime
from typing import Any, TypeVar

import msgspec
import numpy as np

from runner.media.decoding.requests import (
    MAX_TEXT,
    Done,
    Identity,
    PhotoSeen,
    Refused,
    VideoPart,
    VideoSurvey,
)
from runner.media.lenses.shape import ASPECT
from runner.media.photo.grouping import PhotoSurvey
from runner.media.selection.measures import ClipSurvey, FrameMeasures
from runner.media.settings import Limits
from runner.process.error_json import load_error
from runner.sandbox import run as sandbox_run
from runner.scene.frames import Clip, ClipInfo
from scenejobs.errors import Code, InputError, SceneJobError
from scenejobs.logs.setup import printable

FOCAL_RATIO = (0.05, 50.0)  # focal length / long side: a disc of 190 degrees has 0.1 and more, 600 mm 17

Error = TypeVar("Error", bound=SceneJobError)
One = TypeVar("One")


def clip_surveys(answer: Any, clip: Clip, limits: Limits) -> list[ClipSurvey]:
    """The answer as values. Raises InputError UNSAFE_VIDEO when it cannot be one."""
    try:
        surveys = [_survey(part, clip, limits) for part in msgspec.convert(answer, VideoSurvey).parts]
    except ValueError as exc:
        raise impossible(clip, "the answer is not understood") from exc
    if len({(one.info.width, one.info.height, one.info.crop) for one in surveys}) < len(surveys):
        raise impossible(clip, "its parts are not of different sizes")
    return surveys


def _survey(part: VideoPart, clip: Clip, limits: Limits) -> ClipSurvey:
    """Raises ValueError for a time that is none, InputError for frames that cannot be."""
    frames = tuple(FrameMeasures(*msgspec.structs.astuple(frame)) for frame in part.frames)
    forward = all(
        a.index < b.index and a.timestamp_s < b.timestamp_s and a.travel <= b.travel
        for a, b in itertools.pairwise(frames)
    )
    if not (forward and limits.min_frames <= len(frames) <= limits.max_decoded_frames):
        raise impossible(clip, "its frames are not in order")
    if any(later[0] <= earlier[0] for earlier, later in itertools.pairwise(part.track)):
        raise impossible(clip, "its telemetry is not in order")
    # A pixel aspect ratio between 0.1 and 10 enlarges one side of the frame.
    left, top, right, bottom = part.crop
    pixels = (part.width + left + right) * (part.height + top + bottom)
    if pixels > 10 * limits.max_pixels or frames[-1].timestamp_s > limits.max_duration_s:
        raise impossible(clip, "it passes the limits")
    odd_sphere = part.projection == "equirectangular" and not ASPECT[0] <= part.width / part.height <= ASPECT[1]
    if part.duration_s > 2 * limits.max_duration_s or odd_sphere:
        raise impossible(clip, "its length or shape")
    _check_focal(clip, part.focal_px, part.width + left + right, part.height + top + bottom)
    info = ClipInfo(
        clip.name, "", len(frames), part.width, part.height, part.fps, part.duration_s, part.codec, part.rotation_deg,
        _time(part.recorded_at), _text(part.camera_model), part.gps, tuple(map(shortened, part.warnings)),
        focal_px=part.focal_px, projection=part.projection, crop=part.crop, track=part.track,
    )  # fmt: skip
    return ClipSurvey(info, frames)


def photo_surveys(answer: Any, photos: Sequence[Clip], limits: Limits) -> list[PhotoSurvey | InputError]:
    """For each photo its survey, or why it cannot be used. Raises InputError when the answer is none for them all."""
    if not isinstance(answer, list) or len(answer) != len(photos):
        raise impossible(photos[0], "the answer is not understood")
    return [_photo(one, clip, limits) for one, clip in zip(answer, photos, strict=True)]


def _photo(answer: Any, clip: Clip, limits: Limits) -> PhotoSurvey | InputError:
    try:
        said: PhotoSeen | Refused = msgspec.convert(answer, PhotoSeen | Refused)
        if isinstance(said, Refused):
            return _failure(said, clip)
        photo = PhotoSurvey(
            clip, said.width, said.height, said.codec, _time(said.recorded_at), _text(said.camera_model),
            _text(said.lens), said.focal_px, said.gps, said.altitude_m, said.sharpness,
            np.array(said.small, np.uint8),  # raises ValueError where its rows are not of one length
            tuple(map(shortened, said.warnings)), said.turned_deg, said.projection, said.rows, said.columns,
        )  # fmt: skip
    except ValueError:
        return impossible(clip, "the answer is not understood")
    if photo.width * photo.height > limits.max_photo_pixels:
        return impossible(clip, "it passes the limits")
    try:
        _check_focal(clip, photo.focal_px, photo.width, photo.height)
    except InputError as exc:
        return exc
    return photo


def _check_focal(clip: Clip, focal_px: float | None, width: int, height: int) -> None:
    """Raises InputError for a lens that cannot be."""
    low, high = FOCAL_RATIO
    if focal_px is not None and not low <= focal_px / max(width, height) <= high:
        raise impossible(clip, "its focal length")


def identities(answer: Any, files: Sequence[Clip]) -> list[Identity | None]:
    """What each file says of itself; None where it cannot be read. Raises InputError when the answer is none."""
    answers = _one_for_each(answer, list[Identity | Refused], files)
    return [one if isinstance(one, Identity) else None for one in answers]


def check_frames_written(answer: Any, clips: Sequence[Clip]) -> None:
    """clips: the video. Raises InputError when the answer is none; the images have to be looked at all the same."""
    try:
        msgspec.convert(answer, Done)
    except ValueError as exc:
        raise impossible(clips[0], "the answer is not understood") from exc


def check_photos_written(answer: Any, photos: Sequence[Clip]) -> None:
    """Raises InputError about the first photo that was not written, or when the answer is none."""
    answers = _one_for_each(answer, list[Done | Refused], photos)
    for clip, one in zip(photos, answers, strict=True):
        if isinstance(one, Refused):
            raise _failure(one, clip)


def _one_for_each(answer: Any, kind: type[list[One]], files: Sequence[Clip]) -> list[One]:
    try:
        answers = msgspec.convert(answer, kind)
    except ValueError as exc:
        raise impossible(files[0], "the answer is not understood") from exc
    if len(answers) != len(files):
        raise impossible(files[0], "the answer is not understood")
    return answers


def _failure(refused: Refused, clip: Clip) -> InputError:
    error = load_error(refused.error)
    return cleaned(error) if isinstance(error, InputError) else impossible(clip, "the answer is not understood")


def cleaned(error: Error) -> Error:
    """An error whose words came from the decoder: one line, and short."""
    error.cause = printable(" ".join(error.cause.split()))[: 2 * MAX_TEXT]
    error.advice = printable(" ".join(error.advice.split()))[: 2 * MAX_TEXT]
    error.args = (error.cause,)
    return error


def impossible(clip: Clip, what: str) -> InputError:
    return InputError(
        f"the decoder of {clip.name} gave what cannot be: {what}", code=Code.UNSAFE_VIDEO, advice=sandbox_run.RE_EXPORT
    )


def shortened(text: str) -> str:
    return printable(text)[:MAX_TEXT]


def _text(text: str | None) -> str | None:
    return None if text is None else shortened(text)


def _time(text: str | None) -> str | None:
    """Raises ValueError."""
    if text is not None:
        datetime.fromisoformat(text)
    return text
