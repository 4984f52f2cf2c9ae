"""How long a film is, how many frames it has and how large they are, from a few parts of the file: MP4 and MOV.

The boxes of ISO/IEC 14496-12 (`moov`: `trak`: `tkhd`, `mdhd`, `hdlr`, `stsz`), wherever in the file they lie: cameras
write them behind the media, which is skipped. Nothing is decoded and nothing unpacked, so that it may be read in the
process of whoever asks; what the numbers claim is checked where the film is made into frames.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

KINDS = (".mp4", ".mov", ".m4v", ".qt", ".3gp", ".3g2")
PART_BYTES = 64 * 1024
MOST_PARTS = 24  # of one film: 1.5 MiB
MOST_BOXES = 64  # of one level; more is nonsense, or a film in thousands of fragments
MOST_SECONDS = 7 * 24 * 3600.0

ReadPart = Callable[[int, int], bytes]  # from which byte on, how many at most


class NoHeader(Exception):
    """The file does not say, or not within the parts that are read."""


@dataclass(frozen=True)
class FilmHeader:
    """What it claims. frames: None where it is written in fragments. width, height: pixels, as it is shown."""

    duration_s: float
    frames: int | None
    width: int
    height: int


@dataclass(frozen=True)
class _Box:
    kind: bytes
    begin: int  # of its content
    end: int


class _Parts:
    """A file by its parts; the one that was read last is kept."""

    def __init__(self, read: ReadPart, size: int) -> None:
        self._read, self.size = read, size
        self._begin, self._data, self._left = 0, b"", MOST_PARTS

    def at(self, begin: int, count: int) -> bytes:
        """Raises NoHeader where there are fewer, or too much was read."""
        if not self._begin <= begin <= begin + count <= self._begin + len(self._data):
            if begin + count > self.size or self._left == 0:
                raise NoHeader
            self._left -= 1
            self._begin, self._data = begin, self._read(begin, min(PART_BYTES, self.size - begin))
            if len(self._data) < count:
                raise NoHeader
        return self._data[begin - self._begin :][:count]

    def boxes(self, begin: int, end: int) -> Iterator[_Box]:
        for _ in range(MOST_BOXES):
            if begin + 8 > end:
                return
            size, kind = struct.unpack(">I4s", self.at(begin, 8))
            head = 8
            if size == 1:
                (size,), head = struct.unpack(">Q", self.at(begin + 8, 8)), 16
            last = end if size == 0 else begin + size
            if not begin + head <= last <= end:
                raise NoHeader
            yield _Box(kind, begin + head, last)
            begin = last

    def inside(self, box: _Box, *kinds: bytes) -> _Box:
        """The first box of this kind in another, level by level. Raises NoHeader where there is none."""
        for kind in kinds:
            found = next((one for one in self.boxes(box.begin, box.end) if one.kind == kind), None)
            if found is None:
                raise NoHeader
            box = found
        return box


def film_header(read: ReadPart, size: int) -> FilmHeader | None:
    """Of the film with the largest frames in a file of so many bytes; None where it does not say.

    Raises what `read` raises.
    """
    parts = _Parts(read, size)
    try:
        moov = parts.inside(_Box(b"", 0, size), b"moov")
        found = [_film(parts, box) for box in parts.boxes(moov.begin, moov.end) if box.kind == b"trak"]
    except NoHeader:
        return None
    films = [film for film in found if film is not None]
    return max(films, key=lambda film: film.width * film.height, default=None)


def _film(parts: _Parts, trak: _Box) -> FilmHeader | None:
    """None of a track that is no film. Raises NoHeader."""
    tkhd = parts.inside(trak, b"tkhd")
    mdia = parts.inside(trak, b"mdia")
    if parts.at(parts.inside(mdia, b"hdlr").begin + 8, 4) != b"vide":
        return None
    mdhd = parts.inside(mdia, b"mdhd")
    at, form = (20, ">IQ") if parts.at(mdhd.begin, 1) == b"\1" else (12, ">II")
    units, length = struct.unpack(form, parts.at(mdhd.begin + at, struct.calcsize(form)))
    width, height = (side >> 16 for side in struct.unpack(">II", parts.at(tkhd.end - 8, 8)))
    stsz = parts.inside(mdia, b"minf", b"stbl", b"stsz")
    (frames,) = struct.unpack(">I", parts.at(stsz.begin + 8, 4))
    if not units or not 0 < length / units < MOST_SECONDS or not width or not height:
        return None
    return FilmHeader(length / units, frames or None, width, height)


def says(name: str) -> bool:
    """Whether a file of this name may have such a header."""
    return PurePosixPath(name).suffix.lower() in KINDS
