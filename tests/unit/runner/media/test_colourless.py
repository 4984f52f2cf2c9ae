"""What is in black and white beside something in colour is named; scenes of one kind are left alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from runner.context import StageContext
from runner.media.extract import extract_frames
from runner.media.settings import FrameSettings, Limits
from runner.scene.frames import Clip
from runner.scene.progress import SILENT
from tests.photos import write_photo
from tests.stamps import Picture
from tests.videos import pan, write_video

SETTINGS = FrameSettings(budget=24, long_side=160, limits=Limits(min_long_side=64, min_short_side=48))


def grey(pictures: list[Picture]) -> list[Picture]:
    return [np.repeat(picture.mean(axis=2, keepdims=True).astype(np.uint8), 3, axis=2) for picture in pictures]


def warnings(folder: Path, *paths: Path) -> tuple[str, ...]:
    clips = [Clip(path.name, path) for path in paths]
    found = extract_frames(clips, StageContext(folder / "workspace", SILENT), SETTINGS).warnings
    return tuple(warning for warning in found if "black and white" in warning)


def test_a_film_and_a_photo_without_colours_are_named_beside_one_with_colours(tmp_path: Path) -> None:
    colour = write_video(tmp_path / "colour.mp4", pan(30, 8, 160, 96))
    film = write_video(tmp_path / "grey.mp4", grey(pan(30, 8, 160, 96, seed=1)), crf=28)
    photo = write_photo(tmp_path / "photo.jpg", grey(pan(1, 8, 160, 96, seed=2))[0])
    other = write_photo(tmp_path / "other.jpg", pan(1, 8, 160, 96, seed=3)[0])
    (said,) = warnings(tmp_path, colour, film, photo, other)
    assert said.startswith("grey.mp4, photo.jpg are in black and white")


def test_a_scene_in_black_and_white_and_one_in_colour_are_left_alone(tmp_path: Path) -> None:
    one, other = (grey(pan(30, 8, 160, 96, seed)) for seed in (0, 1))
    assert warnings(tmp_path / "g", *(write_video(tmp_path / f"{n}.mp4", f) for n, f in enumerate((one, other)))) == ()
    two = (pan(30, 8, 160, 96, seed) for seed in (0, 1))
    assert warnings(tmp_path / "c", *(write_video(tmp_path / f"c{n}.mp4", f) for n, f in enumerate(two))) == ()
