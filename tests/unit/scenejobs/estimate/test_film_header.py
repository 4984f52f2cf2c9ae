"""How long films are is read from a few parts of them, wherever their header lies, and nonsense costs no more."""

from __future__ import annotations

import random
import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from scenejobs.estimate.film_header import MOST_PARTS, PART_BYTES, FilmHeader, film_header
from tests.videos import write_audio

SECONDS, RATE, WIDTH, HEIGHT = 3, 20, 320, 180


def film(path: Path, **options: str) -> bytes:
    """A film of moving noise, written by FFmpeg."""
    with av.open(str(path), "w", options=options) as made:
        stream = made.add_stream("mpeg4", rate=RATE)
        stream.width, stream.height, stream.time_base = WIDTH, HEIGHT, Fraction(1, RATE)
        noise = np.random.default_rng(0)
        for _ in range(SECONDS * RATE):
            frame = av.VideoFrame.from_ndarray(noise.integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8), format="rgb24")
            made.mux(stream.encode(frame))
        made.mux(stream.encode())
    return path.read_bytes()


class Counted:
    """A file whose parts are counted."""

    def __init__(self, data: bytes) -> None:
        self.data, self.calls, self.bytes = data, 0, 0

    def __call__(self, begin: int, count: int) -> bytes:
        self.calls += 1
        found = self.data[begin : begin + count]
        self.bytes += len(found)
        return found


def read(data: bytes) -> FilmHeader | None:
    counted = Counted(data)
    found = film_header(counted, len(data))
    assert counted.calls <= MOST_PARTS
    assert counted.bytes <= MOST_PARTS * PART_BYTES
    return found


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
@pytest.mark.parametrize("options", [{}, {"movflags": "faststart"}], ids=["header-last", "header-first"])
def test_a_film_says_how_long_and_how_large_it_is(tmp_path: Path, suffix: str, options: dict[str, str]) -> None:
    data = film(tmp_path / f"a{suffix}", **options)
    found = read(data)
    assert found == FilmHeader(pytest.approx(SECONDS, abs=0.06), SECONDS * RATE, WIDTH, HEIGHT)
    with av.open(str(tmp_path / f"a{suffix}")) as opened:  # and FFmpeg says the same
        stream = opened.streams.video[0]
        assert (stream.frames, stream.width, stream.height) == (found.frames, found.width, found.height)


def test_the_media_of_a_film_of_gigabytes_is_skipped(tmp_path: Path) -> None:
    """A header of 64 bits and its media, as cameras write them; five parts are read of 40 GB."""
    data = film(tmp_path / "a.mp4")
    at = data.index(b"moov") - 4
    front, moov, size = data[: data.index(b"mdat") - 4], data[at:], 40 * 2**30
    media = struct.pack(">I4sQ", 1, b"mdat", size)
    behind = len(front) + size
    calls = []

    def part(begin: int, count: int) -> bytes:
        calls.append((begin, count))
        return (front + media)[begin:][:count] if begin < behind else moov[begin - behind :][:count]

    assert film_header(part, behind + len(moov)) == read(data)
    assert len(calls) <= 5


def test_what_is_no_film_says_nothing(tmp_path: Path) -> None:
    assert read(write_audio(tmp_path / "a.mp4").read_bytes()) is None
    for data in (b"", b"video", b"\0" * 100_000, b"\x1a\x45\xdf\xa3" + b"x" * 5000):
        assert read(data) is None


def test_damage_costs_no_more_and_raises_nothing(tmp_path: Path) -> None:
    """1,500 films with a part of their header overwritten, cut off or repeated; every number that is told is sane."""
    data = film(tmp_path / "a.mp4", movflags="faststart")
    chance, header = random.Random(1), data.index(b"mdat")
    for _ in range(1500):
        spoilt = bytearray(data[: header + 200])
        for _ in range(chance.randrange(1, 8)):
            at = chance.randrange(header)
            spoilt[at : at + 4] = chance.choice([b"\0\0\0\0", b"\xff\xff\xff\xff", b"\0\0\0\1", chance.randbytes(4)])
        found = read(bytes(spoilt[: chance.choice([len(spoilt), chance.randrange(len(spoilt))])]))
        assert found is None or (0 < found.duration_s < 1e6 and found.width > 0 and found.height > 0)


def test_a_header_that_leads_in_circles_or_everywhere_is_given_up() -> None:
    box = struct.pack(">I4s", 8, b"free")
    assert read(box * 10_000) is None
    far = b"".join(struct.pack(">I4s", PART_BYTES + 9, b"free") + b"\0" * (PART_BYTES + 1) for _ in range(60))
    assert read(far) is None
