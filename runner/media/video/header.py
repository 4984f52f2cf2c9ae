"""What the container says about the video stream that will be read, and the checks that need no decoding."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass

import av
from av.container import InputContainer
from av.stream import Disposition

from runner.media.frame_size import is_too_small
from runner.media.settings import Limits
from runner.media.video.metadata import Recording, read_recording
from runner.scene.frames import Clip
from runner.scene.sizes import square_pixels
from scenejobs.errors import Code, InputError

# Decoders, as FFmpeg calls them. docs/SECURITY.md lists the same.
DECODERS = {
    "h264", "hevc", "av1", "libdav1d", "vp8", "vp9", "libvpx", "libvpx-vp9", "mpeg4", "mjpeg", "prores",  # of today
    "mpeg1video", "mpeg2video", "dvvideo", "h263", "wmv1", "wmv2", "wmv3", "vc1", "msmpeg4v1", "msmpeg4v2", "msmpeg4",
    "flv", "vp6f", "theora",  # and was until about 2010; FFmpeg's decoder of the third msmpeg4 has no number
    "dnxhd", "cfhd", "ffv1",  # what editors and cinema cameras keep
}  # fmt: skip
# Formats that state how long they are. Of others FFmpeg says what it finds at their end, and a cut moves that.
STATES_DURATION = {"mov", "matroska", "asf", "flv"}
NO_FILM = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image
CONVERT = "convert it to MP4 with H.264 (ffmpeg -i IN -c:v libx264 OUT.mp4) or record it again"


@dataclass(frozen=True)
class Header:
    """What the container says about the stream that will be read. Claims only: limits are checked again on decoding."""

    width: int  # pixels as stored, before rotation and pixel aspect ratio
    height: int
    frame_count: int  # stated and not cut away by an edit list; 0: the container does not say
    duration_s: float  # of the pictures, from the first one on; 0.0: the container does not say
    stated_s: float  # from the first packet of any stream to the last, at least; 0.0: the container does not state it
    ends_s: float  # the container's own number, which may be the length or the time of the end
    fps: float  # average; 30 where the container does not say
    codec: str
    pixel_aspect: float  # width / height of one stored pixel
    recording: Recording


def film_streams(clip: Clip, container: InputContainer) -> list[av.VideoStream]:
    """The streams with moving pictures: no cover art and no thumbnails.

    Raises InputError NO_VIDEO_STREAM; NOT_A_VIDEO where none has a codec that FFmpeg knows.
    """
    streams = [stream for stream in container.streams.video if not stream.disposition & NO_FILM]
    if not streams:
        cause = f"{clip.name} holds no moving pictures (audio only)"
        raise InputError(cause, advice="upload the video itself", code=Code.NO_VIDEO_STREAM)
    known = [stream for stream in streams if stream.codec_context is not None]  # else it has not even a size
    if not known:
        raise InputError(f"{clip.name} uses an unknown codec", advice=CONVERT, code=Code.NOT_A_VIDEO)
    return known


def best_stream(clip: Clip, container: InputContainer, beside: Container[int] = ()) -> tuple[av.VideoStream, int]:
    """The stream with the largest frames, and how many others there are: phones add small previews and cover art.

    beside: indices of those that are not the film (`streams.py`).
    Raises InputError NO_VIDEO_STREAM; NOT_A_VIDEO for a codec that is not supported.
    """
    known = film_streams(clip, container)
    best = max(
        known,
        key=lambda stream: (
            stream.index not in beside, stream.frames != 1, stream.width * stream.height, stream.frames, -stream.index,
        ),
    )  # fmt: skip
    if best.codec_context.name not in DECODERS:
        cause = f"{clip.name} uses the codec {best.codec_context.name}, which is not supported"
        raise InputError(cause, advice=CONVERT, code=Code.NOT_A_VIDEO)
    return best, len(known) - 1


def read_header(container: InputContainer, stream: av.VideoStream) -> Header:
    """Numbers that cannot be are replaced by usual ones."""
    whole_s = _whole_s(container)
    duration_s = whole_s
    if stream.duration is not None and stream.time_base is not None:
        duration_s = float(stream.duration * stream.time_base)
    states = bool(STATES_DURATION.intersection(container.format.name.split(",")))
    ends_s = container.duration / av.time_base if states and container.duration is not None else 0.0
    fps = float(stream.average_rate or stream.guessed_rate or 30)
    frame_count = stream.frames
    if frame_count and (entries := stream.index_entries):
        # A trimmed phone video keeps its cut frames in the file; the edit list marks them as not shown. An entry of
        # no bytes is a frame that the camera dropped: the one before it stays.
        frame_count = min(frame_count, sum(not entry.is_discard and entry.size > 0 for entry in entries))
    aspect = float(stream.sample_aspect_ratio or 1)
    return Header(
        stream.width, stream.height, frame_count, max(0.0, duration_s), whole_s if states else 0.0, ends_s,
        fps if 0.1 <= fps <= 1000 else 30.0,
        stream.codec_context.name, aspect if 0.1 <= aspect <= 10 else 1.0,
        read_recording({**stream.metadata, **container.metadata}),
    )  # fmt: skip


def _whole_s(container: InputContainer) -> float:
    """Of the longest stream, from the first packet of any stream on; 0.0 where nothing is known.

    Matroska has one number for it. Some programs write the time of the end there, others the length, and a file may
    begin at any time (RFC 9559, 5.1.2.10 says neither); the smaller of the two is true in any case.
    """
    if container.duration is None:
        return 0.0
    end_s, start_s = container.duration / av.time_base, (container.start_time or 0) / av.time_base
    return max(0.0, end_s - start_s if 0 < start_s < end_s else end_s)


def check_header(clip: Clip, header: Header, limits: Limits) -> None:
    """Raises InputError TOO_LARGE, TOO_SMALL.

    How long it lasts the pictures say later: a jump of its clock is part of `duration_s`.
    """
    if header.width * header.height > limits.max_pixels:
        cause = f"{clip.name} has {header.width}x{header.height} pixels; {limits.max_pixels:,} are allowed"
        raise InputError(cause, advice="record at a lower resolution", code=Code.TOO_LARGE)
    width, height = square_pixels(header.width, header.height, header.pixel_aspect)
    if is_too_small(width, height, limits):
        raise too_small(clip, width, height, limits)


def too_small(clip: Clip, width: int, height: int, limits: Limits, said: str = "") -> InputError:
    """For fewer pixels than the limits. said: why there are so few."""
    return InputError(
        f"{clip.name} has {width}x{height} pixels{said}; {limits.min_long_side}x{limits.min_short_side} are needed",
        advice="record at 1080p or more", code=Code.TOO_SMALL,
    )  # fmt: skip


def too_long(clip: Clip, lasts_s: float, limits: Limits) -> InputError:
    """For more seconds than the limit."""
    cause = f"{clip.name} lasts {lasts_s:.0f} s; {limits.max_duration_s:g} are allowed"
    advice = "cut it into the part that shows the scene, or raise MAX_VIDEO_DURATION"
    return InputError(cause, advice=advice, code=Code.TOO_LARGE)
