"""Videos that are none, are broken, lie, or attack, made here with PyAV and by changing bytes; what each must become.

`python -m tests.bad_inputs FOLDER PORT` writes them all. PORT: of the server that playlists point to.
"""

from __future__ import annotations

import functools
import gzip
import io
import struct
import sys
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.stream import Disposition

from runner.media.settings import Limits
from scenejobs.errors import Code
from tests.bad_input_files import (
    FPS,
    FRAMES,
    SIZE,
    box,
    content,
    damaged,
    damaged_index,
    encoded,
    good,
    image,
    index_first,
    patched,
    pictures,
    tarred,
    unknown_codec,
    zipped,
)
from tests.videos import corners, pan, write_audio, write_changing_size, write_video

ACCEPTED = "accepted"
ANYTHING = "accepted or refused"  # random damage: what matters is that it is one of the two
LIMITS = Limits(min_long_side=64, min_short_side=48, max_decoded_frames=100, max_duration_s=60)


@dataclass(frozen=True)
class Case:
    """One upload."""

    name: str  # its file
    what: str
    expected: str  # a Code, ACCEPTED or ANYTHING
    make: Callable[[Path], object]
    says: str = ""  # part of the refusal's cause, or of a warning about the clip
    frames: int = 0  # of an accepted clip; 0: at least one
    size: tuple[int, int] = (0, 0)  # of an accepted clip's pictures, upright


CASES: dict[str, Case] = {}


def case(name: str, what: str, expected: str, make: Callable[[Path], object], **more: object) -> None:
    assert name not in CASES
    CASES[name] = Case(name, what, str(expected), make, **more)  # type: ignore[arg-type]


# ---- empty, cut off -------------------------------------------------------------------------------------------------

