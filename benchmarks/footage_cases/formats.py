"""Films as other cameras, editors and streams leave them, made of the clips that lie with the footage."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
import av.filter
import numpy as np
from numpy.typing import NDArray

from benchmarks.footage_cases.case import WALK_FRAMES, Case, footage, leaves_out, whole_film
from tests.videos import wall, write_two_streams

WALK = "walk/walk.mp4"
HOUR_S = 3600


def pictures(name: str, most: int | None = None) -> Iterator[NDArray[np.uint8]]:
    """Of a clip of the footage."""
    with av.open(str(footage(name))) as source:
        for number, frame in enumerate(source.decode(source.streams.video[0])):
            if number == most:
                return
            yield frame.to_ndarray(format="rgb24")


def encoded(
    name: str, container: str, codec: str, *, starts_s: float = 0.0, sound_s: float = 0.0, fields: bool = False,
    transparent: bool = False, fps: int = 30, pix_fmt: str = "yuv420p", options: dict[str, str] | None = None,
) -> Callable[[Path], Sequence[Path]]:  # fmt: skip
    """The walk once more. fields: every second line is the next picture's. transparent: a corner of it is."""

    def make(folder: Path) -> Sequence[Path]:
        frames = list(pictures(WALK))
        if fields:
            frames = [_woven(one, other) for one, other in zip(frames[::2], frames[1::2], strict=False)]
        with av.open(str(folder / name), "w", format=container) as output:
            stream = output.add_stream(codec, rate=fps)
            stream.height, stream.width, stream.pix_fmt = *frames[0].shape[:2], pix_fmt
            stream.options = options or {}
            sound = output.add_stream("aac", rate=48_000) if sound_s else None
            for number, pixels in enumerate(frames):
                output.mux(stream.encode(_frame(pixels, transparent, round(starts_s * fps) + number, fps)))
            output.mux(stream.encode(None))
            if sound is not None:
                for start in range(0, round(sound_s * 48_000), 960):
                    silence = av.AudioFrame.from_ndarray(np.zeros((2, 960), np.float32), format="fltp", layout="stereo")
                    silence.sample_rate, silence.pts = 48_000, start
                    output.mux(sound.encode(silence))
                output.mux(sound.encode(None))
        return [folder / name]

    return make


