"""Which streams of a file are not its film: a poster, a few slides or a still picture may be larger than the film.

A stream is watched for its first seconds: it has too few pictures, or it stands still while another one moves.
"""

from __future__ import annotations

from typing import Any

import av
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from runner.media.selection.measures import MOTION_SIDE, NEW_VIEW, displacement_px
from runner.media.settings import Limits
from runner.media.video import pixels
from runner.media.video.container import open_container
from runner.media.video.damage import Damage
from runner.media.video.decoding import FrameDecoder
from runner.media.video.header import DECODERS, film_streams
from runner.media.video.packets import is_flush, packets_of
from runner.scene.frames import Clip
from runner.scene.sizes import shrink

STEP, MOST = 10, 600  # frames from one that is compared to the next; in all
CERTAIN = 3  # steps in which something moves, and half of all: it is a film
FILM, STILL = 0.2, 0.5  # share of its steps in which a film moves, at least; less than so much of that is no film


class _Watch:
    """What is seen of one stream."""

    def __init__(self, stream: av.VideoStream, limits: Limits) -> None:
        self.packets = self.frames = self.steps = self.moved = 0
        decodes = stream.codec_context.name in DECODERS
        self._decoder = FrameDecoder(stream, limits, Damage()) if decodes else None
        self._reformatter = VideoReformatter()
        self._before: NDArray[np.float32] | None = None

    @property
    def share(self) -> float | None:
        """Of its steps, in which the picture moves; None: nobody can tell."""
        return self.moved / self.steps if self.steps else None

    @property
    def is_film(self) -> bool:
        return self.moved >= CERTAIN and 2 * self.moved >= self.steps

    def read(self, packet: av.Packet[Any]) -> None:
        self.packets += 1
        if self._decoder is None or self.frames >= MOST:
            return
        for frame in self._decoder.decode(packet):
            if self.frames % STEP == 0:
                self._compare(frame)
            self.frames += 1

    def _compare(self, frame: av.VideoFrame) -> None:
        size = shrink(frame.width, frame.height, MOTION_SIDE)
        try:
            seen = pixels.luma(frame, *size, pixels.frame_colour(frame), self._reformatter).astype(np.float32)
        except av.error.FFmpegError as exc:  # it says so again where the film is read
            if isinstance(exc, MemoryError):
                raise
            return
        if self._before is not None and self._before.shape == seen.shape:
            self.steps += 1
            self.moved += displacement_px(self._before, seen) >= NEW_VIEW * max(seen.shape)
        self._before = seen


def beside_the_film(clip: Clip, limits: Limits) -> frozenset[int]:
    """Indices of the video streams that are not the film, where there is one that is.

    Reads until the largest one moves and has enough pictures, or one of them has been watched for long, or the whole
    file. Raises InputError.
    """
    with open_container(clip, limits) as container:
        streams = film_streams(clip, container)
        watches = {stream.index: _Watch(stream, limits) for stream in streams}
        largest = max(streams, key=lambda stream: stream.width * stream.height)
        for packet in packets_of(container, largest, Damage(), every=True):
            watch = watches.get(packet.stream.index)
            if watch is None or is_flush(packet):
                continue
            watch.read(packet)
            if watches[largest.index].packets >= limits.min_frames:
                if watches[largest.index].is_film:
                    return frozenset()
                if watch.frames >= MOST:
                    break
    few = {index for index, watch in watches.items() if watch.packets < limits.min_frames}
    if len(few) == len(watches):
        return frozenset()
    most = max((watch.share or 0.0 for index, watch in watches.items() if index not in few), default=0.0)
    if most >= FILM:
        few |= {i for i, watch in watches.items() if watch.share is not None and watch.share < STILL * most}
    return frozenset(few)
