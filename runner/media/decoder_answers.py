"""What a decoder answers, as values: every number and text is checked, because its process may be taken over.

A lie gains nothing: sizes, names and paths are ours, and a number that cannot be true refuses the file.
"""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any, TypeVar

import numpy as np

from runner.media.measures import MAX_PARTS, MOTION_SIDE, ClipSurvey, FrameMeasures
from runner.media.photo.grouping import PhotoSurvey
from runner.media.settings import Limits
from runner.process.error_json import load_error
from runner.sandbox import run as sandbox_run
from runner.scene.frames import Clip, ClipInfo
from scenejobs.errors import Code, InputError, SceneJobError
from scenejobs.logs.setup import printable

CODEC = r"[a-z0-9_]{1,30}"
MAX_TEXT = 300  # characters of a warning or a camera's name
MAX_WARNINGS = 20

Error = TypeVar("Error", bound=SceneJobError)
Value = TypeVar("Value")


def clip_surveys(answer: Any, clip: Clip, limits: Limits) -> list[ClipSurvey]:
    """The answer as values. Raises InputError when it cannot be one."""
    try:
        parts = [_part(part, clip, limits) for part in answer["parts"][:MAX_PARTS]]
    except (KeyError, TypeError, ValueError, IndexError) as exc:
        raise impossible(clip, "the answer is not understood") from exc
    if not parts or len({(part.info.width, part.info.height) for part in parts}) < len(parts):
        raise impossible(clip, "its parts are not of different sizes")
    return parts


def _part(part: Any, clip: Clip, limits: Limits) -> ClipSurvey:
    given = part["info"]
    rows = [FrameMeasures(_whole(row[0], 0), *(_finite(value, 0) for value in row[1:])) for row in part["seen"]]
    info = ClipInfo(
        name=clip.name,
        folder="",
        frame_count=len(rows),
        width=_whole(given["width"], 1),
        height=_whole(given["height"], 1),
        fps=_finite(given["fps"], 0),
        duration_s=_finite(given["duration_s"], 0),
        codec=_matching(CODEC, given["codec"]),
        rotation_deg=_whole(given["rotation_deg"], 0) % 360,
        recorded_at=_or_none(given["recorded_at"], _time),
        camera_model=_or_none(given["camera_model"], _text),
        gps=_or_none(given["gps"], _place),
        warnings=tuple(_text(warning) for warning in given["warnings"][:MAX_WARNINGS]),
        focal_px=_or_none(given["focal_px"], _focal),
    )
    forward = all(
        a.index < b.index and a.timestamp_s < b.timestamp_s and a.travel <= b.travel
        for a, b in itertools.pairwise(rows)
    )
    if not (forward and limits.min_frames <= len(rows) and rows[-1].index < limits.max_decoded_frames):
        raise impossible(clip, "its frames are not in order")
    # A pixel aspect ratio between 0.1 and 10 enlarges one side of the picture.
    if info.width * info.height > 10 * limits.max_pixels or rows[-1].timestamp_s > limits.max_duration_s:
        raise impossible(clip, "it passes the limits")
    return ClipSurvey(info, tuple(rows))


def photo_survey(answer: Any, clip: Clip, limits: Limits) -> PhotoSurvey | InputError:
    """The answer about one photo as a value, or why the photo cannot be used."""
    try:
        if "failure" in answer:
            return _failure(answer, clip)
        rows = answer["small"]
        if any(type(value) is not int or not 0 <= value <= 255 for row in rows for value in row):
            raise ValueError("its small picture has other numbers than grey levels")
        small = np.array(rows, np.uint8)
        if small.ndim != 2 or not 1 <= max(small.shape) <= 2 * MOTION_SIDE:
            raise ValueError("its small picture has another shape")
        photo = PhotoSurvey(
            clip,
            width=_whole(answer["width"], 1),
            height=_whole(answer["height"], 1),
            codec=_matching(CODEC, answer["codec"]),
            recorded_at=_or_none(answer["recorded_at"], _time),
            camera_model=_or_none(answer["camera_model"], _text),
            lens=_or_none(answer["lens"], _text),
            focal_px=_or_none(answer["focal_px"], _focal),
            gps=_or_none(answer["gps"], _place),
            sharpness=_finite(answer["sharpness"], 0),
            small=small,
            warnings=tuple(_text(warning) for warning in answer["warnings"][:MAX_WARNINGS]),
            turned_deg=_quarter_turns(answer["turned_deg"]),
        )
    except (KeyError, TypeError, ValueError, IndexError):
        return impossible(clip, "the answer is not understood")
    if photo.width * photo.height > limits.max_photo_pixels:
        return impossible(clip, "it passes the limits")
    return photo


def failures(answer: Any, photos: Sequence[Clip]) -> Iterator[InputError]:
    """What the process says about photos that it did not write."""
    for clip, said in zip(photos, answer if isinstance(answer, list) else [], strict=False):
        if isinstance(said, dict) and "failure" in said:
            yield _failure(said, clip)


def _failure(said: dict[str, Any], clip: Clip) -> InputError:
    error = load_error(json.dumps(said["failure"]))
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


def _whole(value: Any, least: int) -> int:
    if type(value) is not int or not least <= value < 1 << 31:
        raise ValueError(f"{value!r} is no number of the kind that was expected")
    return value


def _quarter_turns(value: Any) -> int:
    if _whole(value, 0) not in (0, 90, 180, 270):
        raise ValueError(f"{value!r} is no number of quarter turns")
    return int(value)


def _finite(value: Any, least: float) -> float:
    if type(value) not in (int, float) or not (least <= value < math.inf):
        raise ValueError(f"{value!r} is no number of the kind that was expected")
    return float(value)


def _or_none(value: Any, read: Callable[[Any], Value]) -> Value | None:
    return None if value is None else read(value)


def _time(value: Any) -> str:
    text = _matching(r"[0-9T:.+-]{1,40}", value)
    datetime.fromisoformat(text)
    return text


def _place(value: Any) -> tuple[float, float]:
    return _finite(value[0], -90), _finite(value[1], -180)


def _focal(value: Any) -> float:
    return _finite(value, 1)


def _matching(pattern: str, value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(pattern, value):
        raise ValueError("text of another kind was expected")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("text was expected")
    return printable(value)[:MAX_TEXT]
