"""Open, check and decode one video that a stranger uploaded: upright sRGB pictures with true times, or a typed error.

FFmpeg is told what it may touch before it sees a byte: three container families, one open descriptor and no name of any
kind, no references to other files, a limit on pixels. A playlist named .mp4 would else open URLs and other files.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction

import av
import numpy as np
from av.container import InputContainer
from av.sidedata.sidedata import Type as SideDataType
from av.stream import Disposition
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from runner.media.colour import Colour
from runner.media.settings import Limits
from runner.media.signatures import HEAD, looks_like_heif, looks_like_video
from runner.media.video import pixels
from runner.media.video.metadata import Recording, read_recording
from runner.scene.frames import Clip
from runner.scene.sizes import shrink, square_pixels
from scenejobs.errors import Code, InputError

CONTAINERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi"  # one string of demuxer names, as FFmpeg wants it
CODECS = {"h264", "hevc", "av1", "vp8", "vp9", "mpeg4", "mjpeg", "prores"}
SAFE_OPTIONS = {
    "protocol_whitelist": "fd",  # the descriptor it is given: no path and no URL can be opened, whatever asks for it
    "format_whitelist": CONTAINERS,
    "enable_drefs": "0",  # QuickTime data references point to other files
    "use_absolute_path": "0",
}
MAX_THREADS = (
    8  # of the decoder: each holds pictures; 8K HEVC in 10 bit takes 2.0 GB of address space with 8, 3.2 with 16
)
MIN_DECODED_SHARE = 0.9  # of the frames that the container states; less is a damaged upload, not a usable clip
SOUND_MAY_LAST_S = 1.0  # longer than the pictures; the duration of a Matroska file is that of its longest stream
LONGEST_GAP_S = 60.0  # between two frames; more is a broken timestamp, not a pause
IDENTITY_MATRIX = (65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30)  # display matrix, 16.16 fixed point
CONVERT = "convert it to MP4 with H.264 (ffmpeg -i IN -c:v libx264 OUT.mp4) or record it again"


@dataclass(frozen=True)
class Header:
    """What the container says about the stream that will be read. Claims only: limits are checked again on decoding."""

    width: int  # pixels as stored, before rotation and pixel aspect ratio
    height: int
    frame_count: int  # stated and not cut away by an edit list; 0: the container does not say
    duration_s: float  # 0.0: the container does not say
    fps: float  # average; 30 where the container does not say
    codec: str
    pixel_aspect: float  # width / height of one stored pixel
    recording: Recording


@dataclass
class Picture:
    """One decoded frame. Its pixels are converted only when asked for; valid until the next one is read."""

    index: int  # among the usable decoded frames, from 0
    timestamp_s: float  # from the first frame, strictly increasing
    width: int  # pixels, upright, square
    height: int
    _frame: av.VideoFrame = field(repr=False)
    _matrix: tuple[int, ...] = field(repr=False)  # display matrix
    _colour: Colour = field(repr=False)
    _reformatter: VideoReformatter = field(repr=False)

    def rgb(self, long_side: int | None = None) -> NDArray[np.uint8]:
        """[height, width, 3] sRGB, upright, shrunk (never enlarged) to `long_side` pixels. Raises InputError."""
        return self._pixels(pixels.rgb, long_side)

    def luma(self, long_side: int) -> NDArray[np.uint8]:
        """[height, width] brightness, upright, shrunk by averaging areas."""
        return self._pixels(pixels.luma, long_side)

    def _pixels(self, convert: Callable[..., NDArray[np.uint8]], long_side: int | None) -> NDArray[np.uint8]:
        width, height = shrink(self.width, self.height, long_side)
        if _is_quarter_turn(self._matrix):
            width, height = height, width
        return upright(convert(self._frame, width, height, self._colour, self._reformatter), self._matrix)


class VideoReader:
    """One open video. `pictures()` is to be iterated once; the facts about decoding are complete after it ended."""

    def __init__(self, clip: Clip, container: InputContainer, stream: av.VideoStream, limits: Limits) -> None:
        self.clip = clip
        self.header = _header(container, stream)
        self.rotation_deg = 0  # counter-clockwise, known from the first picture on
        self.warnings: list[str] = []
        self._container, self._stream, self._limits = container, stream, limits

    def pictures(self) -> Iterator[Picture]:
        """Usable frames in order, of whatever size. Damaged ones are left out with a warning.

        Raises InputError: TOO_LARGE as soon as a limit is passed; CORRUPT_VIDEO after the last frame when too few
        of the stated frames decoded.
        """
        clock = Clock(1.0 / self.header.fps)
        reformatter = VideoReformatter()  # keeps its scaling tables from frame to frame
        matrix: tuple[int, ...] = IDENTITY_MATRIX
        colour = Colour()
        index = 0
        timestamp_s = 0.0
        damage = _Damage()
        for frame in self._frames(damage):
            if index == 0:
                matrix = _display_matrix(frame)
                self.rotation_deg = round(frame.rotation / 90) * 90 % 360
                colour = pixels.frame_colour(frame)  # of the whole clip, or one scene would have two exposures
            timestamp_s = clock.read(frame.pts, frame.time_base)
            if index >= self._limits.max_decoded_frames or timestamp_s > self._limits.max_duration_s:
                raise self._error(
                    Code.TOO_LARGE,
                    f"is longer than {self._limits.max_decoded_frames} frames or {self._limits.max_duration_s:g} s",
                    "cut it into the part that shows the scene",
                )
            width, height = square_pixels(frame.width, frame.height, self.header.pixel_aspect)
            if _is_quarter_turn(matrix):
                width, height = height, width
            yield Picture(index, timestamp_s, width, height, frame, matrix, colour, reformatter)
            index += 1
        self._judge_damage(index, timestamp_s + 1 / self.header.fps, damage)
        if clock.repaired:
            self.warnings.append(f"{clock.repaired} frames had missing or backward timestamps, which were repaired")

    def _frames(self, damage: _Damage) -> Iterator[av.VideoFrame]:
        """Every frame that decodes whole. One bad packet costs its frames, not the clip."""
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except av.error.FFmpegError as exc:
                if isinstance(exc, MemoryError):
                    raise
                damage.cut = True
                return
            try:
                frames = packet.decode()
            except av.error.FFmpegError as exc:
                if isinstance(exc, MemoryError):
                    raise
                damage.packets += 1
                continue
            for frame in frames:
                if frame.is_corrupt:
                    damage.packets += 1
                else:
                    yield frame

    def _judge_damage(self, decoded: int, shown_s: float, damage: _Damage) -> None:
        stated, stated_s = self.header.frame_count or decoded + damage.packets, self.header.duration_s
        if decoded == 0 or decoded < MIN_DECODED_SHARE * stated:
            raise self._error(
                Code.CORRUPT_VIDEO,
                f"is damaged or cut off: {decoded} of {stated} frames decode",
                "upload it again, and check that it plays to its end on a computer",
            )
        if not self.header.frame_count and shown_s < MIN_DECODED_SHARE * stated_s - SOUND_MAY_LAST_S:
            raise self._error(
                Code.CORRUPT_VIDEO,
                f"is damaged or cut off: its pictures end after {shown_s:.1f} of {stated_s:.1f} s",
                "upload it again, and check that it plays to its end on a computer",
            )
        if decoded < stated:
            self.warnings.append(f"{stated - decoded} of {stated} frames did not decode")
        elif damage.cut:
            self.warnings.append("the end of the file is damaged")

    def _error(self, code: Code, what: str, advice: str) -> InputError:
        return InputError(f"{self.clip.name} {what}", advice=advice, code=code)


@dataclass
class _Damage:
    """What went wrong while decoding."""

    packets: int = 0  # that gave an error or a damaged picture
    cut: bool = False  # the container itself broke off


class Clock:
    """Strictly increasing seconds from the first frame, whatever the container's timestamps do."""

    def __init__(self, interval_s: float) -> None:
        self.repaired = 0
        self._interval_s = interval_s
        self._offset_s = 0.0
        self._last_s: float | None = None

    def read(self, pts: int | None, time_base: Fraction | None) -> float:
        raw_s = None if pts is None or time_base is None else float(pts * time_base)
        if self._last_s is None:
            self._offset_s = raw_s or 0.0
            self.repaired += raw_s is None
            self._last_s = 0.0
            return 0.0
        time_s = None if raw_s is None else raw_s - self._offset_s
        if time_s is None or not self._last_s < time_s <= self._last_s + LONGEST_GAP_S:
            self.repaired += 1
            time_s = self._last_s + self._interval_s
            if raw_s is not None:
                self._offset_s = raw_s - time_s  # go on from here: a restarted clock is repaired once, not for ever
        self._last_s = time_s
        return time_s


