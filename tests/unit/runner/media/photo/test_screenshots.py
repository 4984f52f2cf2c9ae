"""The frame of an app around photos is cut off; what stands still behind a thing that a camera took is not."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from runner.media.photo.grouping import PhotoSurvey
from runner.media.photo.screenshots import TOLD, line_digests, out_of_apps
from runner.scene.frames import NO_CROP, Clip, Crop
from runner.scene.sizes import shrink
from tests.photo_scenes import LIMITS, make, pixels_of, views
from tests.photos import write_photo
from tests.stamps import in_gallery
from tests.turntables import turned

Picture = NDArray[np.uint8]
SCREEN = (432, 768)  # width, height; a photo of 5:3 has 259 lines of it
TOP = (768 - 259) // 2
LOOKED_AT_PX = 480  # long side


def looked_at(number: int, picture: Picture, camera_model: str | None = None, codec: str = "png") -> PhotoSurvey:
    """As the first pass finds it."""
    height, width = picture.shape[:2]
    image = Image.fromarray(picture)
    pixels = np.asarray(image.resize(shrink(width, height, LOOKED_AT_PX), Image.Resampling.LANCZOS))
    small = np.asarray(image.convert("L").resize(shrink(width, height, 96), Image.Resampling.BOX))
    digests = ("", "") if camera_model else line_digests(pixels)
    return PhotoSurvey(
        Clip(f"{number:02d}.png", Path()), width, height, codec, None, camera_model, None, None, None, None, 1.0, small,
        rows=digests[0], columns=digests[1],
    )  # fmt: skip


def crops(pictures: Sequence[Picture], camera_model: str | None = None, codec: str = "png") -> set[Crop]:
    found = out_of_apps([looked_at(n, picture, camera_model, codec) for n, picture in enumerate(pictures)], LIMITS)
    assert all((photo.width, photo.height) == _left(photo, pictures[0]) for photo in found)
    return {photo.crop for photo in found}


def _left(photo: PhotoSurvey, picture: Picture) -> tuple[int, int]:
    left, top, right, bottom = photo.crop
    return picture.shape[1] - left - right, picture.shape[0] - top - bottom


def shown(count: int = 6, dark: bool = True) -> list[Picture]:
    return [in_gallery(picture, SCREEN, dark) for picture in views(count, 400, 240)]


def sideways(pictures: Sequence[Picture]) -> list[Picture]:
    """On a screen that lies, with bars left and right."""
    return [np.ascontiguousarray(picture.transpose(1, 0, 2)) for picture in pictures]


def at_other_times(pictures: Sequence[Picture]) -> list[Picture]:
    """The clock at the top goes on."""
    changed = []
    for number, picture in enumerate(pictures):
        image = Image.fromarray(picture)
        ImageDraw.Draw(image).text((300, 10), f"12:4{number}", font=ImageFont.load_default(18), fill=(255, 255, 255))
        changed.append(np.asarray(image))
    return changed


def as_jpeg(pictures: Sequence[Picture]) -> list[Picture]:
    found = []
    for picture in pictures:
        Image.fromarray(picture).save(data := io.BytesIO(), "JPEG", quality=80)
        found.append(np.asarray(Image.open(data)))
    return found


def plain(pictures: Sequence[Picture]) -> list[Picture]:
    return list(pictures)


@pytest.mark.parametrize("change", [plain, as_jpeg, at_other_times])
@pytest.mark.parametrize("dark", [True, False])
def test_the_frame_of_a_gallery_is_cut_off(change: Callable[[Sequence[Picture]], list[Picture]], dark: bool) -> None:
    """To some pixels inside of the photo, as saved without loss or as JPEG, also while a clock goes on."""
    codec, most = ("jpeg", 32) if change is as_jpeg else ("png", 16)
    ((left, top, right, bottom),) = crops(change(shown(dark=dark)), codec=codec)
    assert (left, right) == (0, 0)
    assert TOP < top <= TOP + most
    assert 768 - 259 - TOP < bottom <= 768 - 259 - TOP + most
    ((left, top, right, bottom),) = crops(change(sideways(shown(dark=dark))), codec=codec)
    assert (top, bottom) == (0, 0)
    assert TOP < left <= TOP + most


def test_what_is_written_is_the_photo_alone_and_told(tmp_path: Path) -> None:
    paths = [write_photo(tmp_path / f"Screenshot_{n:02d}.png", picture) for n, picture in enumerate(shown(9))]
    found = make([Clip(path.name, path) for path in paths], tmp_path)
    (clip,) = found.clips
    assert clip.width == SCREEN[0]
    assert 200 <= clip.height < 259
    assert any(TOLD in warning for warning in clip.warnings)
    first = Image.fromarray(shown(9)[0]).crop((0, clip.crop[1], SCREEN[0], SCREEN[1] - clip.crop[3]))
    expected = np.asarray(first.resize(shrink(*first.size, 120), Image.Resampling.LANCZOS))
    written = pixels_of(tmp_path, found.frames[0].image)
    assert written.shape == expected.shape
    assert np.abs(written.astype(int) - expected).max() <= 1


def test_upright_and_wide_photos_in_one_gallery_are_each_cut_to_their_own_shape() -> None:
    """The frame around the wide ones holds more black; one of them ends in black lines itself, and is shown twice."""
    wide = views(7, 400, 240)
    wide[3] = wide[3].copy()
    wide[3][-12:] = 0
    upright = views(6, 300, 400, seed=1)
    screens = [in_gallery(photo, SCREEN) for photo in [*wide[:4], wide[2], *upright, *wide[4:]]]
    found = out_of_apps([looked_at(n, screen) for n, screen in enumerate(screens)], LIMITS)
    heights = [photo.height for photo in found]
    assert all(215 < height < 259 for height in (*heights[:5], *heights[11:])), heights
    assert all(540 < height < 576 for height in heights[5:11]), heights


def on_white(count: int = 6) -> list[Picture]:
    """A tin that turns, cut out and put before plain white, with the mark of a shop below it: its outline stays."""
    pictures = []
    for number in range(count):
        picture = np.full((480, 640, 3), 255, np.uint8)
        picture[90:390, 220:420] = views(count, 200, 300)[number]
        picture[440:460, 40:120] = (20, 40, 160)
        pictures.append(picture)
    return pictures


def squared(count: int = 6) -> list[Picture]:
    """Photos made square by a program: bars of one colour, which may as well be the ground that a thing lies on."""
    return [np.pad(picture, ((80, 80), (0, 0), (0, 0))) for picture in views(count, 400, 240)]


def with_noise(pictures: Sequence[Picture]) -> list[Picture]:
    rng = np.random.default_rng(1)
    return [(picture + rng.normal(0, 1, picture.shape)).clip(0, 255).astype(np.uint8) for picture in pictures]


@pytest.mark.parametrize(
    "pictures",
    [
        lambda: turned(count=8).pictures, lambda: turned(count=8, plain=True).pictures, on_white, squared,
        lambda: views(6, 400, 240), lambda: with_noise(shown()), lambda: shown(4), lambda: [shown(1)[0]] * 6,
    ],
    ids=["turntable", "turntable before a wall", "cut out", "square", "photos", "noise", "four", "one"],
)  # fmt: skip
def test_nothing_else_is_cut_off(pictures: Callable[[], Sequence[Picture]]) -> None:
    """Pictures of a turntable without any noise, before a wall with texture and without; and what a camera took: it
    never takes the same line twice."""
    assert crops(pictures()) == {NO_CROP}


def test_what_a_camera_has_signed_is_no_screenshot() -> None:
    assert crops(shown(), camera_model="Apple iPhone 15") == {NO_CROP}
