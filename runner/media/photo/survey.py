"""What touches strangers' photos: looking at each once, and writing the chosen ones.

Runs in the sandboxed decoder (`media/decoder_process.py`), like `media/video/survey.py` for videos. Many photos share
a process, because starting one takes longer than decoding one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from runner.media.measures import MOTION_SIDE, SHARPNESS_SIDE, block_mean, sharpness
from runner.media.photo import reader as photo_reader
from runner.media.settings import Limits
from runner.media.video.survey import write_png
from runner.process.error_json import dump_error
from runner.scene.frames import Clip
from runner.scene.progress import OnProgress
from runner.scene.sizes import shrink
from scenejobs.errors import InputError


def survey(photos: Sequence[Clip], long_side: int, limits: Limits, on_progress: OnProgress) -> list[dict[str, Any]]:
    """What is known of each photo, or {"failure": why not}."""
    answers = []
    for number, clip in enumerate(photos):
        on_progress(number / len(photos), f"looking at {clip.name}")
        with _failing_alone(answers):
            found = photo_reader.read(clip, limits, long_side)
            luma = _luma(found.pixels)
            small = block_mean(luma, max(1, round(max(luma.shape) / MOTION_SIDE)))
            answers.append({
                "width": found.width, "height": found.height, "codec": found.codec, **asdict(found.recording),
                "sharpness": sharpness(luma), "small": np.round(small).astype(np.uint8).tolist(),
                "warnings": found.warnings, "turned_deg": found.turned_deg,
            })  # fmt: skip
    return answers


def write(
    photos: Sequence[Clip], files: Sequence[str], folder: Path, long_side: int, limits: Limits, on_progress: OnProgress
) -> list[dict[str, Any]]:
    """Each photo as folder/<file>. {} for what is written, or {"failure": why not}."""
    answers: list[dict[str, Any]] = []
    for number, (clip, file) in enumerate(zip(photos, files, strict=True)):
        on_progress(number / len(photos), f"writing {clip.name}")
        with _failing_alone(answers):
            write_png(folder / file, photo_reader.read(clip, limits, long_side).pixels)
            answers.append({})
    return answers


@contextmanager
def _failing_alone(answers: list[dict[str, Any]]) -> Iterator[None]:
    """A photo that cannot be used costs itself, not its neighbours."""
    try:
        yield
    except InputError as exc:
        answers.append({"failure": json.loads(dump_error(exc))})


def _luma(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """[height, width], shrunk by averaging areas, as that of a video."""
    image = Image.fromarray(pixels).convert("L")
    return np.asarray(image.resize(shrink(*image.size, SHARPNESS_SIDE), Image.Resampling.BOX))
