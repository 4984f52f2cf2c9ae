"""Videos as cameras, editors and streams leave them: other containers, starts, sound and side data."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import av.filter
import numpy as np
from numpy.typing import NDArray
from PIL import Image

SOUND_RATE = 8000


def write_film(
    path: Path,
    pictures: Sequence[NDArray[np.uint8]],
    *,
    container: str,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    fps: int = 10,
    starts_s: float = 0.0,
    sound_s: float = 0.0,
    interlaced: bool = False,
    options: dict[str, str] | None = None,
) -> Path:
    """One film. starts_s: time of its first frame. sound_s: length of its sound, which starts with the pictures.

    interlaced: the odd lines of each picture are said to be later.
    """
    fields = _fields(pictures[0].shape[1], pictures[0].shape[0], pix_fmt) if interlaced else None
    with av.open(str(path), "w", format=container) as output:
        stream = output.add_stream(codec, rate=fps)
        stream.height, stream.width, stream.pix_fmt = *pictures[0].shape[:2], pix_fmt
        stream.options = {"preset": "ultrafast", "g": "10"} if codec == "libx264" else {}
        stream.options = stream.options | (options or {})
        sound = output.add_stream("aac" if container != "webm" else "libopus", rate=48000) if sound_s else None
        for index, pixels in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(
                np.ascontiguousarray(pixels), "rgba" if pixels.shape[2] == 4 else "rgb24"
            )
            if fields is not None:
                fields.vpush(frame.reformat(format=pix_fmt))
                frame = fields.vpull()
            frame.pts, frame.time_base = round(starts_s * fps) + index, Fraction(1, fps)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
        if sound is not None:
            for start in range(0, round(sound_s * 48000), 960):
                silence = av.AudioFrame.from_ndarray(np.zeros((2, 960), np.float32), format="fltp", layout="stereo")
                silence.sample_rate, silence.pts = 48000, round(starts_s * 48000) + start
                output.mux(sound.encode(silence))
            output.mux(sound.encode(None))
    return path


def _fields(width: int, height: int, pix_fmt: str) -> av.filter.Graph:
    """Notes in each frame that its odd lines are later."""
    graph = av.filter.Graph()
    source = graph.add_buffer(width=width, height=height, format=av.VideoFormat(pix_fmt), time_base=Fraction(1, 1000))
    graph.link_nodes(source, graph.add("setfield", "mode=tff"), graph.add("buffersink")).configure()
    return graph


def without_packets(source: Path, target: Path, lost: Callable[[int], bool]) -> Path:
    """A copy without the packets of these numbers, in the order of the file, as lost ones or a cut leave it."""
    with av.open(str(source)) as whole, av.open(str(target), "w") as output:
        stream = output.add_stream_from_template(whole.streams.video[0])
        for number, packet in enumerate(whole.demux(whole.streams.video[0])):
            if packet.size and not lost(number):
                packet.stream = stream
                output.mux(packet)
    return target


def write_motion_jpeg(path: Path, pictures: Sequence[NDArray[np.uint8]], exif: bytes, fps: int = 10) -> Path:
    """Photos put one after the other into AVI as they are, each with its EXIF."""
    with av.open(str(path), "w", format="avi") as output:
        stream = output.add_stream("mjpeg", rate=fps)
        stream.height, stream.width, stream.pix_fmt = *pictures[0].shape[:2], "yuvj420p"
        stream.codec_context.time_base = Fraction(1, fps)
        for index, pixels in enumerate(pictures):
            buffer = io.BytesIO()
            Image.fromarray(pixels).save(buffer, "JPEG", quality=90, exif=exif)
            packet = av.Packet(buffer.getvalue())
            packet.stream, packet.time_base, packet.is_keyframe = stream, Fraction(1, fps), True
            packet.pts = packet.dts = index
            output.mux(packet)
    return path
