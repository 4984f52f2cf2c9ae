"""Files beside each other: the same film twice, links, films that are wide and low, results of another day."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np
from PIL import Image

from benchmarks.footage_cases.case import WALK_FRAMES, WALK_S, Case, Run, footage, leaves_out, whole_film
from benchmarks.footage_cases.formats import WALK, pictures
from tests.videos import write_video


def encoded_again(source: Path, target: Path, long_side: int, codec: str = "libx265") -> Path:
    """The same film with another codec and size."""
    with av.open(str(source)) as film, av.open(str(target), "w") as out:
        stream = film.streams.video[0]
        scale = long_side / max(stream.width, stream.height)
        made = out.add_stream(codec, rate=stream.average_rate)
        made.width, made.height = (2 * round(side * scale / 2) for side in (stream.width, stream.height))
        made.pix_fmt = "yuv420p"
        for frame in film.decode(stream):
            out.mux(made.encode(frame.reformat(made.width, made.height, "yuv420p")))
        out.mux(made.encode(None))
    return target


def copy(folder: Path) -> Sequence[Path]:
    walk = footage("walk/walk.mp4")
    shutil.copy(walk, folder / "copy.mp4")
    (folder / "link.mp4").symlink_to(walk)
    return [walk, folder / "copy.mp4", folder / "link.mp4"]


def twin(folder: Path) -> Sequence[Path]:
    walk = footage("walk/walk.mp4")
    return [walk, encoded_again(walk, folder / "small.mp4", 640)]


def wide(folder: Path) -> Sequence[Path]:
    """The walk, cut to 640x272."""
    source, target = footage("walk/walk.mp4"), folder / "wide.mp4"
    with av.open(str(source)) as film, av.open(str(target), "w") as out:
        stream = film.streams.video[0]
        made = out.add_stream("libx264", rate=stream.average_rate)
        made.width, made.height, made.pix_fmt, made.options = 640, 272, "yuv420p", {"crf": "16"}
        for number, frame in enumerate(film.decode(stream)):
            pixels = frame.reformat(640, 362, "rgb24").to_ndarray()[45:317]
            cut = av.VideoFrame.from_ndarray(pixels, "rgb24")
            cut.pts, cut.time_base = number, 1 / stream.average_rate
            out.mux(made.encode(cut.reformat(format="yuv420p")))
        out.mux(made.encode(None))
    return [target]


def wide_is_used(run: Run) -> str:
    """All of it, at its size."""
    if wrong := whole_film(WALK_FRAMES, WALK_S, told="640x272")(run):
        return wrong
    size = run.manifest["videos"][0]["resolution"]
    return "" if size == "640x272" else f"it has {size}"


def beside_its_crop(folder: Path) -> Sequence[Path]:
    """The walk, and its lower left part, enlarged, as an app exports it."""
    cut = (Image.fromarray(frame[90:, :600]).resize((960, 624)) for frame in pictures(WALK))
    return [footage(WALK), write_video(folder / "export.mp4", map(np.asarray, cut), fps=30, crf=20)]


CASES = (
    Case(
        "same-bytes", "5 twins", "a clip, its copy and a link to it", copy,
        leaves_out({"copy.mp4": "same", "link.mp4": "same"}, keeps=("walk.mp4",)),
    ),
    Case(
        "encoded-again", "5 twins", "a clip, and the same as H.265 at 640 px", twin,
        leaves_out({"small.mp4": "it shows the same as walk.mp4"}, keeps=("walk.mp4",)),
    ),
    Case("export-aside", "5 twins", "a clip, and its lower left part, enlarged", beside_its_crop,
         leaves_out({"export.mp4": "a part of each picture of walk.mp4"}, keeps=("walk.mp4",))),
    Case("wide", "16 small", "a clip of 640x272", wide, wide_is_used),
)  # fmt: skip
