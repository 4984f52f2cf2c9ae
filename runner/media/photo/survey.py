"""The two passes over untrusted photos: measuring each, and writing the chosen ones.

Runs in the sandboxed decoder (`media/decoding/process.py`), like `media/video/survey.py` for videos. Many photos share
a process, because starting one takes longer than decoding one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from runner.media.decoding.requests import Done, PhotoSeen, Projection, QuarterTurns, Refused
from runner.media.frame_size import small_warning
from runner.media.photo import reader as photo_reader
from runner.media.photo.panorama import photo_shape
from runner.media.photo.screenshots import line_digests, without_crop
from runner.media.selection.measures import MOTION_SIDE, SHARPNESS_SIDE, sharpness
from runner.media.settings import Limits
from runner.media.video.survey import write_png
from runner.process.error_json import dump_error
from runner.scene.frames import NO_CROP, Clip, Crop
from runner.scene.progress import OnProgress
from runner.scene.sizes import shrink
from scenejobs.errors import InputError

Answer = TypeVar("Answer")


def survey(
    photos: Sequence[Clip], long_side: int, limits: Limits, on_progress: OnProgress
) -> list[PhotoSeen | Refused]:
    """The measures of each photo, or why it cannot be used."""

    def measured(clip: Clip) -> PhotoSeen:
        found = photo_reader.read(clip, limits, long_side)
        luma = _luma(found.pixels)
        small = _small(luma)
        recording = found.recording
        small_said = small_warning(found.width, found.height, limits)
        return PhotoSeen(
            found.width, found.height, found.codec, recording.recorded_at, recording.camera_model, recording.lens,
            recording.focal_px, recording.gps, recording.altitude_m, sharpness(luma), tuple(map(tuple, small.tolist())),
            (*found.warnings, *([small_said] if small_said else [])),
            cast(QuarterTurns, found.turned_deg),
            cast(Projection, photo_shape(clip, found.xmp, luma, recording.swept).value),
            *(line_digests(found.pixels) if recording.camera_model is None else ("", "")),
        )  # fmt: skip

    answers: list[PhotoSeen | Refused] = []
    for number, clip in enumerate(photos):
        on_progress(number / len(photos), f"looking at {clip.name}")
        answers.append(_or_refused(measured, clip))
    return answers


def _small(luma: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """[h, w] with MOTION_SIDE, whatever the size was: of a copy of another size, and of a mirrored one, too."""
    height, width = luma.shape
    scale = MOTION_SIDE / max(height, width)
    size = max(1, round(scale * width)), max(1, round(scale * height))
    return np.asarray(Image.fromarray(luma).resize(size, Image.Resampling.BOX))


def write(
    photos: Sequence[Clip], files: Sequence[str], crops: Sequence[Crop], folder: Path, long_side: int, limits: Limits,
    on_progress: OnProgress,
) -> list[Done | Refused]:  # fmt: skip
    """Each photo as folder/<file>, without what is cut off it. Done for what is written, or why not."""
    answers: list[Done | Refused] = []
    for number, (clip, file, crop) in enumerate(zip(photos, files, crops, strict=True)):
        on_progress(number / len(photos), f"writing {clip.name}")

        def written(clip: Clip, path: Path = folder / file, crop: Crop = crop) -> Done:
            pixels = photo_reader.read(clip, limits, long_side if crop == NO_CROP else None).pixels
            write_png(path, pixels if crop == NO_CROP else without_crop(pixels, crop, long_side))
            return Done()

        answers.append(_or_refused(written, clip))
    return answers


def _or_refused(work: Callable[[Clip], Answer], clip: Clip) -> Answer | Refused:
    """A photo that cannot be used costs itself, not its neighbours."""
    try:
        return work(clip)
    except InputError as exc:
        return Refused(dump_error(exc))


def _luma(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """[height, width], shrunk by averaging areas, as that of a video."""
    image = Image.fromarray(pixels).convert("L")
    return np.asarray(image.resize(shrink(*image.size, SHARPNESS_SIDE), Image.Resampling.BOX))
