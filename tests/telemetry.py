"""Films with the telemetry of cameras, as published: GoPro's GPMF in a data stream, DJI's in subtitles."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

SCALE = 10_000_000  # of a degree, as GoPro writes it
RATE = 10
Degrees = tuple[float, float]


def item(key: bytes, kind: bytes, size: int, content: bytes) -> bytes:
    """One of GPMF: padded to four bytes."""
    return key + struct.pack(">cBH", kind, size, len(content) // size) + content + bytes(-len(content) % 4)


def gps5(places: Sequence[Degrees], *, fix: int = 3, precision: int = 200) -> bytes:
    """A packet of a HERO5 to HERO10: latitude, longitude, altitude, two speeds."""
    rows = b"".join(
        struct.pack(">5i", round(north * SCALE), round(east * SCALE), 500_000, 1000, 10) for north, east in places
    )
    stream = (
        item(b"STNM", b"c", 1, b"GPS (Lat., Long., Alt., 2D speed, 3D speed)")
        + item(b"GPSF", b"L", 4, struct.pack(">I", fix))
        + item(b"GPSU", b"U", 16, b"261129100000.000")
        + item(b"GPSP", b"S", 2, struct.pack(">H", precision))
        + item(b"SCAL", b"l", 4, struct.pack(">5i", SCALE, SCALE, 1000, 1000, 100))
        + item(b"GPS5", b"l", 20, rows)
    )
    motion = item(b"SCAL", b"s", 2, struct.pack(">h", 418)) + item(b"ACCL", b"s", 6, struct.pack(">6h", *range(6)))
    device = item(b"DVNM", b"c", 1, b"Hero6 Black") + item(b"STRM", b"\0", 1, motion) + item(b"STRM", b"\0", 1, stream)
    return item(b"DEVC", b"\0", 1, device)


def gps9(places: Sequence[Degrees], *, fix: int = 3) -> bytes:
    """A packet of a HERO11 and later: the fix stands in each sample."""
    rows = b"".join(
        struct.pack(">7i2H", round(north * SCALE), round(east * SCALE), 0, 0, 0, 9000, 0, 200, fix)
        for north, east in places
    )
    scales = item(b"SCAL", b"l", 4, struct.pack(">9i", SCALE, SCALE, 1000, 1000, 100, 1, 1000, 100, 1))
    stream = item(b"TYPE", b"c", 1, b"lllllllSS") + scales + item(b"GPS9", b"?", 32, rows)
    return item(b"DEVC", b"\0", 1, item(b"STRM", b"\0", 1, stream))


def dji(place: Degrees, number: int = 1) -> bytes:
    """A subtitle as mov_text has it."""
    text = (
        f'<font size="28">FrameCnt: {number}, DiffTime: 33ms\n2026-11-29 10:00:00.000\n[iso: 100] [shutter: 1/400.0] '
        f"[fnum: 1.7] [ev: 0] [latitude: {place[0]:.6f}] [longitude: {place[1]:.6f}] [rel_alt: 10.1 abs_alt: 512.3]"
        "</font>"
    ).encode()
    return struct.pack(">H", len(text)) + text


def write_film(
    path: Path, frames: Sequence[NDArray[np.uint8]], packets: Sequence[bytes], *, subtitles: bool, rate: int = RATE
) -> Path:
    """Frames [H, W, 3], `rate` a second; of the packets one a second beside them."""
    with av.open(str(path), "w") as made:
        film = made.add_stream("mpeg4", rate=rate)
        film.height, film.width = frames[0].shape[:2]
        film.bit_rate = 8_000_000
        beside = made.add_mux_stream("mov_text") if subtitles else made.add_data_stream("bin_data")
        beside.time_base = Fraction(1, 1000)
        for number, pixels in enumerate(frames):
            made.mux(film.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
            if number % rate == 0 and number // rate < len(packets):
                packet, time_ms = av.Packet(packets[number // rate]), 1000 * number // rate
                packet.stream, packet.pts, packet.dts = beside, time_ms, time_ms
                packet.duration, packet.time_base = 1000, beside.time_base
                made.mux(packet)
        made.mux(film.encode())
    return path


def srt(places: Sequence[Degrees], every_s: float = 1.0, *, crlf: bool = False) -> bytes:
    """The file that a drone writes beside its film: a part for each place."""
    end = "\r\n" if crlf else "\n"
    parts = []
    for number, (latitude, longitude) in enumerate(places, 1):
        times = f"{timecode((number - 1) * every_s)} --> {timecode(number * every_s)}"
        text = (
            f"[iso: 100] [latitude: {latitude:.6f}] [longitude: {longitude:.6f}] [rel_alt: 1.3 abs_alt: 512.0] </font>"
        )
        head = f'<font size="28">FrameCnt: {number}, DiffTime: 33ms'
        parts.append(end.join((str(number), times, head, "2026-11-29 10:00:00.000", text, "", "")))
    return "".join(parts).encode()


def timecode(time_s: float) -> str:
    """As SubRip writes it: 00:01:02,345."""
    ms = round(1000 * time_s)
    return f"{ms // 3_600_000:02d}:{ms // 60_000 % 60:02d}:{ms // 1000 % 60:02d},{ms % 1000:03d}"