def _woven(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> NDArray[np.uint8]:
    both = one.copy()
    both[1::2] = other[1::2]
    return both


def _frame(pixels: NDArray[np.uint8], transparent: bool, number: int, fps: int) -> av.VideoFrame:
    if transparent:
        alpha = np.full((*pixels.shape[:2], 1), 255, np.uint8)
        alpha[:60, :60] = 0
        pixels = np.concatenate([pixels, alpha], axis=2)
    frame = av.VideoFrame.from_ndarray(pixels, "rgba" if transparent else "rgb24")
    frame.pts, frame.time_base = number, Fraction(1, fps)
    return frame


def hour(name: str, width: int, height: int, fps: int, lasts_s: int = HOUR_S) -> Callable[[Path], Sequence[Path]]:
    """The walk, enlarged, forwards and backwards, again and again by stream copy."""

    def make(folder: Path) -> Sequence[Path]:
        seed = folder / "seed.mp4"
        frames = list(pictures(WALK))  # less of it is a scene of its own kind: see reports/04_...second_way_needed
        with av.open(str(seed), "w") as output:
            stream = output.add_stream("libx264", rate=fps)
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            stream.options = {"preset": "veryfast", "crf": "34", "g": "30"}  # below 8 GiB; keyframes of many places
            for number, pixels in enumerate([*frames, *frames[::-1]]):
                frame = av.VideoFrame.from_ndarray(pixels).reformat(width, height, "yuv420p")
                frame.pts, frame.time_base = number, Fraction(1, fps)
                output.mux(stream.encode(frame))
            output.mux(stream.encode(None))
        repeated(seed, folder / name, lasts_s)
        seed.unlink()
        return [folder / name]

    return make


def repeated(seed: Path, path: Path, lasts_s: float) -> None:
    """The film again and again until it lasts that long."""
    with av.open(str(seed)) as source, av.open(str(path), "w", format="mp4") as output:
        stream = source.streams.video[0]
        packets = [packet for packet in source.demux(stream) if packet.dts is not None]
        unit = stream.time_base or Fraction(1, 90_000)
        length = sum(packet.duration or 0 for packet in packets)
        copy = output.add_stream_from_template(stream)
        for turn in range(round(lasts_s / float(length * unit))):
            for packet in packets:
                again = av.Packet(bytes(packet))
                again.stream, again.time_base, again.is_keyframe = copy, unit, packet.is_keyframe
                again.pts, again.dts = (packet.pts or 0) + turn * length, (packet.dts or 0) + turn * length
                again.duration = packet.duration
                output.mux(again)


def photos_and(*names: str) -> Callable[[Path], Sequence[Path]]:
    """The banana, and files of something else."""

    def make(folder: Path) -> Sequence[Path]:
        for name in names:
            (folder / name).write_bytes(b"II*\0" + bytes(4000))
        return [*sorted(footage("banana_photos").glob("*.jpg")), *(folder / name for name in names)]

    return make


def beside_a_slide(folder: Path) -> Sequence[Path]:
    """One file with the walk, and with a picture of a larger size that stays."""
    frames = list(pictures(WALK))
    return [write_two_streams(folder / "lecture.mp4", [wall(1280, 720)] * len(frames), frames, fps=30)]


AT_30, AT_25 = (whole_film(WALK_FRAMES, WALK_FRAMES / fps) for fps in (30, 25))
CASES = (
    Case(
        "mkv-late", "2 time", "MKV that starts at 100,000 s",
        encoded("a.mkv", "matroska", "libx264", starts_s=100_000), AT_30,
    ),
    Case(
        "webm-late", "2 time", "WebM that starts at 60 s",
        encoded("a.webm", "webm", "libvpx", starts_s=60, options={"b": "6M"}), AT_30,
    ),
    Case(
        "mkv-long-sound", "2 time", "MKV whose sound lasts three times as long",
        encoded("a.mkv", "matroska", "libx264", sound_s=30), AT_30,
    ),
    Case(
        "mts", "6 formats", "MTS of a camcorder, interlaced",
        encoded("a.mts", "mpegts", "mpeg2video", fields=True, fps=25, options={"b": "20M", "flags": "+ildct+ilme"}),
        whole_film(WALK_FRAMES // 2, WALK_FRAMES // 2 / 25, told="it is interlaced"),
    ),
    Case(
        "combed", "6 formats", "an interlaced film that an editor exported as progressive",
        encoded("tape.mp4", "mp4", "libx264", fields=True, fps=25, options={"crf": "18"}),
        whole_film(WALK_FRAMES // 2, WALK_FRAMES // 2 / 25, told="it is interlaced"),
    ),
    Case("mpg", "6 formats", "MPG", encoded("a.mpg", "mpeg", "mpeg2video", fps=25, options={"b": "12M"}), AT_25),
    Case("wmv", "6 formats", "WMV", encoded("a.wmv", "asf", "wmv2", options={"b": "12M"}), AT_30),
    Case(
        "two-streams", "6 formats", "a film and a larger picture that stands still, in one file", beside_a_slide,
        whole_film(WALK_FRAMES, WALK_FRAMES / 30, told="a larger one stands still"),
    ),
    Case(
        "dng-beside", "6 formats", "16 photos and a DNG", photos_and("a.dng"),
        leaves_out({"a.dng": "a raw photo of a camera"}, keeps=("photos",)),
    ),
    Case(
        "hour-4k60", "7 long", "an hour of 4K60, 216,000 frames",
        hour("hour.mp4", 3840, 2160, 60), whole_film(216_000, HOUR_S, told="it is long", decoded=1200),
    ),
    Case(
        "raw-h264", "8 no timestamps", "H.264 without a container",
        encoded("a.h264", "h264", "libx264", fps=25, options={"bf": "0"}), AT_25,
    ),
    Case(
        "alpha", "8 alpha", "ProRes 4444 with a transparent corner",
        encoded("a.mov", "mov", "prores_ks", transparent=True, pix_fmt="yuva444p10le"),
        whole_film(WALK_FRAMES, WALK_FRAMES / 30, told="shown on white"),
    ),
)  # fmt: skip
