"""Decodes one untrusted video: upright sRGB frames with true times, or a typed error."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import cast

import av
import numpy as np
from av.container import InputContainer
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray
from PIL import Image

from runner.media.colour import ON_WHITE, Colour
from runner.media.settings import Limits
from runner.media.video import pixels
from runner.media.video.clock import Clock
from runner.media.video.container import open_container
from runner.media.video.damage import MIN_DECODED_OF_PLANNED, Damage, broken, judge_damage
from runner.media.video.decoding import FrameDecoder, Numbered, decode_groups
from runner.media.video.header import CONVERT, best_stream, check_header, film_streams, read_header, too_long
from runner.media.video.interlaced.deinterlace import TOLD, Deinterlacer
from runner.media.video.lead import LeadProbe
from runner.media.video.orientation import IDENTITY_MATRIX, display_matrix, is_quarter_turn, upright
from runner.media.video.packets import packets_of, read_packets
from runner.media.video.projection import check_streams, is_stereo, stated_projection
from runner.media.video.streams import beside_the_film
from runner.media.video.thinning import Plan, Thinned, allowance, plan
from runner.scene.frames import NO_CROP, Clip, Crop
from runner.scene.sizes import shrink, square_pixels
from scenejobs.errors import Code, InputError


@dataclass
class DecodedFrame:
    """Its pixels are converted only when asked for; valid until the next one is read."""

    index: int  # of a long film its number among all frames, else among those that decode; from 0
    timestamp_s: float  # from the first frame, strictly increasing
    width: int  # pixels, upright, square
    height: int
    _frame: av.VideoFrame = field(repr=False)
    _matrix: tuple[int, ...] = field(repr=False)  # display matrix
    _colour: Colour = field(repr=False)
    _reformatter: VideoReformatter = field(repr=False)

    def rgb(self, long_side: int | None = None, crop: Crop = NO_CROP) -> NDArray[np.uint8]:
        """[height, width, 3] sRGB, upright, cropped and then shrunk (never enlarged) to `long_side` pixels. Raises
        InputError."""
        if crop == NO_CROP:
            return self._pixels(pixels.rgb, long_side)
        left, top, right, bottom = crop
        inside = self._pixels(pixels.rgb, None)[top : self.height - bottom, left : self.width - right]
        size = shrink(inside.shape[1], inside.shape[0], long_side)
        return np.asarray(Image.fromarray(np.ascontiguousarray(inside)).resize(size, Image.Resampling.LANCZOS))

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
        self.thinned: Thinned | None = None  # of a long film, as soon as frames come
        self.on_share: Callable[[float], None] = lambda _: None  # is told which share of the film was read, often
        self._container, self._stream, self._limits = container, stream, limits
        self._most = allowance(limits.max_decoded_frames, self.header.width, self.header.height)

    def frames(self, wanted: Collection[int] = ()) -> Iterator[DecodedFrame]:
        """Usable frames in order, of whatever size: all of them, or of a long film some (`thinning.py`). Damaged ones
        are left out with a warning.

        wanted: numbers of frames without which others need not be decoded; none: there are no such.
        Raises InputError: TOO_LARGE as soon as a limit is passed; CORRUPT_VIDEO after the last frame when too few
        of the stated frames decoded.
        """
        reformatter = VideoReformatter()  # keeps its scaling tables from frame to frame
        matrix: tuple[int, ...] = IDENTITY_MATRIX
        colour = Colour()
        first = True
        whole, transparent = Deinterlacer(), False
        for number, timestamp_s, frame in whole.of(self._numbered(frozenset(wanted))):
            if first:
                self.rotation_deg = round(frame.rotation / 90) * 90 % 360
                self.projection, self.is_stereo = stated_projection(frame), is_stereo(frame)
                colour = pixels.frame_colour(frame)  # of the whole clip, or one scene would have two exposures
            if first or self.header.codec == "mjpeg":  # each of its pictures may be a photo with its own EXIF
                matrix = display_matrix(frame)
            first = False
            if not transparent and pixels.has_alpha(frame) and pixels.is_transparent(frame, reformatter):
                transparent = True
                self.warnings.append(ON_WHITE)
            if timestamp_s > self._limits.max_duration_s:
                raise too_long(self.clip, timestamp_s, self._limits)
            width, height = square_pixels(frame.width, frame.height, self.header.pixel_aspect)
            if is_quarter_turn(matrix):
                width, height = height, width
            yield DecodedFrame(number, timestamp_s, width, height, frame, matrix, colour, reformatter)
        if whole.used:
            self.warnings.append(TOLD)

    def _numbered(self, wanted: frozenset[int]) -> Iterator[Numbered]:
        expected = self.header.frame_count or self.header.duration_s * self.header.fps
        if 0 < expected <= self._most:
            yield from self._all_frames()
            return
        chosen = self._plan()
        if chosen is None:
            yield from self._all_frames()
            return
        count = len(chosen.times_s)
        self.thinned = Thinned(count, float(chosen.times_s[-1]))
        if self.thinned.lasts_s > self._limits.max_duration_s:
            raise too_long(self.clip, self.thinned.lasts_s, self._limits)
        damage, decoded = Damage(), 0
        decoder = FrameDecoder(self._stream, self._limits, damage)
        packets = packets_of(self._container, self._stream, damage)
        passed, seen_s = 0, list[float]()
        for found in decode_groups(decoder, packets, chosen.only(wanted) if wanted else chosen):
            passed = max(passed + 1, found[0] if found else 0)
            self.on_share(passed / count)
            if found is not None:
                decoded += 1
                seen_s.append(found[1])
                yield found
        self.warnings.append(self.thinned.told(seen_s))
        if not wanted and decoded < MIN_DECODED_OF_PLANNED * chosen.planned:
            raise broken(self.clip, decoded, chosen.planned)

    def _plan(self) -> Plan | None:
        """What of the film to decode, after a look at all of its packets; None: everything. Raises InputError."""
        damage = Damage()
        with open_container(self.clip, self._limits) as container:
            stream = container.streams[self._stream.index]
            most = max(1.0, self.header.frame_count or self.header.duration_s * self.header.fps)
            probe = LeadProbe(cast(av.VideoStream, stream), self._limits, most)
            packets = read_packets(
                container, cast(av.VideoStream, stream), damage, lambda count: self.on_share(min(1.0, count / most)),
                probe.read,
            )  # fmt: skip
        if len(packets) <= self._most:
            return None
        self.warnings += judge_damage(self.clip, self.header, len(packets), damage)
        return plan(packets, 1.0 / self.header.fps, self._most, probe.lead)

    def _all_frames(self) -> Iterator[Numbered]:
        """One after the other, with a number for each that decodes."""
        clock = Clock(1.0 / self.header.fps)
        damage = Damage()
        decoder = FrameDecoder(self._stream, self._limits, damage)
        expected = self.header.frame_count or self.header.duration_s * self.header.fps or 1
        number = 0
        for packet in packets_of(self._container, self._stream, damage):
            for frame in decoder.decode(packet):
                if number >= self._limits.max_decoded_frames:
                    self.warnings.append(f"only its first {number} frames are used: it says that it holds fewer")
                    return
                yield number, clock.read(frame.pts, frame.time_base, frame.dts), frame
                number += 1
                self.on_share(min(1.0, number / expected))
        self.warnings += judge_damage(self.clip, self.header, number, damage)
        if clock.repaired:
            self.warnings.append(f"{clock.repaired} frames had missing or backward timestamps, which were repaired")


@contextmanager
def open_video(clip: Clip, limits: Limits) -> Iterator[VideoReader]:
    """Opens under the whitelists and checks what the header says against the limits.

    Raises InputError: EMPTY_FILE, NOT_A_VIDEO, CORRUPT_VIDEO, NO_VIDEO_STREAM, TOO_LARGE, TOO_SMALL, INPUT_GONE.
    """
    with open_container(clip, limits) as container:
        several = len(container.streams.video) > 1
        stream, others = best_stream(clip, container, beside_the_film(clip, limits) if several else ())
        reader = VideoReader(clip, container, stream, limits)
        if others:
            larger = any(one.width * one.height > stream.width * stream.height for one in film_streams(clip, container))
            which = "one that moves is used: a larger one stands still" if larger else "largest is used"
            reader.warnings.append(f"it holds {others + 1} video streams; only the {which}")
        check_streams(clip, list(container.streams.video))
        check_header(clip, reader.header, limits)
        try:
            yield reader
        except av.error.FFmpegError as exc:  # of a conversion; those of decoding are handled where they happen
            if isinstance(exc, MemoryError | BlockingIOError):  # EAGAIN: not even a thread can be started
                raise MemoryError(str(exc)) from exc
            cause = f"{clip.name} holds pictures that cannot be converted"
            raise InputError(cause, advice=CONVERT, code=Code.CORRUPT_VIDEO) from exc
