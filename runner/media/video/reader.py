"""Decodes one untrusted video: upright sRGB frames with true times, or a typed error."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import cast

import av
import numpy as np
from av.container import InputContainer
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from runner.media.colour import Colour
from runner.media.settings import MAX_THREADS, Limits
from runner.media.video import pixels
from runner.media.video.clock import Clock
from runner.media.video.container import open_container
from runner.media.video.damage import Damage, judge_damage
from runner.media.video.header import CONVERT, best_stream, check_header, read_header
from runner.media.video.orientation import IDENTITY_MATRIX, display_matrix, is_quarter_turn, upright
from runner.media.video.projection import check_streams, is_stereo, stated_projection
from runner.scene.frames import Clip
from runner.scene.sizes import shrink, square_pixels
from scenejobs.errors import Code, InputError


@dataclass
class DecodedFrame:
    """Its pixels are converted only when asked for; valid until the next one is read."""

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
        if is_quarter_turn(self._matrix):
            width, height = height, width
        return upright(convert(self._frame, width, height, self._colour, self._reformatter), self._matrix)


class VideoReader:
    """One open video. `frames()` is to be iterated once; the facts about decoding are complete after it ended."""

    def __init__(self, clip: Clip, container: InputContainer, stream: av.VideoStream, limits: Limits) -> None:
        self.clip = clip
        self.header = read_header(container, stream)
        self.rotation_deg = 0  # counter-clockwise, known from the first frame on
        self.projection: int | None = None  # AVSphericalProjection, where the clip states one; known like the rotation
        self.is_stereo = False
        self.warnings: list[str] = []
        self._container, self._stream, self._limits = container, stream, limits

    def frames(self) -> Iterator[DecodedFrame]:
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
        damage = Damage()
        for frame in self._decoded(damage):
            if index == 0:
                matrix = display_matrix(frame)
                self.rotation_deg = round(frame.rotation / 90) * 90 % 360
                self.projection, self.is_stereo = stated_projection(frame), is_stereo(frame)
                colour = pixels.frame_colour(frame)  # of the whole clip, or one scene would have two exposures
            timestamp_s = clock.read(frame.pts, frame.time_base, frame.dts)
            if index >= self._limits.max_decoded_frames or timestamp_s > self._limits.max_duration_s:
                most = f"{self._limits.max_decoded_frames} frames or {self._limits.max_duration_s:g} s"
                advice = "cut it into the part that shows the scene"
                raise InputError(f"{self.clip.name} is longer than {most}", advice=advice, code=Code.TOO_LARGE)
            width, height = square_pixels(frame.width, frame.height, self.header.pixel_aspect)
            if is_quarter_turn(matrix):
                width, height = height, width
            yield DecodedFrame(index, timestamp_s, width, height, frame, matrix, colour, reformatter)
            index += 1
        self.warnings += judge_damage(self.clip, self.header, index, damage)
        if clock.repaired:
            self.warnings.append(f"{clock.repaired} frames had missing or backward timestamps, which were repaired")

    def _decoded(self, damage: Damage) -> Iterator[av.VideoFrame]:
        """Every frame that decodes whole. One bad packet costs its frames, not the clip."""
        packets = self._container.demux()  # of all streams: they tell where the file ends
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
            damage.arrived(packet)
            if packet.stream.index != self._stream.index:  # those at the end have no `stream_index`
                continue
            try:
                frames = cast("list[av.VideoFrame]", packet.decode())
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


@contextmanager
def open_video(clip: Clip, limits: Limits) -> Iterator[VideoReader]:
    """Opens under the whitelists and checks what the header says against the limits.

    Raises InputError: EMPTY_FILE, NOT_A_VIDEO, CORRUPT_VIDEO, NO_VIDEO_STREAM, TOO_LARGE, TOO_SMALL, INPUT_GONE.
    """
    with open_container(clip, limits) as container:
        stream, others = best_stream(clip, container)
        reader = VideoReader(clip, container, stream, limits)
        if others:
            reader.warnings.append(f"it holds {others + 1} video streams; only the largest is used")
        check_streams(clip, list(container.streams.video))
        check_header(clip, reader.header, limits)
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = min(MAX_THREADS, os.cpu_count() or 1)
        # FFmpeg compares the size of its buffers, whose sides it rounds up: 4320x7680 would be more than 7680x4320.
        rounded = (reader.header.width + 128) * (reader.header.height + 128)
        stream.codec_context.options = {"max_pixels": str(max(limits.max_pixels, rounded))}
        try:
            yield reader
        except av.error.FFmpegError as exc:  # of a conversion; those of decoding are handled where they happen
            if isinstance(exc, MemoryError | BlockingIOError):  # EAGAIN: not even a thread can be started
                raise MemoryError(str(exc)) from exc
            cause = f"{clip.name} holds pictures that cannot be converted"
            raise InputError(cause, advice=CONVERT, code=Code.CORRUPT_VIDEO) from exc
