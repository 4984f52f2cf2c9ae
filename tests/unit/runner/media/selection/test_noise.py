"""Films that show nothing are told in words of what lies over the lens, by clip and seconds, before any poses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from runner.context import StageContext
from runner.media.extract import extract_frames
from runner.media.selection.measures import FrameMeasures, is_one_picture, motion_view
from runner.media.selection.noise import Resemblance, is_noise, shows_no_place
from runner.media.settings import FrameSettings, Limits
from runner.scene.frames import Clip
from runner.scene.progress import SILENT
from scenejobs.errors import Code, InputError
from tests.empty_films import (
    BLUE,
    FINGER,
    PLAIN,
    SIZE,
    Picture,
    cap,
    colour_bars,
    film,
    finger,
    grain,
    no_signal,
    pocket,
)
from tests.videos import pan, write_video

FRAMES, FPS = 24, 20
SETTINGS = FrameSettings(budget=20, limits=Limits(min_long_side=64, min_short_side=48))


@pytest.mark.parametrize(
    ("picture", "says", "advice"),
    [
        (cap, "dark all over, as with a cap on the lens", "take away what covers"),
        (lambda i: 8 + grain(i, 30), "dark all over", "take away what covers"),
        (pocket, "dark all over", "take away what covers"),
        (lambda i: PLAIN, "dark all over", "switch on the lights"),
        (finger, "a finger over the lens", "take away what covers"),
        (lambda i: FINGER + grain(i, 4, 4), "a finger over the lens", "take away what covers"),
        (lambda i: 252 + grain(i, 3), "white all over", "away from the light"),
        (lambda i: PLAIN + BLUE, "of a blue screen", "film things with texture"),
        (lambda i: 128 + grain(i, 70, 3), "noise that has nothing in common with the next", "play the film"),
        (no_signal, "a screen without a signal", "play the film"),
    ],
)  # fmt: skip
def test_a_film_that_shows_nothing_is_refused_in_words_of_who_filmed_it(
    tmp_path: Path, picture: Callable[[int], Picture], says: str, advice: str
) -> None:
    """The camera does not move, said the refusal of most; noise went on to the poses, and was to be filmed slower."""
    clip = Clip("a.mp4", write_video(tmp_path / "a.mp4", film(picture, FRAMES), fps=FPS))
    with pytest.raises(InputError) as caught:
        extract_frames([clip], StageContext(tmp_path, SILENT), SETTINGS)
    assert caught.value.code == Code.NO_DETAIL
    assert "a.mp4 0.0-1.1 s shows nothing: " in caught.value.cause
    assert says in caught.value.cause
    assert advice in caught.value.advice


def test_beside_a_good_film_it_is_left_out_and_named(tmp_path: Path) -> None:
    files = {"cap.mp4": film(cap, FRAMES), "room.mp4": pan(FRAMES, 4, *SIZE)}
    clips = [Clip(name, write_video(tmp_path / name, pictures, fps=FPS)) for name, pictures in files.items()]
    found = extract_frames(clips, StageContext(tmp_path, SILENT), SETTINGS)
    assert {frame.video for frame in found.frames} == {"room.mp4"}
    assert [(one.name, one.failure.code) for one in found.refused] == [("cap.mp4", Code.NO_DETAIL)]


def test_a_test_picture_is_told_as_one_and_a_camera_on_a_tripod_with_people_as_one_that_stands(tmp_path: Path) -> None:
    room = pan(1, 0, *SIZE)[0].astype(float)

    def walked_by(index: int) -> Picture:
        picture = room + grain(index, 3)
        picture[120:400, 16 * index : 16 * index + 120] = 40
        return picture

    for name, picture, says in (
        ("bars.mp4", lambda i: colour_bars(), "a paused film, a camera that stands still): bars.mp4 0.0-1.1 s"),
        ("tripod.mp4", walked_by, "the camera does not move in tripod.mp4 0.0-1.1 s"),
    ):  # fmt: skip
        clip = Clip(name, write_video(tmp_path / name, film(picture, FRAMES), fps=FPS))
        with pytest.raises(InputError) as caught:
            extract_frames([clip], StageContext(tmp_path, SILENT), SETTINGS)
        assert caught.value.code == Code.STATIC_CAMERA
        assert says in caught.value.cause


def test_pictures_of_one_place_resemble_each_other_at_some_shift_and_noise_never_does() -> None:
    """Correlation of the same details is 1 wherever they are; of N unlike ones the highest of N that scatter by N^-1/2,
    which is below 5 N^-1/2."""
    walls = [motion_view(picture.mean(axis=2).astype(np.uint8)) for picture in pan(6, 20, 640, 480)]
    place, dots = Resemblance(), Resemblance()
    assert place.read(walls[0]) == 1.0
    assert all(place.read(view) > 0.5 for view in walls[1:])
    noise = [np.random.default_rng(seed).normal(100, 30, (72, 96)).astype(np.float32) for seed in range(6)]
    assert dots.read(noise[0]) == 1.0
    assert all(dots.read(view) < 5 / np.sqrt(72 * 96) for view in noise[1:])
    assert Resemblance().read(np.full((72, 96), 7, np.float32)) == 1.0
    assert place.read(np.zeros((5, 640), np.float32)) == 1.0, "of another size"


def test_few_frames_photos_in_a_film_and_lamps_at_night_are_not_taken_for_noise() -> None:
    noise = [FrameMeasures(i, i / 30, 900.0, i / 10, isotropy=0.99, alike=0.05) for i in range(30)]
    assert is_noise(noise)
    assert not is_noise(noise[:8])
    assert not is_noise([replace(one, timestamp_s=one.index / 2) for one in noise]), "each may be a photo"
    assert not is_noise([replace(one, isotropy=0.9) for one in noise])
    assert not is_noise([replace(one, alike=0.15) for one in noise])
    night = [FrameMeasures(i, i / 30, 300.0, 0.0, luma=8, seen=1 / 36) for i in range(30)]
    assert not shows_no_place(night)
    assert shows_no_place([replace(one, seen=0.0) for one in night])
    assert not shows_no_place([replace(one, seen=0.0, travel=i / 30) for i, one in enumerate(night)])
    assert not shows_no_place([replace(one, isotropy=0.97, alike=0.97) for one in night]), "the same again and again"
    assert shows_no_place([replace(one, isotropy=0.97, alike=0.6) for one in night])
    assert not shows_no_place(night[:1])
    assert not is_one_picture([]), "an earlier program's survey has no looks"
