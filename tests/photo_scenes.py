"""Scenes of photos for the tests of the frame stage."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from runner.context import StageContext
from runner.media.decoding.decoder import Sandboxed
from runner.media.extract import extract_frames
from runner.media.photo.grouping import PhotoSurvey
from runner.media.settings import FrameSettings, Limits
from runner.scene.frames import Clip, FrameSet
from runner.scene.progress import SILENT
from scenejobs.errors import InputError
from tests.photos import tags, write_photo
from tests.videos import pan

LIMITS = Limits(min_long_side=64, min_short_side=48)
SETTINGS = FrameSettings(budget=40, long_side=120, limits=LIMITS)
UNHEARD = lambda _share, _detail: None  # noqa: E731
FORMATS = [".jpg", ".png", ".tif", ".heic"]


def views(count: int, width: int = 160, height: int = 96, seed: int = 0) -> list[np.ndarray]:
    """Pictures of a wall from places far apart."""
    return pan(count, 40, width, height, seed)


def photos(folder: Path, count: int = 9, suffix: str = ".jpg", stem: str = "IMG_", **exif) -> list[Clip]:
    paths = [
        write_photo(folder / f"{stem}{i}{suffix}", pixels, tags(**exif) if exif else None)
        for i, pixels in enumerate(views(count))
    ]
    return [Clip(path.name, path) for path in paths]


def make(clips: list[Clip], tmp_path: Path, settings: FrameSettings = SETTINGS) -> FrameSet:
    return extract_frames(clips, StageContext(tmp_path / "workspace", SILENT), settings)


def pixels_of(tmp_path: Path, image: str) -> np.ndarray:
    with Image.open(tmp_path / "workspace" / "frames" / image) as opened:
        return np.asarray(opened)


def one_look(path: Path, limits: Limits = LIMITS) -> PhotoSurvey | InputError:
    (found,) = Sandboxed(FrameSettings(long_side=120, limits=limits)).survey_photos([Clip(path.name, path)], UNHEARD)
    return found


def quarters(picture: np.ndarray) -> list[str]:
    height, width = picture.shape[:2]
    names = {(1, 0, 0): "red", (0, 1, 0): "green", (0, 0, 1): "blue", (1, 1, 1): "white"}
    spots = [(y, x) for y in (height // 4, 3 * height // 4) for x in (width // 4, 3 * width // 4)]
    return [names[tuple(int(channel > 127) for channel in picture[spot])] for spot in spots]
