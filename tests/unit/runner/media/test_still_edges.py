"""Bars with something in them, and bars that are a blurred copy of the film: cut off as black ones are."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from runner.media.settings import Limits
from runner.media.video.bars.watch import BarWatch
from runner.media.video.survey import survey
from runner.scene.frames import Clip
from tests.videos import pan, write_video

LIMITS = Limits(min_long_side=64, min_short_side=48, min_duration_s=0.5)
SIZE, BAR = (480, 270), 140  # px; a portrait film of 200 x 270 between two bars


def clip_of(tmp_path, pictures):
    path = write_video(tmp_path / "a.mp4", [np.asarray(picture) for picture in pictures], crf=20)
    return survey(Clip("a.mp4", path), LIMITS, lambda _share, _detail: None)[0].info


def crop_of(tmp_path, pictures):
    return clip_of(tmp_path, pictures).crop


def film(size, frames=16):
    """Detail of every size, which moves."""
    grain = np.random.default_rng(2).integers(-20, 20, (size[1], size[0] + 6 * frames, 1))
    pictures = (picture + grain[:, 6 * i : 6 * i + size[0]] for i, picture in enumerate(pan(frames, 6.0, *size)))
    return [Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8)) for picture in pictures]


def between(around, picture):
    around.paste(picture, (BAR, 0))
    return around


def with_text(picture):
    around = Image.new("RGB", SIZE)
    ImageDraw.Draw(around).text((10, 60), "MY TRIP\nsubscribe", font_size=28, fill=(255, 200, 0))
    return between(around, picture)


def in_a_pattern(picture):
    rng = np.random.default_rng(4)
    paper = Image.fromarray(rng.integers(0, 255, (27, 48, 3), np.uint8)).resize(SIZE, Image.Resampling.BICUBIC)
    return between(paper, picture)


def over_itself(picture):
    return between(picture.resize(SIZE).filter(ImageFilter.GaussianBlur(12)), picture)


def over_itself_lightly(picture):
    return between(picture.resize(SIZE).filter(ImageFilter.GaussianBlur(0.8)), picture)


def test_a_window_with_a_page_around_it_is_cut_out(tmp_path):
    """A player on a page, recorded off a screen; pictures of other films stand beside it, its progress bar grows."""
    rng, width, height = np.random.default_rng(6), 960, 540
    page = Image.new("RGB", (width, height), (249, 249, 249))
    draw = ImageDraw.Draw(page)
    for number in range(4):
        small = Image.fromarray(rng.integers(0, 255, (9, 16, 3), np.uint8)).resize((120, 68), Image.Resampling.BICUBIC)
        page.paste(small, (720, 60 + 110 * number))
        draw.text((720, 130 + 110 * number), f"another film {number}", font_size=14, fill=(20, 20, 20))
    draw.text((40, 440), "A walk around the house", font_size=26, fill=(20, 20, 20))
    pictures = []
    for number, picture in enumerate(film((640, 360))):
        shown = page.copy()
        shown.paste(picture, (40, 50))
        ImageDraw.Draw(shown).rectangle((40, 406, 40 + 40 * number, 409), fill=(255, 0, 0))
        pictures.append(shown)
    left, top, right, bottom = crop_of(tmp_path, pictures)
    for found, true in ((left, 40), (top, 50), (right, width - 680), (bottom, height - 410)):
        assert true <= found <= true + 8


@pytest.mark.parametrize(
    ("framed", "told"),
    [
        (with_text, "black bars"),
        (in_a_pattern, "bars with something in them"),
        (over_itself, "bars with a blurred copy of the film"),
        (over_itself_lightly, "bars with a blurred copy of the film"),
    ],
)
@pytest.mark.parametrize("turned", [False, True])
def test_bars_that_are_not_of_one_colour_are_cut_off_and_called_what_they_are(framed, told, turned, tmp_path):
    pictures = [framed(picture) for picture in film((SIZE[0] - 2 * BAR, SIZE[1]))]
    if turned:
        pictures = [picture.transpose(Image.Transpose.ROTATE_90) for picture in pictures]
    info = clip_of(tmp_path, pictures)
    assert any(warning.startswith(f"{told} were cut off: ") for warning in info.warnings)
    crop = info.crop
    bars, others = (crop[1::2], crop[::2]) if turned else (crop[::2], crop[1::2])
    assert all(BAR <= bar <= BAR + 4 for bar in bars)
    assert others == (0, 0)


def test_a_blurred_copy_is_cut_off_where_the_middle_of_the_picture_is_smooth(tmp_path):
    """A path that leads ahead has less detail than the blurred sides needed to be told: they stayed."""

    def with_a_path(picture):
        width, height = picture.size
        picture.paste((150, 145, 140), (width * 3 // 10, 0, width * 7 // 10, height))
        return picture

    pictures = [over_itself(with_a_path(picture)) for picture in film((SIZE[0] - 2 * BAR, SIZE[1]))]
    left, top, right, bottom = crop_of(tmp_path, pictures)
    assert all(BAR <= bar <= BAR + 4 for bar in (left, right))
    assert (top, bottom) == (0, 0)


def soft_sides(picture):
    """As a lens that is sharp in the middle only."""
    mask = np.abs(np.linspace(-1, 1, SIZE[0])) * np.ones((SIZE[1], 1))
    soft = Image.fromarray((255 * np.clip(3 * mask - 1, 0, 1)).astype(np.uint8))
    return Image.composite(picture.filter(ImageFilter.GaussianBlur(12)), picture, soft)


def under_a_white_sky(picture):
    ImageDraw.Draw(picture).rectangle([0, 0, SIZE[0], 80], fill=(255, 255, 255))
    return picture


def picture_in_picture(picture):
    picture.paste(picture.resize((160, 90)).rotate(180), (300, 20))
    return picture


@pytest.mark.parametrize("changed", [soft_sides, under_a_white_sky, picture_in_picture])
def test_what_is_of_the_picture_stays(changed, tmp_path):
    assert crop_of(tmp_path, [changed(picture) for picture in film(SIZE)]) == (0, 0, 0, 0)


@pytest.mark.parametrize("size", [(160, 96), (320, 240), (640, 480)])
def test_a_film_of_a_wall_has_no_bars(size: tuple[int, int]):
    """Its blocks have no detail inside and steps from end to end, as blurred copies have."""
    watch = BarWatch()
    for number, picture in enumerate(pan(24, 6, *size)):
        watch.read(number, picture.mean(axis=2).astype(np.uint8))
    assert watch.stretches() == [(0, (0, 0, 0, 0))]


def test_a_plain_ceiling_and_floor_are_no_blurred_copies():
    """The same height, straight and without detail; but nothing in them is like what is between."""
    watch = BarWatch()
    for number, picture in enumerate(pan(24, 6, 320, 240)):
        luma = picture.mean(axis=2).astype(np.uint8)
        luma[:40], luma[-40:] = 200, np.linspace(60, 90, 320).astype(np.uint8)
        luma[:40] += np.uint8(number)  # the exposure drifts: nothing stays exactly as it is
        luma[-40:] += np.uint8(number)
        watch.read(number, luma)
    assert watch.stretches() == [(0, (0, 0, 0, 0))]
