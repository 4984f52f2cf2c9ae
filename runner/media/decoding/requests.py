"""The messages between `decoder.py` and its sandboxed process: requests and answers, and what each number may be.

The process may be taken over by a file that it opens. Decoding an answer therefore checks every number and text; what
depends on the limits of the scene is checked in `answers.py`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import astuple
from typing import Annotated, Literal, TypeAlias, cast

import msgspec
from msgspec import Meta

from runner.media.selection.measures import LINE_DIGITS, MAX_PARTS, MOTION_SIDE, ClipSurvey, FrameMeasures
from runner.media.settings import Limits
from runner.scene.frames import ALTITUDES_M, MOST_FIXES, NO_CROP, ClipInfo, Crop

MAX_TEXT = 300  # characters of a warning or a camera's name
MAX_WARNINGS = 20

FINITE = sys.float_info.max
Whole = Annotated[int, Meta(ge=0, lt=1 << 31)]
Side = Annotated[int, Meta(ge=1, lt=1 << 31)]  # pixels
Amount = Annotated[float, Meta(ge=0, le=FINITE)]
Focal = Annotated[float, Meta(ge=1, le=FINITE)]  # pixels
Latitude = Annotated[float, Meta(ge=-90, le=90)]  # degrees
Longitude = Annotated[float, Meta(ge=-180, le=180)]
Place = tuple[Latitude, Longitude]
Altitude = Annotated[float, Meta(ge=ALTITUDES_M[0], le=ALTITUDES_M[1])]
QuarterTurns = Literal[0, 90, 180, 270]
Codec = Annotated[str, Meta(pattern=r"\A[a-z0-9_]{1,30}\Z")]  # not `$`, which a line end may follow
Projection = Literal["", "fisheye", "equirectangular"]
Time = Annotated[str, Meta(pattern=r"\A[0-9T:.+-]{1,40}\Z")]
Text = Annotated[str, Meta(max_length=MAX_TEXT)]
Warnings = Annotated[tuple[Text, ...], Meta(max_length=MAX_WARNINGS)]
Look = Annotated[str, Meta(pattern=r"\A([0-9a-f]{128})?\Z")]  # 8 x 8 grey levels
Digests = Annotated[str, Meta(pattern=rf"\A([0-9a-f]{{{LINE_DIGITS}}}){{0,8192}}\Z")]  # of the lines of a photo
Row = Annotated[tuple[Annotated[int, Meta(ge=0, le=255)], ...], Meta(min_length=1, max_length=2 * MOTION_SIDE)]


class Value(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A part of a message."""