@contextmanager
def open_video(clip: Clip, limits: Limits) -> Iterator[VideoReader]:
    """Opens under the whitelists and checks what the header says against the limits.

    Raises InputError: EMPTY_FILE, NOT_A_VIDEO, CORRUPT_VIDEO, NO_VIDEO_STREAM, TOO_LARGE, TOO_SMALL, INPUT_GONE.
    """
    with _opened(clip) as descriptor:
        _check_size(clip, descriptor, limits)
        if looks_like_heif(os.pread(descriptor, HEAD, 0)):  # the same container as MP4: one picture would be found
            cause = f"{clip.name} is a photo and not a video"
            raise InputError(cause, advice="name it .heic", code=Code.NOT_A_VIDEO)
        with _container(clip, descriptor) as container:
            stream, others = _best_stream(clip, container)
            if stream.codec_context.name not in CODECS | {"libdav1d"}:
                cause = f"{clip.name} uses the codec {stream.codec_context.name}, which is not supported"
                raise InputError(cause, advice=CONVERT, code=Code.NOT_A_VIDEO)
            reader = VideoReader(clip, container, stream, limits)
            if others:
                reader.warnings.append(f"it holds {others + 1} video streams; only the largest is used")
            _check_header(clip, reader.header, limits)
            stream.thread_type = "AUTO"
            stream.codec_context.thread_count = min(MAX_THREADS, os.cpu_count() or 1)
            # FFmpeg compares the size of its buffers, whose sides it rounds up: 4320x7680 would be more than 7680x4320.
            rounded = (reader.header.width + 128) * (reader.header.height + 128)
            stream.codec_context.options = {"max_pixels": str(max(limits.max_pixels, rounded))}
            try:
                yield reader
            except av.error.FFmpegError as exc:  # of a conversion: decoding's own are seen to where they happen
                if isinstance(exc, MemoryError | BlockingIOError):  # EAGAIN: not even a thread can be started
                    raise MemoryError(str(exc)) from exc
                cause = f"{clip.name} holds pictures that cannot be converted"
                raise InputError(cause, advice=CONVERT, code=Code.CORRUPT_VIDEO) from exc