case("empty.mp4", "zero bytes", Code.EMPTY_FILE, content(b""), says="0 bytes")
case("one-byte.mp4", "one byte", Code.NOT_A_VIDEO, content(b"\0"))
case("header-only.mp4", "the first 8 bytes", Code.CORRUPT_VIDEO, content(lambda: good()[:8]))
for percent in (2, 10, 25, 50, 75, 90, 99):
    case(
        f"cut-{percent:02d}.mp4", f"index at the end, cut at {percent} %", Code.CORRUPT_VIDEO,
        content(lambda share=percent: good()[: len(good()) * share // 100]),
    )  # fmt: skip
for percent in (5, 30, 60, 85):
    case(
        f"cut-tail-{percent:02d}.mp4", f"index first, cut at {percent} %", Code.CORRUPT_VIDEO,
        content(lambda share=percent: index_first()[: len(index_first()) * share // 100]),
    )  # fmt: skip
case(
    "cut-tail-98.mp4", "index first, the last 2 % missing", ACCEPTED,
    content(lambda: index_first()[: len(index_first()) * 98 // 100]), says="did not decode",
)  # fmt: skip
case(
    "cut-50.mkv", "Matroska cut in the middle", Code.CORRUPT_VIDEO,
    content(lambda: encoded("mkv")[: len(encoded("mkv")) // 2]),
)  # fmt: skip
case(
    "cut-50.avi", "AVI cut in the middle", Code.CORRUPT_VIDEO,
    content(lambda: encoded("avi", "mpeg4")[: len(encoded("avi", "mpeg4")) // 2]),
)  # fmt: skip
case(
    "no-index.mp4", "its index called something else", Code.CORRUPT_VIDEO,
    lambda path: path.write_bytes(good().replace(b"moov", b"junk")),
)  # fmt: skip
case(
    "tail-of-zeros.mp4", "the second half is zeros: a broken upload", Code.CORRUPT_VIDEO,
    content(lambda: index_first()[: len(index_first()) // 2] + bytes(len(index_first()) // 2)),
)  # fmt: skip

# ---- something else with the name of a video ------------------------------------------------------------------------


ELF = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHI", 2, 62, 1) + bytes(2000)
NO_VIDEOS: dict[str, tuple[str, bytes | Callable[[], bytes]]] = {
    "text": ("plain text", b"hello world\n" * 500),
    "html": ("a page that says 404", b"<!doctype html><html><body>not found</body></html>" * 20),
    "json": ("an error of a web service", b'{"error": {"code": "ExpiredToken"}}'),
    "xml": ("an error of the storage service", b'<?xml version="1.0"?><Error><Code>BlobNotFound</Code></Error>'),
    "svg": ("a drawing with a script", b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'),
    "zip": ("a video in a zip archive", zipped),
    "tar": ("a video in a tar archive", tarred),
    "gzip": ("a video in gzip", lambda: gzip.compress(good())),
    "elf": ("a program", ELF),
    "pdf": ("a PDF", b"%PDF-1.7\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n" * 30),
    "jpeg": ("a photo", lambda: image("JPEG")),
    "png": ("a screenshot", lambda: image("PNG")),
    "gif": ("a GIF", lambda: image("GIF")),
    "random": ("random bytes", lambda: np.random.default_rng(0).bytes(100_000)),
    "zeros": ("a hole", bytes(100_000)),
    "wav": ("sound", lambda: b"RIFF" + struct.pack("<I", 36) + b"WAVEfmt " + bytes(24) + b"data" + bytes(2000)),
    "pickle": ("a pickle that would run code", b"\x80\x04\x95\x1d\0\0\0\0\0\0\0\x8c\x05posix\x8c\x06system\x93."),
}
for name, (what, data) in NO_VIDEOS.items():
    case(f"{name}.mp4", what, Code.NOT_A_VIDEO, content(data), says="is not a video")
case(
    "text-like-mp4.mp4",
    "text behind the mark of an MP4",
    Code.CORRUPT_VIDEO,
    content(b"\0\0\0\x18ftypmp42" + b"x" * 900),
)
for name in ("video.txt", "video.jpg", "video"):
    case(f"good-{name}", "a good video under a wrong name", ACCEPTED, content(good), frames=FRAMES, size=SIZE)

# ---- playlists: attempts to open URLs and other files ---------------------------------------------------------------

PORT = "@PORT@"  # replaced when the file is made
URL = f"http://127.0.0.1:{PORT}/a.ts"
HLS = "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{}\n#EXT-X-ENDLIST\n"
PLAYLISTS = {
    "hls-url": HLS.format(URL),
    "hls-file": HLS.format("neighbour.mp4"),
    "hls-passwd": HLS.format("file:///etc/passwd"),
    "hls-concat": HLS.format(f"concat:{URL}|/etc/passwd"),
    "hls-key": HLS.format(URL).replace("#EXTINF", f'#EXT-X-KEY:METHOD=AES-128,URI="{URL}"\n#EXTINF'),
    "ffconcat-file": "ffconcat version 1.0\nfile neighbour.mp4\n",
    "ffconcat-url": f"ffconcat version 1.0\nfile '{URL}'\n",
    "ffconcat-option": f"ffconcat version 1.0\nfile a.mp4\noption protocol_whitelist file,http,tcp\nfile {URL}\n",
    "dash": f'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><BaseURL>{URL}</BaseURL></MPD>',
    "sdp": f"v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\nm=video {PORT} RTP/AVP 96\na=rtpmap:96 H264/90000\n",
    "smil": f'<smil><body><video src="{URL}"/></body></smil>',
    "asx": f'<asx version="3.0"><entry><ref href="{URL}"/></entry></asx>',
    "m3u": f"{URL}\nconcat:{URL}\nsubfile,,start,0,end,9,,:/etc/passwd\n",
}  # fmt: skip
for name, text in PLAYLISTS.items():
    case(f"{name}.mp4", "a playlist", Code.NOT_A_VIDEO, content(text.encode()), says="is not a video")


def foreign_reference(path: Path) -> None:
    """An MP4 whose samples are said to lie in another file (QuickTime data reference, "not self contained")."""
    data = bytearray(index_first())
    place = box(bytes(data), b"url ")
    data[place : place + 4] = bytes(4)  # flags: without "in this file"
    path.write_bytes(data)


case("data-reference.mov", "its samples are said to lie elsewhere", ANYTHING, foreign_reference)

# ---- sound, pictures beside the video -------------------------------------------------------------------------------

case("sound-only.mp4", "sound without pictures", Code.NO_VIDEO_STREAM, write_audio)


def with_cover(path: Path, *, video: bool) -> None:
    with av.open(str(path), "w", format="mp4") as output:
        stream = output.add_stream("libx264", rate=FPS) if video else None
        sound = None if video else output.add_stream("aac", rate=8000, layout="mono")
        cover = output.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 640, 480, "yuvj420p"
        cover.disposition = Disposition.attached_pic
        if stream is not None:
            stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
            for index, pixels in enumerate(pictures()):
                frame = av.VideoFrame.from_ndarray(pixels)
                frame.pts, frame.time_base = index, Fraction(1, FPS)
                output.mux(stream.encode(frame))
            output.mux(stream.encode(None))
        if sound is not None:
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 8000, 0
            output.mux(sound.encode(frame))
            output.mux(sound.encode(None))
        output.mux(cover.encode(av.VideoFrame.from_ndarray(corners(640, 480)).reformat(format="yuvj420p")))
        output.mux(cover.encode(None))


case("cover-and-sound.mp4", "music with cover art", Code.NO_VIDEO_STREAM, lambda path: with_cover(path, video=False))
case(
    "cover-and-video.mp4", "a video with larger cover art", ACCEPTED, lambda path: with_cover(path, video=True),
    frames=FRAMES, size=SIZE,
)  # fmt: skip
case(
    "several-streams.mp4", "a small preview first, then the video, and sound", ACCEPTED,
    lambda path: write_video(path, pan(30, 8, 320, 192), preview=True, audio=True), frames=FRAMES, size=(320, 192),
)  # fmt: skip

# ---- too much, too little -------------------------------------------------------------------------------------------


@functools.cache
def bomb() -> bytes:
    """Three black pictures of 8192x8192: 600 MB of pixels from a few kB."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as output:
        stream = output.add_stream("libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = 8192, 8192, "yuv420p"
        stream.options = {"preset": "ultrafast"}
        frame = av.VideoFrame(8192, 8192, "yuv420p")
        for plane in frame.planes:
            plane.update(bytes(plane.buffer_size))
        for index in range(3):
            frame.pts, frame.time_base = index, Fraction(1, FPS)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return buffer.getvalue()


def disguised_bomb(path: Path) -> None:
    """The container says 160x96; only the stream inside knows better."""
    data = bytearray(bomb())
    entry = box(bytes(data), b"avc1") + 24  # width and height of the sample entry (ISO 14496-12, 12.1.3)
    data[entry : entry + 4] = struct.pack(">HH", *SIZE)
    track = box(bytes(data), b"tkhd") + 76
    data[track : track + 8] = struct.pack(">II", SIZE[0] << 16, SIZE[1] << 16)
    path.write_bytes(data)


case("bomb.mp4", "pictures of 8192x8192", Code.TOO_LARGE, content(bomb), says="8192x8192")
case("disguised-bomb.mp4", "the same, called 160x96 by the container", Code.TOO_LARGE, disguised_bomb, says="8192x8192")
case(
    "bomb-inside.mkv", "one picture of 8192x4100 among small ones", ACCEPTED,
    lambda path: write_changing_size(path, [SIZE] * 12 + [(8192, 4100)] + [SIZE] * 12), frames=24, size=SIZE,
)  # fmt: skip
case(
    "many-frames.mp4", "more frames than are decoded", ACCEPTED,
    lambda path: write_video(path, pictures(10) * 11, fps=30), says="100 of its 110 frames", frames=100, size=SIZE,
)  # fmt: skip
case(
    "long.mp4", "longer than allowed", Code.TOO_LARGE,
    lambda path: write_video(path, pictures(12), times_ms=[6000 * i for i in range(12)]), says="60 are allowed",
)  # fmt: skip
case("small.mp4", "32x32 pixels", Code.TOO_SMALL, lambda path: write_video(path, pan(12, 2, 32, 32)), says="32x32")
case("one-frame.mp4", "one frame", Code.TOO_SHORT, lambda path: write_video(path, pictures(1)), says="1 frames")
case("short.mp4", "half a second", Code.TOO_SHORT, lambda path: write_video(path, pictures(15), fps=30), says="0.5 s")
case("no-frames.mp4", "an index without frames", Code.CORRUPT_VIDEO, patched(good, b"stsz", 8, bytes(4)))

# ---- headers that lie -----------------------------------------------------------------------------------------------

MUCH = b"\x7f\xff\xff\xff"
case("lies-duration.mp4", "a duration of 2^31 in every header", ACCEPTED, lambda path: path.write_bytes(_long()))
case("lies-stream-duration.mp4", "a duration of 2^31 of the stream", ACCEPTED, patched(good, b"mdhd", 16, MUCH))
case("lies-movie-duration.mp4", "a duration of 2^31 of the film alone", ACCEPTED, patched(good, b"mvhd", 16, MUCH))
case("lies-frame-count.mp4", "2^31 frames in the table of sizes", Code.CORRUPT_VIDEO, patched(good, b"stsz", 8, MUCH))
case("lies-time-count.mp4", "2^31 entries in the table of times", ANYTHING, patched(good, b"stts", 4, MUCH))
case("lies-frame-size.mp4", "a frame of 2 GB", Code.CORRUPT_VIDEO, patched(index_first, b"stsz", 12, MUCH))
case(
    "lies-offsets.mp4", "frames behind the end of the file", Code.CORRUPT_VIDEO, patched(index_first, b"stco", 8, MUCH)
)
case("lies-time-scale.mp4", "no units in a second", ANYTHING, patched(good, b"mdhd", 12, bytes(4)))
case("lies-index-size.mp4", "an index larger than the file", ACCEPTED, patched(index_first, b"moov", -8, MUCH))
case("lies-index-empty.mp4", "an index of 8 bytes", ACCEPTED, patched(good, b"moov", -8, b"\0\0\0\x08"))
case(
    "lies-picture-size.mp4",
    "65535x65535 pixels in the index",
    ANYTHING,
    patched(good, b"avc1", 24, b"\xff\xff\xff\xff"),
)
case("lies-codec.mp4", "H.264 called HEVC", Code.CORRUPT_VIDEO, lambda path: path.write_bytes(_renamed_codec()))


def _long() -> bytes:
    data = bytearray(good())
    for kind, offset in ((b"mvhd", 16), (b"mdhd", 16), (b"tkhd", 20)):
        place = box(bytes(data), kind) + offset
        data[place : place + 4] = MUCH
    return bytes(data)


def _renamed_codec() -> bytes:
    return good().replace(b"avc1\0\0\0\0\0\0", b"hvc1\0\0\0\0\0\0")


# ---- unusual and right ----------------------------------------------------------------------------------------------

for container, codec, pix_fmt in (
    ("mkv", "libx264", "yuv420p"), ("mov", "prores_ks", "yuv422p10le"), ("webm", "libvpx", "yuv420p"),
    ("webm", "libvpx-vp9", "yuv420p"), ("avi", "mpeg4", "yuv420p"), ("avi", "mjpeg", "yuvj420p"),
    ("mp4", "libx265", "yuv420p10le"), ("mkv", "mpeg2video", "yuv420p"), ("mkv", "ffv1", "yuv420p"),
    ("mpegts", "libx264", "yuv420p"), ("flv", "flv", "yuv420p"),
):  # fmt: skip
    case(
        f"{codec}.{container}", f"{codec} in {container}", ACCEPTED,
        content(lambda given=(container, codec, pix_fmt): encoded(*given)), frames=FRAMES, size=SIZE,
    )  # fmt: skip
case(
    "uneven-times.mp4", "a variable frame rate", ACCEPTED,
    lambda path: write_video(path, pictures(), times_ms=[i * 40 + (i % 3) * 10 + (i > 15) * 2000 for i in range(30)]),
    frames=FRAMES, size=SIZE,
)  # fmt: skip
case(
    "broken-times.mp4", "all frames at the same time", ACCEPTED, patched(good, b"stts", 12, bytes(4)),
    says="timestamps", frames=FRAMES, size=SIZE,
)  # fmt: skip
case(
    "rotated.mp4", "filmed upright", ACCEPTED, lambda path: write_video(path, pictures(), rotation_deg=90),
    frames=FRAMES, size=SIZE[::-1],
)  # fmt: skip
case(
    "odd-size.mp4", "161x97 pixels", ACCEPTED, lambda path: write_video(path, pan(30, 4, 161, 97), pix_fmt="yuv444p"),
    frames=FRAMES, size=(161, 97),
)  # fmt: skip
case(
    "wide-pixels.mp4", "pixels 4/3 as wide as high", ACCEPTED,
    lambda path: write_video(path, pictures(), pixel_aspect=Fraction(4, 3)), frames=FRAMES, size=(213, 96),
)  # fmt: skip
case(
    "changing-size.mkv", "the picture size changes on the way", ACCEPTED,
    lambda path: write_changing_size(path, [SIZE] * 20 + [(96, 160)] * 4), says="4 frames of other sizes",
    frames=20, size=SIZE,
)  # fmt: skip
case("black.mp4", "black from the first to the last frame", Code.NO_DETAIL, lambda path: _still(path, 0))
case("still.mp4", "a camera on a tripod", Code.STATIC_CAMERA, lambda path: write_video(path, pictures(1) * 30))


def _still(path: Path, level: int) -> None:
    write_video(path, [np.full((SIZE[1], SIZE[0], 3), level, np.uint8)] * 30)


# ---- what is not supported ------------------------------------------------------------------------------------------

for container, codec, pix_fmt in (
    ("avi", "huffyuv", "yuv422p"), ("avi", "rawvideo", "yuv420p"), ("nut", "libx264", "yuv420p"),
):  # fmt: skip
    case(
        f"{codec}-in-{container}.mp4", f"{codec} in {container}", Code.NOT_A_VIDEO,
        content(lambda given=(container, codec, pix_fmt): encoded(*given)),
    )  # fmt: skip

# ---- random damage --------------------------------------------------------------------------------------------------


case("unknown-codec.mp4", "a codec that nobody knows", Code.NOT_A_VIDEO, content(unknown_codec), says="unknown codec")


for seed in range(4):
    case(f"flipped-{seed}.mp4", "3 bits flipped", ANYTHING, damaged(index_first, 3, seed))
    case(f"flipped-much-{seed}.mp4", "200 bits flipped", ANYTHING, damaged(index_first, 200, seed))
    case(f"flipped-{seed}.mkv", "20 bits flipped", ANYTHING, damaged(lambda: encoded("mkv"), 20, seed))
for seed in range(8):
    case(f"flipped-index-{seed}.mp4", "6 bytes of the index changed", ANYTHING, damaged_index(seed))


def write(case: Case, folder: Path, port: int) -> Path:
    """Makes the upload. port: of the server that must not be reached."""
    path = folder / case.name
    case.make(path)
    data = path.read_bytes()
    if PORT.encode() in data:
        path.write_bytes(data.replace(PORT.encode(), str(port).encode()))
    return path


if __name__ == "__main__":
    for one in CASES.values():
        write(one, Path(sys.argv[1]), int(sys.argv[2]))