class Message(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """One request or answer, with the name of its class."""


# ---- requests -------------------------------------------------------------------------------------------------------


class File(Value, frozen=True):
    """A file that is open in the process."""

    name: str  # as the user calls it, for messages
    descriptor: int


class SurveyVideo(Message, frozen=True):
    """Measure every frame of a video. Answer: VideoSurvey."""

    file: File
    limits: Limits


class WriteFrames(Message, frozen=True):
    """Write frames of a video as <index>.png. Answer: Done."""

    file: File
    limits: Limits
    long_side: int  # pixels; larger frames are shrunk
    indices: tuple[int, ...]
    crop: Crop = NO_CROP


class SurveyPhotos(Message, frozen=True):
    """Measure photos. Answer: for each a PhotoSeen or Refused."""

    files: tuple[File, ...]
    limits: Limits
    long_side: int


class WritePhotos(Message, frozen=True):
    """Write each photo under its name. Answer: for each Done or Refused."""

    files: tuple[File, ...]
    limits: Limits
    long_side: int
    names: tuple[str, ...]
    crops: tuple[Crop, ...]  # of each: what is cut off it


class Identify(Message, frozen=True):
    """Read what photos and videos say of themselves. Answer: for each an Identity or Refused."""

    files: tuple[File, ...]
    limits: Limits


class CloseIn(Message, frozen=True):
    """Do nothing, behind all the layers of the sandbox. Answer: Done."""


Request: TypeAlias = SurveyVideo | WriteFrames | SurveyPhotos | WritePhotos | Identify | CloseIn

# ---- answers --------------------------------------------------------------------------------------------------------


class MeasuredFrame(Value, frozen=True, array_like=True):
    """See `measures.FrameMeasures`."""

    index: Whole
    timestamp_s: Amount
    sharpness: Amount
    travel: Amount
    luma: Annotated[float, Meta(ge=0, le=255)]
    change: Annotated[float, Meta(ge=0, le=2)]
    change_over: Annotated[float, Meta(ge=0, le=2)]
    isotropy: Annotated[float, Meta(ge=0, le=1)]
    look: Look = ""  # a survey of an earlier program, found in a cache, has none
    seen: Annotated[float, Meta(ge=0, le=1)] = 1.0  # nor this
    alike: Annotated[float, Meta(ge=0, le=1)] = 1.0  # nor this


class VideoPart(Value, frozen=True):
    """The frames of one size and with the same black bars, see `scene.frames.ClipInfo`."""

    width: Side
    height: Side
    fps: Amount
    duration_s: Amount
    codec: Codec
    rotation_deg: QuarterTurns
    recorded_at: Time | None
    camera_model: Text | None
    gps: Place | None
    focal_px: Focal | None
    warnings: Warnings
    frames: tuple[MeasuredFrame, ...]
    projection: Projection = ""
    crop: tuple[Whole, Whole, Whole, Whole] = NO_CROP
    track: Annotated[tuple[tuple[Amount, Latitude, Longitude], ...], Meta(max_length=MOST_FIXES)] = ()


class VideoSurvey(Message, frozen=True):
    """What the first pass saw, the size of most frames first."""

    parts: Annotated[tuple[VideoPart, ...], Meta(min_length=1, max_length=MAX_PARTS)]


class PhotoSeen(Message, frozen=True):
    """See `photo.grouping.PhotoSurvey`."""

    width: Side
    height: Side
    codec: Codec
    recorded_at: Time | None
    camera_model: Text | None
    lens: Text | None
    focal_px: Focal | None
    gps: Place | None
    altitude_m: Altitude | None
    sharpness: Amount
    small: Annotated[tuple[Row, ...], Meta(min_length=1, max_length=2 * MOTION_SIDE)]  # brightness, rows of one length
    warnings: Warnings
    turned_deg: QuarterTurns
    projection: Projection = ""
    rows: Digests = ""
    columns: Digests = ""


class Refused(Message, frozen=True):
    """Why one photo cannot be used, while others may be."""

    error: str  # see `process.error_json`


class Identity(Message, frozen=True):
    """See `media/photo/identity.py`."""

    duration_s: Amount  # of a film, as its header states it; 0.0: a photo, or not stated
    content_id: Text | None  # Apple's, which a photo and its moving part share
    width: Whole = 0  # of a film, pixels as stored; 0: a photo
    height: Whole = 0
    frames: Whole = 0  # of a film; 0: a photo, or not stated


class Done(Message, frozen=True):
    """Nothing more to say."""


Answer: TypeAlias = VideoSurvey | list[PhotoSeen | Refused] | list[Done | Refused] | list[Identity | Refused] | Done


def survey_message(surveys: Sequence[ClipSurvey]) -> VideoSurvey:
    """The survey of a video as an answer, without the names, which are not the process's to give."""
    return VideoSurvey(tuple(_part(one.info, one.measures) for one in surveys))


def _part(info: ClipInfo, frames: Sequence[FrameMeasures]) -> VideoPart:
    return VideoPart(
        info.width, info.height, info.fps, info.duration_s, info.codec, cast(QuarterTurns, info.rotation_deg),
        info.recorded_at, info.camera_model, info.gps, info.focal_px, info.warnings,
        tuple(MeasuredFrame(*astuple(frame)) for frame in frames), cast(Projection, info.projection),
        info.crop, info.track,
    )  # fmt: skip
