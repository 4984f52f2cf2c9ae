"""What stands still behind a turntable is ignored, and nothing else is."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter

from runner.context import StageContext
from runner.media.extract import extract_frames
from runner.media.overlays.backdrop import SIDE, backdrop
from runner.media.selection.measures import NO_MOTION
from runner.media.settings import FrameSettings, Limits
from runner.scene.frames import Clip
from runner.scene.masks import FOLDER, read_mask
from runner.scene.progress import SILENT
from runner.scene.sizes import shrink
from scenejobs.errors import Code, InputError
from tests.moving_scenes import filmed
from tests.turntables import RATE_FPS, Turned, turned
from tests.videos import write_video

SIZE, COUNT = (480, 360), 20
SETTINGS = FrameSettings(budget=24, limits=Limits(min_long_side=480, min_short_side=360))


@cache
def film(**kind: bool) -> Turned:
    return turned(SIZE, COUNT, 345.0, **kind)


def small(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    image = Image.fromarray(picture)
    return np.asarray(image.resize(shrink(*image.size, SIDE), Image.Resampling.BOX))


def test_what_turns_is_found_in_every_picture():
    seen = film()
    pictures = [small(picture) for picture in seen.pictures]
    behind = backdrop(pictures)
    assert behind is not None
    for picture, turning in zip(pictures, seen.turning, strict=True):
        found, true = behind.turning(picture), small(turning.astype(np.uint8) * 255) > 127
        assert (found & true).sum() > 0.85 * true.sum(), "of what turns"
        assert (found & ~true).sum() < 0.15 * true.sum(), "of what stands still"


@pytest.mark.parametrize("kind", ["nobody", "people-25", "companion", "screen", "water"])
def test_a_walk_has_no_backdrop(kind):
    pictures = filmed(kind, (320, 240), 12, 0.4).pictures
    assert backdrop([small(picture) for picture in pictures]) is None


def test_a_tripod_before_which_people_walk_by_has_none():
    """What moves there is in no place all the time."""
    place = filmed("nobody", (320, 240), 2, 0.4).pictures[0]
    rng = np.random.default_rng(2)
    pictures = []
    for number in range(24):
        picture = np.clip(place + rng.normal(0, 3, place.shape), 0, 255).astype(np.uint8)
        left = 12 * number
        picture[60:200, left : left + 40] = rng.integers(0, 255, picture[60:200, left : left + 40].shape)
        pictures.append(picture)
    assert backdrop(pictures) is None


def test_nor_where_the_light_flickers_too():
    """Bright texture then changes everywhere by more than a person does."""
    rng = np.random.default_rng(5)
    place = rng.integers(20, 230, (60, 80, 3)).repeat(4, axis=0).repeat(4, axis=1).astype(float)
    people = rng.integers(0, 255, (2, 150, 50, 3))
    pictures = []
    for number in range(40):
        picture = place * (1 + 0.08 * np.sin(2.1 * number)) + rng.normal(0, 4, place.shape)
        for who, speed in enumerate((5, -3)):
            left = (number * speed * 2) % (320 - 50)
            picture[60:210, left : left + 50] = people[who]
        pictures.append(np.clip(picture, 0, 255).astype(np.uint8))
    assert backdrop(pictures) is None


def test_nor_in_pictures_of_a_gallery():
    """The frame stays, and the photos in it have a carpet of one colour; but its pattern is another one in each."""
    rng = np.random.default_rng(6)
    page = np.full((320, 180, 3), 12, np.uint8)
    page[20:30, 20:160:3] = 220
    page[290:300, 30:150:4] = 200
    pictures = []
    for number in range(16):
        picture = page.copy()
        picture[90:230] = np.clip(120 + gaussian_filter(rng.normal(0, 36, (140, 180, 1)), (1, 1, 0)), 0, 255)
        thing = rng.integers(0, 255, (15, 20, 3)).repeat(4, axis=0).repeat(4, axis=1)
        picture[130 + number % 5 : 190 + number % 5, 40 + number : 120 + number] = thing
        pictures.append(picture)
    assert backdrop(pictures) is None


@pytest.mark.parametrize("still", [False, True])
def test_what_is_around_a_window_is_not_behind_something_that_turns(still: bool):
    """Of a car, with a textured frame: the world outside changes all the time. A vase has such an outline, too, so the
    camera has to be known to stand still; that of a drive is not."""
    frame = np.random.default_rng(7).integers(0, 255, (60, 80, 3)).astype(np.uint8).repeat(4, axis=0).repeat(4, axis=1)
    pictures = []
    for picture in filmed("nobody", (320, 240), 12, 0.4).pictures:
        pictures.append(frame.copy())
        pictures[-1][60:180, 50:270] = picture[60:180, 50:270]
    assert (backdrop(pictures, still=still) is not None) == still


def test_a_plain_wall_is_ignored_too():
    pictures = [small(picture) for picture in film(plain=True).pictures]
    behind = backdrop(pictures)
    assert behind is not None
    for picture, turning in zip(pictures, film().turning, strict=True):
        found, true = behind.turning(picture), small(turning.astype(np.uint8) * 255) > 127
        assert (found & true).sum() > 0.85 * true.sum()
        assert found.mean() < 0.3


def test_the_sky_is_not():
    """A walk below a sky of one colour: it stands still as a wall does, but what moves reaches the edges."""
    pictures = []
    for picture in filmed("nobody", (320, 240), 12, 0.4).pictures:
        pictures.append(picture.copy())
        pictures[-1][:110] = (150, 190, 230)
    assert backdrop(pictures) is None


@pytest.mark.parametrize("level", [0, 255])
def test_what_is_around_a_porthole_is_not(level):
    """Its outline stays as it is; what turns has another one in each picture."""
    y, x = np.mgrid[0:240, 0:320]
    around = np.hypot(x - 160, y - 120) > 80
    walk = filmed("nobody", (320, 240), 12, 0.4).pictures
    assert backdrop([np.where(around[..., None], np.uint8(level), picture) for picture in walk]) is None


def test_a_film_of_a_turntable_is_used_and_says_what_is_ignored(tmp_path):
    clip = write_video(tmp_path / "plate.mp4", film().pictures, fps=RATE_FPS, crf=18)
    frames = frames_of(clip, tmp_path / "workspace")
    (info,) = frames.clips
    assert info.turns
    assert NO_MOTION not in info.warnings
    assert any("something turns before it" in said for said in info.warnings)
    assert len(frames.frames) >= 16, "each frame is another view of what turns"
    used = read_mask(tmp_path / "workspace" / FOLDER, frames.frames[0].image)
    assert used is not None
    assert 0.1 < used.mean() < 0.25, "16 % of the picture turn"


def test_a_still_film_in_which_something_else_goes_on_is_refused_as_before(tmp_path):
    """Two cells of it change all the time, and the rest stands still; but what changes is everywhere in its box."""
    place = filmed("nobody", SIZE, 2, 0.4).pictures[0]
    pictures = []
    for number in range(40):
        picture = place.copy()
        left = 40 * (number % 14)
        picture[120:300, left : left + 120] = 255 - picture[120:300, left : left + 120]
        pictures.append(picture)
    clip = write_video(tmp_path / "tripod.mp4", pictures, fps=RATE_FPS, crf=18)
    with pytest.raises(InputError, match=r"does not move in tripod\.mp4") as caught:
        frames_of(clip, tmp_path / "workspace")
    assert caught.value.code == Code.STATIC_CAMERA
    assert not list((tmp_path / "workspace").rglob("*.png")), "neither frames nor masks are left"


def frames_of(clip: Path, workspace: Path):
    workspace.mkdir()
    return extract_frames([Clip(clip.name, clip)], StageContext(workspace, SILENT), SETTINGS)
