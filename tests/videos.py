"""Small real videos for tests, encoded with PyAV in milliseconds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def corners(width: int = 640, height: int = 480) -> NDArray[np.uint8]:
    """A picture whose quarters say which way is up: red green / blue white. [height, width, 3]"""
    picture = np.zeros((height, width, 3), np.uint8)
    halves = (slice(None, height // 2), slice(height // 2, None)), (slice(None, width // 2), slice(width // 2, None))
    for row, colours in enumerate(((RED, GREEN), (BLUE, WHITE))):
        for column, colour in enumerate(colours):
            picture[halves[0][row], halves[1][column]] = colour
    return picture


def wall(width: int, height: int, seed: int = 0) -> NDArray[np.uint8]:
    """A textured surface with structure at many sizes, so that its motion can be seen. [height, width, 3]"""
    rng = np.random.default_rng(seed)
    picture = np.zeros((height, width, 3))
    for cell in (8, 16, 32, 64):
        coarse = rng.random((height // cell + 2, width // cell + 2, 3))
        picture += np.kron(coarse, np.ones((cell, cell, 1)))[:height, :width]
    return (picture / 4 * 255).astype(np.uint8)


def pan(frames: int, step_px: float, width: int = 640, height: int = 480, seed: int = 0) -> list[NDArray[np.uint8]]:
    """A camera that slides along a wall, `step_px` per frame."""
    length = int(abs(step_px) * frames) + 1
    surface = wall(width + length, height, seed)
    return [surface[:, int(i * step_px) : int(i * step_px) + width] for i in range(frames)]


def write_video(
    path: Path,
    pictures: Iterable[NDArray[np.uint8]],
    *,
    fps: int = 10,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    times_ms: Sequence[int] | None = None,
    rotation_deg: int = 0,
    mirrored: bool = False,
    pixel_aspect: Fraction | None = None,
    tags: dict[str, str] | None = None,
    preview: bool = False,
    audio: bool = False,
    crf: int = 10,
) -> Path:
    """One video file. `times_ms`: variable frame rate. `preview`: a second, smaller video stream, placed first."""
    container_options = {"movflags": "use_metadata_tags"} if tags else {}
    with av.open(str(path), "w", format="mp4", container_options=container_options) as container:
        container.metadata.update(tags or {})
        small = None
        if preview:
            small = container.add_stream("libx264", rate=fps)
            small.width, small.height, small.pix_fmt = 160, 120, "yuv420p"
        sound = container.add_stream("aac", rate=8000, layout="mono") if audio else None
        stream = None
        for index, pixels in enumerate(pictures):
            if stream is None:
                stream = container.add_stream(codec, rate=fps)
                stream.height, stream.width, stream.pix_fmt = pixels.shape[0], pixels.shape[1], pix_fmt
                stream.codec_context.time_base = Fraction(1, 1000)
                if codec == "libx264":
                    stream.options = {"preset": "ultrafast", "crf": str(crf), "g": "10"}
                if pixel_aspect:
                    stream.codec_context.sample_aspect_ratio = pixel_aspect
                if rotation_deg or mirrored:
                    stream.set_display_rotation(rotation_deg, hflip=mirrored)
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels))
            frame.time_base = Fraction(1, 1000)
            frame.pts = times_ms[index] if times_ms else round(index * 1000 / fps)
            container.mux(stream.encode(frame))
            if small is not None:
                container.mux(small.encode(av.VideoFrame.from_ndarray(np.zeros((120, 160, 3), np.uint8))))
        for output in (stream, small):
            if output is not None:
                container.mux(output.encode(None))
        if sound is not None:
            _add_silence(container, sound)
    return path


def write_two_streams(
    path: Path, first: Sequence[NDArray[np.uint8]], second: Sequence[NDArray[np.uint8]], *, fps: int = 10, crf: int = 16
) -> Path:
    """One file with two films of the same length, of H.264."""
    with av.open(str(path), "w") as container:
        streams = []
        for pictures in (first, second):
            stream = container.add_stream("libx264", rate=fps)
            stream.height, stream.width, stream.pix_fmt = *pictures[0].shape[:2], "yuv420p"
            stream.options = {"preset": "ultrafast", "crf": str(crf)}
            streams.append(stream)
        for number, both in enumerate(zip(first, second, strict=True)):
            for stream, pixels in zip(streams, both, strict=True):
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels))
                frame.pts, frame.time_base = number, Fraction(1, fps)
                container.mux(stream.encode(frame))
        for stream in streams:
            container.mux(stream.encode(None))
    return path


def write_audio(path: Path) -> Path:
    """A file that is MP4 and holds sound only."""
    with av.open(str(path), "w", format="mp4") as container:
        _add_silence(container, container.add_stream("aac", rate=8000, layout="mono"))
    return path


def write_changing_size(path: Path, sizes: Sequence[tuple[int, int]]) -> Path:
    """One frame per (width, height): a stream whose picture size changes on the way (motion JPEG in Matroska)."""
    with av.open(str(path), "w", format="matroska") as container:
        stream = container.add_stream("mjpeg", rate=10)
        stream.width, stream.height, stream.pix_fmt = *sizes[0], "yuvj420p"
        for index, (width, height) in enumerate(sizes):
            encoder = av.CodecContext.create("mjpeg", "w")
            encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuvj420p"
            encoder.time_base = Fraction(1, 10)
            picture = corners(width, height) if width > 1000 else np.roll(wall(width, height), 4 * index, axis=1)
            frame = av.VideoFrame.from_ndarray(picture).reformat(format="yuvj420p")
            frame.pts, frame.time_base = index, Fraction(1, 10)
            for packet in encoder.encode(frame):
                packet.stream, packet.pts, packet.dts, packet.time_base = stream, index, index, Fraction(1, 10)
                container.mux(packet)
    return path


def _add_silence(container: av.container.OutputContainer, stream: av.AudioStream) -> None:
    frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
    frame.sample_rate, frame.pts = 8000, 0
    container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def write_patches(
    path: Path,
    colours: Sequence[Sequence[float]],
    *,
    codec: str,
    transfer: int,
    primaries: int = 9,
    full_range: bool = False,
    mastering_nits: int | None = None,
    rotation_deg: int = 0,
    pixel_aspect: Fraction | None = None,
    frames: int = 2,
) -> Path:
    """10-bit video of vertical stripes, 32 px each, from R'G'B' signals 0..1. BT.2020 matrix, tagged as told."""
    pixels = [_codes(colour, full_range) for colour in colours]
    lossless = {"libx265": {"x265-params": "lossless=1:bframes=0:log-level=none"}, "libx264": {"qp": "0"}}
    options = lossless.get(codec, {"preset": "10", "crf": "1", "svtav1-params": "lossless=1"})
    if mastering_nits:
        display = f"G(8500,39850)B(6550,2300)R(35400,14600)WP(15635,16450)L({mastering_nits * 10_000},50)"
        options = {"x265-params": f"{options['x265-params']}:hdr10=1:master-display={display}:max-cll=1000,400"}
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream(codec, rate=10)
        stream.width, stream.height, stream.pix_fmt, stream.options = 32 * len(colours), 64, "yuv420p10le", options
        context = stream.codec_context
        context.time_base = Fraction(1, 10)
        if pixel_aspect:
            context.sample_aspect_ratio = pixel_aspect
        if rotation_deg:
            stream.set_display_rotation(rotation_deg)
        context.colorspace, context.color_trc, context.color_primaries = 9, transfer, primaries
        context.color_range = 2 if full_range else 1
        for index in range(frames):
            frame = av.VideoFrame(stream.width, stream.height, "yuv420p10le")
            frame.colorspace, frame.color_trc, frame.color_primaries = 9, transfer, primaries
            frame.color_range = 2 if full_range else 1
            for plane, values in zip(frame.planes, zip(*pixels, strict=True), strict=True):
                row = np.repeat(np.array(values, np.uint16), plane.width // len(colours))
                padded = np.zeros((plane.height, plane.line_size // 2), np.uint16)
                padded[:, : plane.width] = row
                plane.update(padded.tobytes())
            frame.pts, frame.time_base = index, Fraction(1, 10)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def _codes(colour: Sequence[float], full_range: bool) -> tuple[int, int, int]:
    """10-bit Y', Cb, Cr of ITU-R BT.2100 tables 6 and 9."""
    red, green, blue = colour
    y = 0.2627 * red + 0.6780 * green + 0.0593 * blue
    cb, cr = (blue - y) / 1.8814, (red - y) / 1.4746
    if full_range:
        return round(1023 * y), round(1023 * cb + 512), round(1023 * cr + 512)
    return round(876 * y + 64), round(896 * cb + 512), round(896 * cr + 512)
