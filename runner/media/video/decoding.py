"""Packets of one stream to whole frames; what does not decode is counted and left out."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import Any

import av

from runner.media.settings import MAX_THREADS, Limits
from runner.media.video.damage import Damage
from runner.media.video.packets import is_flush
from runner.media.video.thinning import Group, Plan

# The decoders of FFmpeg that know the transparency of WebM, which its own leave out.
WITH_ALPHA = {"vp8": "libvpx", "vp9": "libvpx-vp9"}

Numbered = tuple[int, float, av.VideoFrame]  # number among all frames, seconds since the first one


class FrameDecoder:
    """Decoder of one stream."""

    def __init__(self, stream: av.VideoStream, limits: Limits, damage: Damage) -> None:
        self._damage, self._begun = damage, False
        self._context: Any = stream.codec_context
        alpha = WITH_ALPHA.get(self._context.name) if stream.metadata.get("alpha_mode") == "1" else None
        if alpha:
            self._context = av.CodecContext.create(alpha, "r")
            self._context.extradata = stream.codec_context.extradata
        self._context.thread_type = "AUTO"
        self._context.thread_count = min(MAX_THREADS, os.cpu_count() or 1)
        # FFmpeg compares the size of its buffers, whose sides it rounds up: 4320x7680 would be more than 7680x4320.
        rounded = (stream.width + 128) * (stream.height + 128)
        self._context.options = {"max_pixels": str(max(limits.max_pixels, rounded))}

    def decode(self, packet: av.Packet[Any] | None) -> list[av.VideoFrame]:
        """Those that are whole now, in the order of showing. One bad packet costs its frames, not the clip.

        None: what is still in the decoder; `restart` before the next packet.
        """
        if packet is not None and not self._begun:
            self._begun = packet.is_keyframe
            if not self._begun:
                self._damage.leads(packet)
        try:
            frames = self._context.decode(packet)
        except av.error.FFmpegError as exc:
            if isinstance(exc, MemoryError):
                raise
            self._damage.packets += 1
            return []
        whole = [frame for frame in frames if not frame.is_corrupt]
        self._damage.packets += len(frames) - len(whole)
        for frame in whole:
            self._damage.came_out(frame)
        if whole and not self._begun:  # it needs no keyframe
            self._begun, self._damage.lead, self._damage.lead_s = True, 0, 0.0
        return whole

    def restart(self) -> None:
        """The next packet is a keyframe after a gap, or after the end."""
        self._context.flush_buffers()


def decode_groups(decoder: FrameDecoder, packets: Iterable[av.Packet[Any]], plan: Plan) -> Iterator[Numbered | None]:
    """The frames of the plan; None for each packet that is passed over, as a sign of life."""
    groups = iter(plan.groups)
    group = next(groups, None)
    numbering = _Numbering(plan, group) if group else None
    for number, packet in enumerate(packets):
        if group is None or numbering is None or is_flush(packet):
            break
        if number < group.first:
            yield None
            continue
        if plan.is_decoded(number, group):
            yield from numbering.of(decoder.decode(packet))
        if number + 1 == group.end:
            yield from numbering.of(decoder.decode(None))
            decoder.restart()
            group = next(groups, None)
            numbering = _Numbering(plan, group) if group else None
    if group is not None and numbering is not None:  # the film ends earlier than when it was looked at
        yield from numbering.of(decoder.decode(None))


class _Numbering:
    """Which frames come out of one group: by their timestamps, and where these say nothing by their order."""

    def __init__(self, plan: Plan, group: Group) -> None:
        inside = slice(group.first, group.end)
        self._plan = plan
        self._first = int(plan.numbers[group.first])  # what is shown before the keyframe needs an earlier one
        both = zip(plan.pts[inside].tolist(), plan.numbers[inside].tolist(), strict=True)
        shown = [(pts, number) for pts, number in both if number >= 0]  # the others are decoded and not given out
        by_pts = dict(shown)
        self._by_pts = by_pts if len(by_pts) == len(shown) else {}
        self._in_order = iter(sorted(number for _, number in shown if number >= plan.begins(group)))
        self._last = -1

    def of(self, frames: Iterable[av.VideoFrame]) -> Iterator[Numbered]:
        for frame in frames:
            number = self._by_pts.get(frame.pts) if frame.pts is not None else None
            if number is None:
                number = next(self._in_order, None)
            if number is None or number <= self._last or number < self._first:
                continue
            self._last = number
            yield number, float(self._plan.times_s[number]), frame
