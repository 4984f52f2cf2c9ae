"""Black bars are cut off before anything; dark pictures, fades and cuts to black are no bars."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import msgspec
import numpy as np
import pytest
from PIL import Image

from runner.context import StageContext
from runner.media.decoding.answers import clip_surveys
from runner.media.decoding.requests import survey_message
from runner.media.extract import extract_frames, frame_set_from_json
from runner.media.frame_size import is_too_small
from runner.media.settings import FrameSettings, Limits
from runner.media.video.survey import survey
from runner.scene.frames import Clip
from runner.scene.progress import SILENT
from scenejobs.errors import Code, InputError
from tests.stamps import bars as in_bars
from tests.videos import pan, write_video

LIMITS = Limits(min_long_side=64, min_short_side=48, min_duration_s=0.5)
SETTINGS = FrameSettings(budget=12, limits=LIMITS)
SIZE = (320, 240)


def boxed(pictures, left=0, top=0, right=0, bottom=0, level=0):
    """Pictures of SIZE made smaller and put into bars."""
    size = (SIZE[0] - left - right, SIZE[1] - top - bottom)
    small = [np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BOX)) for picture in pictures]
    return [in_bars(picture, left, top, right, bottom, level) for picture in small]


def parts(tmp_path, pictures, limits=LIMITS, **options):
    path = write_video(tmp_path / "a.mp4", pictures, crf=20, **options)
    return survey(Clip("a.mp4", path), limits, lambda _share, _detail: None)


def film(frames, seed=0, step_px=3.0):
    return pan(frames, step_px, *SIZE, seed=seed)


@pytest.mark.parametrize(
    ("bars", "kind", "said"),
    [
        ({"left": 80, "right": 80}, "black bars", "px left and right"),
        ({"top": 30, "bottom": 30, "level": 22}, "black bars", "px at the top and bottom"),
        ({"left": 60, "top": 40, "right": 60, "bottom": 40}, "black bars", "px left and right, "),
        ({"right": 50}, "black bars", "px right"),
        ({"left": 70, "right": 70, "level": 180}, "bars of one colour", "px left and right"),
    ],
)
def test_bars_are_cut_off_and_told(tmp_path, bars, kind, said):
    (found,) = parts(tmp_path, boxed(film(40), **bars))
    true = tuple(bars.get(side, 0) for side in ("left", "top", "right", "bottom"))
    assert all(
        side == 0 if one == 0 else one <= side <= one + 4 for one, side in zip(true, found.info.crop, strict=True)
    )
    left, top, right, bottom = found.info.crop
    assert (found.info.width, found.info.height) == (SIZE[0] - left - right, SIZE[1] - top - bottom)
    assert found.info.frame_count == 40
    assert any(said in warning for warning in found.info.warnings if warning.startswith(f"{kind} were cut off: "))
    (bare,) = parts(tmp_path, boxed(film(40)))
    assert found.measures[-1].travel == pytest.approx(bare.measures[-1].travel, rel=0.5)


def test_a_bar_beside_which_it_is_dark_is_found_by_the_one_at_the_opposite_edge(tmp_path):
    pictures = film(40)
    for picture in pictures:
        picture[200:] = picture[200:] // 32
    (found,) = parts(tmp_path, boxed(pictures, top=30, bottom=30))
    assert found.info.crop[1] >= 30
    assert found.info.crop[3] >= 30


def test_a_bar_with_subtitles_in_it_is_cut_off(tmp_path):
    """Another one every few frames, and in each frame one: no frame shows an even bar at the bottom."""

    def subtitled(picture, number):
        picture = picture.copy()
        rows, columns = slice(SIZE[1] - 26, SIZE[1] - 12), slice(90, 230)
        letters = np.random.default_rng(number // 6).random((2, 20)) < 0.6
        picture[rows, columns] = np.maximum(picture[rows, columns], 255 * np.kron(letters, np.ones((7, 7)))[..., None])
        return picture.astype(np.uint8)

    film_in_bars = boxed(film(40), top=40, bottom=40)
    (found,) = parts(tmp_path, [subtitled(picture, number) for number, picture in enumerate(film_in_bars)])
    left, top, right, bottom = found.info.crop
    assert (left, right) == (0, 0)
    assert 40 <= top <= 44
    assert 40 <= bottom <= 44


def test_a_compressed_film_has_soft_borders(tmp_path):
    path = write_video(tmp_path / "a.mp4", boxed(film(60), left=50, level=30), crf=32)
    (found,) = survey(Clip("a.mp4", path), LIMITS, lambda _share, _detail: None)
    assert 50 <= found.info.crop[0] <= 56


def test_each_stretch_with_other_bars_is_a_camera_of_its_own(tmp_path):
    pictures = [*boxed(film(70), left=80, right=80), *boxed(film(50, 1)), *boxed(film(60, 2), top=40, bottom=40)]
    found = parts(tmp_path, pictures)
    indices = [[frame.index for frame in part.measures] for part in found]
    assert indices == [list(range(70)), list(range(120, 180)), list(range(70, 120))]
    assert [[side > 0 for side in part.info.crop] for part in found] == [
        [True, False, True, False], [False, True, False, True], [False] * 4
    ]  # fmt: skip


def test_a_few_frames_without_the_bars_share_the_area_of_the_others(tmp_path):
    pictures = [*boxed(film(90), left=40, right=40), *boxed(film(9, 1))]
    (found,) = parts(tmp_path, pictures)
    assert found.info.frame_count == 99
    assert found.info.crop[0] >= 40


def test_a_border_that_wavers_by_pixels_is_one_bar(tmp_path):
    (found,) = parts(tmp_path, [*boxed(film(60), left=40), *boxed(film(60, 1), left=43)])
    assert found.info.frame_count == 120
    assert 43 <= found.info.crop[0] <= 48


def doorway(frames, step_px=1.0):
    """A wall whose left part is black, with a straight border that moves with the picture."""
    pictures = []
    for number, picture in enumerate(film(frames, step_px=step_px)):
        dark = picture.copy()
        dark[:, : max(0, int(90 - step_px * number))] = 2
        pictures.append(dark)
    return pictures


def night(frames):
    """Dark pictures with few lights."""
    rng = np.random.default_rng(3)
    lights = rng.random((SIZE[1], SIZE[0] + 3 * frames, 1)) > 0.999
    sky = np.where(lights, 220, 3).astype(np.uint8).repeat(3, axis=2)
    pictures = [sky[:, 3 * number : 3 * number + SIZE[0]].copy() for number in range(frames)]
    for dark, picture in zip(pictures, film(frames), strict=True):
        dark[150:] = picture[150:] // 2
    return pictures


def ceiling(frames):
    """A black ceiling whose straight border nods with the camera."""
    pictures = []
    for number, picture in enumerate(film(frames)):
        dark = picture.copy()
        dark[: int(50 + 12 * np.sin(number / 6))] = 1
        pictures.append(dark)
    return pictures


def black(frames):
    return [np.zeros((SIZE[1], SIZE[0], 3), np.uint8)] * frames


def faded(pictures, count):
    """The last ones fade to black."""
    end = len(pictures)
    return [
        (picture * min(1.0, (end - number - 1) / count)).astype(np.uint8) for number, picture in enumerate(pictures)
    ]


@pytest.mark.parametrize(
    "pictures",
    [
        lambda: doorway(80),
        lambda: doorway(80, 0.25),
        lambda: [*doorway(1) * 20, *doorway(60)],
        lambda: night(60),
        lambda: ceiling(60),
        lambda: faded(film(60), 30),
        lambda: [*film(30), *black(20), *film(30, 1), *black(1), *film(30, 2)],
    ],
    ids=["doorway", "slow doorway", "doorway after a rest", "night", "ceiling", "fade", "cut to black"],
)
def test_dark_pictures_are_not_cropped_and_not_divided(tmp_path, pictures):
    made = pictures()
    (found,) = parts(tmp_path, made)
    assert found.info.crop == (0, 0, 0, 0)
    assert found.info.frame_count == len(made)


def test_a_fade_and_black_frames_do_not_divide_a_film_with_bars(tmp_path):
    pictures = [*boxed(faded(film(60), 30), top=30, bottom=30), *black(10), *boxed(film(40, 1), top=30, bottom=30)]
    (found,) = parts(tmp_path, pictures)
    assert found.info.frame_count == 110
    assert found.info.crop[1] >= 30


def test_frames_are_written_without_bars_and_again_from_what_is_stored(tmp_path):
    path = write_video(tmp_path / "a.mp4", boxed(film(40, step_px=6), left=80, right=80), crf=20)
    clip = Clip("a.mp4", path)
    first = extract_frames([clip], StageContext(tmp_path, SILENT), SETTINGS)
    (info,) = first.clips
    assert 154 <= info.width <= 160
    assert info.height == 240
    for frame in first.frames:
        pixels = np.asarray(Image.open(tmp_path / "frames" / frame.image))
        assert pixels.shape == (info.height, info.width, 3)
        assert pixels[:, [0, -1]].mean(axis=(0, 2)).min() > 40
    stored = json.loads((tmp_path / "frames.json").read_text())["result"]
    assert frame_set_from_json(stored) == first
    other = tmp_path / "other"
    other.mkdir()
    (other / "frames.json").write_bytes((tmp_path / "frames.json").read_bytes())
    assert extract_frames([clip], StageContext(other, SILENT), SETTINGS) == first
    name = first.frames[0].image
    assert (other / "frames" / name).read_bytes() == (tmp_path / "frames" / name).read_bytes()
    for entry in stored["clips"]:  # of the version before
        del entry["crop"]
    assert frame_set_from_json(stored).clips[0].crop == (0, 0, 0, 0)


def test_the_focal_length_is_that_of_the_whole_frame(tmp_path):
    tags = {"com.apple.quicktime.camera.focal_length.35mm_equivalent": "26"}
    (whole,) = parts(tmp_path, film(30), tags=tags)
    (found,) = parts(tmp_path, boxed(film(30), left=80, right=80), tags=tags)
    assert whole.info.focal_px
    assert found.info.focal_px == whole.info.focal_px


def test_what_is_too_small_without_its_bars_is_refused_by_the_size_inside_of_them(tmp_path):
    """Less than a third of the pixels asked for."""
    with pytest.raises(InputError) as caught:
        parts(tmp_path, boxed(film(30), left=120, right=120), replace(LIMITS, min_long_side=320, min_short_side=190))
    assert caught.value.code == Code.TOO_SMALL
    said = re.search(r"a.mp4 has (\d+)x240 pixels without its bars", caught.value.cause)
    assert said, caught.value.cause
    assert 74 <= int(said[1]) <= 80


def test_an_upright_film_in_a_small_frame_is_used_although_both_its_sides_are_short(tmp_path):
    """As 270x480 in the 848x480 of a messenger, where 640x480 are asked for; a whole film of that size is refused."""
    limits = replace(LIMITS, min_long_side=300, min_short_side=150)
    (found,) = parts(tmp_path, boxed(film(30), left=120, right=120), limits)
    assert any(f"{found.info.width}x240 pixels only" in warning for warning in found.info.warnings)
    assert max(found.info.width, found.info.height) < 300
    assert is_too_small(80, 240, limits)


@pytest.mark.parametrize(
    "crop", [[-2, 0, 0, 0], [0, 0, 0], [1 << 20, 0, 1 << 20, 0], [0, 0, 0, 1 << 40], ["a", 0, 0, 0]]
)
def test_a_crop_that_cannot_be_is_not_taken(tmp_path, crop):
    answer = msgspec.to_builtins(survey_message(parts(tmp_path, film(30))))
    answer["parts"][0]["crop"] = crop
    with pytest.raises(InputError) as caught:
        clip_surveys(answer, Clip("a.mp4", tmp_path), LIMITS)
    assert caught.value.code == Code.UNSAFE_VIDEO
