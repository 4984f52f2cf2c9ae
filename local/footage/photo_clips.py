"""Clips from a zip of photos in walking order, for test data that is published as photos.

    python -m local.footage.photo_clips ZIP OUT_DIR [--clips 3] [--rate 2]

writes view1.mp4, view2.mp4, ...: as many photos in each, in the order of their names, shrunk to 1600 pixels.
"""

from __future__ import annotations

import argparse
import itertools
import zipfile
from pathlib import Path

import av
from PIL import Image

LONG_SIDE = 1600  # pixels
PICTURES = (".jpg", ".jpeg", ".png")
SECONDS_EACH = 1.0  # each photo is shown for this long, so that no choice of frames misses one


def photos(archive: zipfile.ZipFile) -> list[str]:
    """Names of the pictures, in order; hidden files and folders of the system's own are none."""
    return sorted(
        name for name in archive.namelist()
        if name.lower().endswith(PICTURES) and not any(part.startswith((".", "__")) for part in name.split("/"))
    )  # fmt: skip


def shares(names: list[str], count: int) -> list[list[str]]:
    """`names` cut into `count` runs of nearly the same length."""
    edges = [round(i * len(names) / count) for i in range(count + 1)]
    return [names[start:end] for start, end in itertools.pairwise(edges)]


def write_clip(archive: zipfile.ZipFile, names: list[str], path: Path, rate: int) -> None:
    """All pictures get the size of the first; it is even, as the codec wants it."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("h264", rate=rate, options={"crf": "16"})
        stream.pix_fmt = "yuv420p"
        for number, name in enumerate(names):
            with archive.open(name) as file:
                picture = Image.open(file).convert("RGB")
            if number == 0:
                scale = min(1.0, LONG_SIDE / max(picture.size))
                stream.width, stream.height = (int(side * scale) // 2 * 2 for side in picture.size)
            frame = av.VideoFrame.from_image(picture.resize((stream.width, stream.height)))
            for _ in range(max(1, round(SECONDS_EACH * rate))):
                container.mux(stream.encode(frame))
        container.mux(stream.encode())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("zip", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--clips", type=int, default=3)
    parser.add_argument("--rate", type=int, default=2, help="frames per second")
    options = parser.parse_args()
    with zipfile.ZipFile(options.zip) as archive:
        names = photos(archive)
        if len(names) < options.clips:
            raise SystemExit(f"{options.zip} holds {len(names)} photos; {options.clips} clips need at least one each")
        options.out.mkdir(parents=True, exist_ok=True)
        for number, part in enumerate(shares(names, options.clips), 1):
            write_clip(archive, part, options.out / f"view{number}.mp4", options.rate)


if __name__ == "__main__":
    main()