@contextmanager
def _opened(clip: Clip) -> Iterator[int]:
    """A descriptor of the clip, at its beginning."""
    gone = InputError(f"{clip.name} is gone", advice="upload it again", code=Code.INPUT_GONE)
    try:
        if clip.descriptor is not None:
            descriptor = os.dup(clip.descriptor)
        else:
            descriptor = os.open(clip.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a pipe must not block
    except OSError as exc:
        raise gone from exc
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise gone
        os.lseek(descriptor, 0, os.SEEK_SET)  # another descriptor of the same file shares its position
        yield descriptor
    finally:
        os.close(descriptor)


def _container(clip: Clip, descriptor: int) -> InputContainer:
    options = {**SAFE_OPTIONS, "fd": str(descriptor)}
    try:
        return av.open("fd:", options=options, metadata_errors="replace", timeout=(10, 10))
    except av.error.FFmpegError as exc:
        if isinstance(exc, MemoryError):
            raise
        if looks_like_video(os.pread(descriptor, HEAD, 0)):  # tells a damaged video from no video at all
            cause = f"{clip.name} is damaged or cut off: its index cannot be read"
            raise InputError(cause, advice="upload it again", code=Code.CORRUPT_VIDEO) from exc
        raise InputError(f"{clip.name} is not a video", advice=CONVERT, code=Code.NOT_A_VIDEO) from exc


def probe(clip: Clip, limits: Limits) -> Header:
    """What the container says, without decoding. Raises as `open_video`."""
    with open_video(clip, limits) as video:
        return video.header


def upright(picture: NDArray[np.uint8], matrix: tuple[int, ...]) -> NDArray[np.uint8]:
    """Turns and mirrors a stored picture [height, width, ...] as the display matrix says: all eight orientations.

    The matrix maps stored (x, y) to shown (a x + c y, b x + d y), with a, b, _, c, d the first entries (QuickTime file
    format, "matrix structure"). Only quarter turns and mirrors are applied: phones write nothing else.
    """
    a, b, _, c, d = matrix[:5]
    if _is_quarter_turn(matrix):
        picture = np.swapaxes(picture, 0, 1)
        flip_x, flip_y = c < 0, b < 0
    else:
        flip_x, flip_y = a < 0, d < 0
    if flip_x:
        picture = picture[:, ::-1]
    if flip_y:
        picture = picture[::-1]
    return np.ascontiguousarray(picture)


def _is_quarter_turn(matrix: tuple[int, ...]) -> bool:
    return abs(matrix[0]) < abs(matrix[1])


def _display_matrix(frame: av.VideoFrame) -> tuple[int, ...]:
    data = frame.side_data.get(SideDataType.DISPLAYMATRIX)
    if data is None:
        return IDENTITY_MATRIX
    return tuple(int(value) for value in np.frombuffer(bytes(data), np.int32))


def _check_size(clip: Clip, descriptor: int, limits: Limits) -> None:
    size = os.fstat(descriptor).st_size
    if size == 0:
        raise InputError(f"{clip.name} is empty (0 bytes)", advice="upload it again", code=Code.EMPTY_FILE)
    if size > limits.max_file_bytes:
        cause = f"{clip.name} has {size:,} bytes; {limits.max_file_bytes:,} are allowed"
        raise InputError(cause, advice="cut it or record at a lower resolution", code=Code.TOO_LARGE)


def _best_stream(clip: Clip, container: InputContainer) -> tuple[av.VideoStream, int]:
    """The largest picture wins: phones add small previews and cover art as further streams. And how many others are."""
    streams = [stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic]
    if not streams:
        cause = f"{clip.name} holds no moving pictures (audio only)"
        raise InputError(cause, advice="upload the video itself", code=Code.NO_VIDEO_STREAM)
    known = [stream for stream in streams if stream.codec_context is not None]  # else it has not even a size
    if not known:
        raise InputError(f"{clip.name} uses an unknown codec", advice=CONVERT, code=Code.NOT_A_VIDEO)
    best = max(known, key=lambda stream: (stream.width * stream.height, stream.frames, -stream.index))
    return best, len(known) - 1


def _header(container: InputContainer, stream: av.VideoStream) -> Header:
    duration_s = 0.0
    if stream.duration is not None and stream.time_base is not None:
        duration_s = float(stream.duration * stream.time_base)
    elif container.duration is not None:
        duration_s = container.duration / av.time_base
    fps = float(stream.average_rate or stream.guessed_rate or 30)
    frame_count = stream.frames
    if frame_count and (entries := stream.index_entries):
        # A trimmed phone video keeps its cut frames in the file; the edit list marks them as not shown.
        frame_count = min(frame_count, sum(not entry.is_discard for entry in entries))
    aspect = float(stream.sample_aspect_ratio or 1)
    return Header(
        stream.width, stream.height, frame_count, max(0.0, duration_s), fps if 0.1 <= fps <= 1000 else 30.0,
        stream.codec_context.name, aspect if 0.1 <= aspect <= 10 else 1.0,
        read_recording({**stream.metadata, **container.metadata}),
    )  # fmt: skip


def _check_header(clip: Clip, header: Header, limits: Limits) -> None:
    if header.width * header.height > limits.max_pixels:
        cause = f"{clip.name} has {header.width}x{header.height} pixels; {limits.max_pixels:,} are allowed"
        raise InputError(cause, advice="record at a lower resolution", code=Code.TOO_LARGE)
    if header.duration_s > limits.max_duration_s:
        cause = f"{clip.name} lasts {header.duration_s:.0f} s; {limits.max_duration_s:g} are allowed"
        raise InputError(cause, advice="cut it into the part that shows the scene", code=Code.TOO_LARGE)
    width, height = square_pixels(header.width, header.height, header.pixel_aspect)
    if max(width, height) < limits.min_long_side or min(width, height) < limits.min_short_side:
        raise InputError(
            f"{clip.name} has {width}x{height} pixels; {limits.min_long_side}x{limits.min_short_side} are needed",
            advice="record at 1080p or more", code=Code.TOO_SMALL,
        )  # fmt: skip
