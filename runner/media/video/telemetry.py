"""Where a camera was while it filmed: GoPro's GPMF, and the subtitles that DJI's drones write into the film.

GPMF: github.com/gopro/gpmf-parser, "GPMF Introduction": items of a four-letter key, a type, a size and a count, big
endian, padded to four bytes; GPS5 and GPS9 are scaled by the SCAL before them, GPSF (fix) and GPSP (precision) say how
good they are. Subtitles: `[latitude: 48.13] [longitude: 11.57]`, and before about 2018 `GPS(11.57,48.13,16)`, whose
longitude comes first, `RTK (11.57, 48.13, 16)` of surveying drones, and `GPS(48.13,11.57,16.0M)`, whose height has a
unit and whose latitude comes first. Nothing of it is believed beyond what a coordinate can be.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from contextlib import suppress

import av
from av.container import InputContainer
from av.stream import Discard

from runner.media.settings import Limits
from runner.media.video.container import open_container
from runner.scene.frames import MOST_FIXES, Clip, Fix

MOST_PACKETS, MOST_PACKET_BYTES = 20_000, 64 * 1024
MOST_DEPTH, MOST_ITEMS = 4, 2000  # of one packet
EVERY_S = 0.5  # receivers find themselves once to ten times a second
LEAST_FIX, MOST_PRECISION = 2, 1000  # GPSF: 2 is on the ground, 3 in the air; GPSP: a hundred times the dilution
SUBTITLES = ("mov_text", "subrip", "text")
NUMBER = r"\s*([-+]?\d{1,3}\.\d+)\s*"
LATITUDE = re.compile(rf"latitude\s*[:=]{NUMBER}", re.IGNORECASE)
LONGITUDE = re.compile(rf"longt?itude\s*[:=]{NUMBER}", re.IGNORECASE)  # a firmware writes longtitude
OLDER = re.compile(rf"\b(?:GPS|RTK)\s*\({NUMBER},{NUMBER}(?:\)|,\s*[-+.\d]*\s*(M?))")
Degrees = tuple[float, float]  # latitude, longitude


def read_track(clip: Clip, limits: Limits) -> tuple[Fix, ...]:
    """Seconds in the clip, latitude and longitude, in the order of time; empty where it has none.

    Read apart from the pictures, whose packets are passed over. Raises the InputErrors of `open_container`.
    """
    with open_container(clip, limits) as container, suppress(av.error.FFmpegError):
        for stream in (*container.streams.data, *container.streams.subtitles):
            kind = stream.codec_context.name if stream.codec_context is not None else ""
            if stream.type == "subtitle" and kind not in SUBTITLES:
                continue
            if found := thinned(_fixes(container, stream)):
                return found
    return ()


def _fixes(container: InputContainer, stream: av.stream.Stream) -> Iterator[Fix]:
    """The first packet tells whether it is one of ours."""
    for other in container.streams:
        other.discard = Discard.default if other is stream else Discard.all
    container.seek(0)
    begins_s = (container.start_time or 0) / av.time_base
    for count, packet in enumerate(container.demux(stream)):
        data = bytes(packet)
        if count == MOST_PACKETS or len(data) > MOST_PACKET_BYTES:
            return
        if packet.pts is None or packet.time_base is None:
            continue
        found = list(gpmf(data)) if stream.type == "data" else list(subtitle(data))
        if count == 0 and stream.type == "data" and not data.startswith(b"DEVC"):
            return
        time_s = float(packet.pts * packet.time_base) - begins_s
        lasts_s = float((packet.duration or 0) * packet.time_base)
        for number, degrees in enumerate(found):
            yield (max(0.0, time_s + lasts_s * number / len(found)), *degrees)


def thinned(fixes: Iterator[Fix]) -> tuple[Fix, ...]:
    """In the order of time, about two a second."""
    kept: list[Fix] = []
    for fix in fixes:
        if (not kept or fix[0] >= kept[-1][0] + EVERY_S) and len(kept) < MOST_FIXES:
            kept.append(fix)
    return tuple(kept)


def subtitle(data: bytes) -> Iterator[Degrees]:
    """The place in one subtitle, if it tells one."""
    text = data.decode("utf-8", "replace")
    latitude, longitude, older = LATITUDE.search(text), LONGITUDE.search(text), OLDER.search(text)
    if latitude and longitude:
        yield from _sane(float(latitude[1]), float(longitude[1]))
    elif older:
        first, second = float(older[1]), float(older[2])
        yield from _sane(first, second) if older[3] else _sane(second, first)


def gpmf(data: bytes) -> Iterator[Degrees]:
    """The places in one packet, evenly spread over its time."""
    state = _Stream()
    for key, kind, size, content in _items(data, [MOST_ITEMS], MOST_DEPTH):
        if key == b"STRM":
            state = _Stream()
        elif key == b"SCAL" and kind in (b"l", b"s"):
            state.scales = [number for (number,) in struct.iter_unpack(">i" if kind == b"l" else ">h", content)]
        elif key == b"GPSF" and len(content) == 4:
            state.locked = struct.unpack(">I", content)[0] >= LEAST_FIX
        elif key == b"GPSP" and len(content) == 2:
            state.precise = struct.unpack(">H", content)[0] <= MOST_PRECISION
        elif key in (b"GPS5", b"GPS9") and size >= 8 and len(state.scales) >= 2 and all(state.scales[:2]):
            for begin in range(0, len(content) - size + 1, size):
                sample = content[begin : begin + size]
                good = state.locked and state.precise if key == b"GPS5" else sample[-2:] >= struct.pack(">H", LEAST_FIX)
                if good:
                    latitude, longitude = struct.unpack(">ii", sample[:8])
                    yield from _sane(latitude / state.scales[0], longitude / state.scales[1])


class _Stream:
    """What is said before the samples of one stream."""

    def __init__(self) -> None:
        self.scales: list[int] = []
        self.locked = self.precise = True


def _items(data: bytes, left: list[int], depth: int) -> Iterator[tuple[bytes, bytes, int, bytes]]:
    """Key, type, bytes of one sample and content of every item; behind one that holds others, those."""
    at = 0
    while at + 8 <= len(data) and left[0] > 0:
        left[0] -= 1
        key, kind, size, count = struct.unpack(">4scBH", data[at : at + 8])
        content = data[at + 8 : at + 8 + size * count]
        at += 8 + (size * count + 3) // 4 * 4
        if at > len(data) + 3:
            return
        yield key, kind, size, content
        if kind == b"\0" and depth > 0:
            yield from _items(content, left, depth - 1)


def _sane(latitude: float, longitude: float) -> Iterator[Degrees]:
    if abs(latitude) <= 90 and abs(longitude) <= 180 and (latitude, longitude) != (0, 0):  # 0, 0 without a fix
        yield latitude, longitude
