"""Good videos to start from, and the ways to break them: what the table of bad inputs is made with."""

from __future__ import annotations

import functools
import io
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image

from tests.videos import corners, pan

SIZE = (160, 96)
FRAMES, FPS = 30, 10


def pictures(count: int = FRAMES) -> list[np.ndarray]:
    return pan(count, 4, *SIZE)


@functools.cache
def encoded(container: str = "mp4", codec: str = "libx264", pix_fmt: str = "yuv420p", options: str = "") -> bytes:
    """A good video of 3 s. options: of the container, "movflags=faststart"."""
    with tempfile.NamedTemporaryFile() as file:  # a name: to put the index first, FFmpeg opens it once more
        given = dict(part.split("=") for part in options.split(",") if part)
        _encode(file.name, {"mkv": "matroska"}.get(container, container), codec, pix_fmt, given)
        return Path(file.name).read_bytes()


def _encode(path: str, container: str, codec: str, pix_fmt: str, options: dict[str, str]) -> None:
    with av.open(path, "w", format=container, options=options) as output:
        stream = output.add_stream(codec, rate=FPS)
        stream.width, stream.height, stream.pix_fmt = *SIZE, pix_fmt
        if codec == "libx264":
            stream.options = {"preset": "ultrafast", "g": "10"}
        for index, pixels in enumerate(pictures()):
            frame = av.VideoFrame.from_ndarray(pixels)
            frame.pts, frame.time_base = index, Fraction(1, FPS)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))


def good() -> bytes:
    """Index at the end, as phones write it."""
    return encoded()


def index_first() -> bytes:
    return encoded(options="movflags=faststart")


def content(data: bytes | Callable[[], bytes]) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(data() if callable(data) else data)


def box(data: bytes, kind: bytes) -> int:
    """Offset of the content of the first such MP4 box."""
    return data.index(kind) + 4


def patched(source: Callable[[], bytes], kind: bytes, offset: int, new: bytes) -> Callable[[Path], object]:
    """The video with bytes of one MP4 box changed; offset from the box's content (negative: its header)."""

    def make(path: Path) -> None:
        data = bytearray(source())
        place = box(bytes(data), kind) + offset
        data[place : place + len(new)] = new
        path.write_bytes(data)

    return make


def zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("video.mp4", good())
    return buffer.getvalue()


def tarred() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        member = tarfile.TarInfo("video.mp4")
        member.size = len(good())
        archive.addfile(member, io.BytesIO(good()))
    return buffer.getvalue()


def image(kind: str) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(corners(*SIZE)).save(buffer, kind)
    return buffer.getvalue()


def damaged(source: Callable[[], bytes], changes: int, seed: int) -> Callable[[Path], object]:
    def make(path: Path) -> None:
        data, rng = bytearray(source()), np.random.default_rng(seed)
        for place in rng.integers(0, len(data), changes):
            data[place] ^= 1 << int(rng.integers(0, 8))
        path.write_bytes(data)

    return make


def damaged_index(seed: int) -> Callable[[Path], object]:
    def make(path: Path) -> None:
        data, rng = bytearray(good()), np.random.default_rng(seed)
        start = box(bytes(data), b"moov")
        for place in rng.integers(start, len(data), 6):
            data[place] = int(rng.integers(0, 256))
        path.write_bytes(data)

    return make


def unknown_codec() -> bytes:
    return good().replace(b"avc1", b"xyz1").replace(b"avcC", b"xyzC")
