"""360-degree pictures and fisheye discs are told from ordinary wide ones by their pixels."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from runner.media.lenses.shape import Shape, ShapeWatch, shape_of
from tests.synthetic import FOCAL, render
from tests.synthetic import walk as arc
from tests.videos import wall
from tests.wide_lenses import equirectangular_rays, fisheye_rays, seen, walk


def grey(pixels: NDArray[np.uint8], width: int | None = None) -> NDArray[np.uint8]:
    image = Image.fromarray(pixels).convert("L")
    if width is not None:
        image = image.resize((width, image.height * width // image.width), Image.Resampling.BOX)
    return np.asarray(image)


@pytest.mark.parametrize("seed", range(3))
def test_a_whole_sphere_is_recognised(seed: int) -> None:
    rays = equirectangular_rays(1280)
    for pose in walk(4, 0.0):
        assert shape_of(grey(seen(pose, rays, seed), 640)) == Shape.EQUIRECTANGULAR


def test_raw_discs_are_recognised() -> None:
    rays = fisheye_rays(320, 320, 160 / np.radians(95), 190)
    for front, back in zip(walk(4), walk(4, 180.0), strict=True):
        one = grey(seen(front, rays))
        assert shape_of(one) == Shape.FISHEYE
        assert shape_of(np.hstack([one, grey(seen(back, rays))])) == Shape.TWO_DISCS
        wide = np.zeros((320, 568), np.uint8)
        wide[:, 124:444] = one
        assert shape_of(wide) == Shape.FISHEYE


def for_two_eyes(across: int, beside: bool) -> list[NDArray[np.uint8]]:
    """Of a few places, pictures of two eyes 6 cm apart, side by side or one above the other."""
    found = []
    for position, rotation in arc(6):
        eyes = [
            render(position + rotation.T @ np.array([x, 0.0, 0.0]), rotation, size=(640, 480), focal=500.0)
            for x in (-0.03, 0.03)
        ]
        soft = [np.asarray(Image.fromarray(eye).filter(ImageFilter.GaussianBlur(3))) for eye in eyes]
        found.append(grey(np.concatenate(soft, axis=1 if beside else 0), across))
    return found


@pytest.mark.parametrize(("across", "beside"), [(640, True), (427, False)])
def test_a_picture_for_each_eye_is_recognised(across: int, beside: bool) -> None:
    """A refusal in seconds; cameras were looked for between two pictures that are one."""
    assert [shape_of(picture) for picture in for_two_eyes(across, beside)] == [Shape.TWO_EYES] * 6


def test_what_repeats_and_goes_on_and_two_films_beside_each_other_are_none() -> None:
    """A row of equal windows is alike to itself half a picture on; two cameras in one picture show two things."""
    one, other = (grey(wall(320, 360, seed)) for seed in (1, 2))
    smooth = Image.fromarray(np.hstack([one] * 4)).filter(ImageFilter.GaussianBlur(4))
    assert shape_of(np.asarray(smooth)[:, 200:840]) == Shape.FLAT
    assert shape_of(np.hstack([one, other])) == Shape.FLAT


def test_bars_and_the_page_around_a_photo_make_no_halves_of_it() -> None:
    """Left and right of a picture between bars have these in common, and its middle may break off by chance."""
    for seed in range(4):
        soft = np.asarray(Image.fromarray(grey(wall(400, 240, seed))).filter(ImageFilter.GaussianBlur(6)))
        shown = np.pad(soft, ((150, 150), (0, 0)))
        shown[20:50, 200:260:6] = 255  # text, in the middle
        assert shape_of(shown) == Shape.FLAT
        assert shape_of(np.ascontiguousarray(shown.T)) == Shape.FLAT


@pytest.mark.parametrize("size", [(640, 320), (640, 360), (480, 480)])
def test_ordinary_pictures_are_not(size: tuple[int, int]) -> None:
    """Two to one as well, with black bars, with a vignette, and mirrored so that the edges are alike."""
    width, height = size
    for position, rotation in arc(4):
        flat = grey(render(position, rotation, size=size, focal=FOCAL))
        bars = flat.copy()
        bars[: height // 8] = bars[-height // 8 :] = 16
        frame = bars.copy()
        frame[:, : width // 10] = frame[:, -width // 10 :] = 16
        v, u = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
        vignette = (flat * (1 - 0.4 * (u**2 + v**2))).clip(0).astype(np.uint8)
        mirrored = np.hstack([flat[:, : width // 2], flat[:, : width // 2][:, ::-1]])
        for picture in (flat, bars, frame, vignette, mirrored, grey(wall(width, height))):
            assert shape_of(picture) == Shape.FLAT


def test_a_ball_before_black_is_no_lens() -> None:
    """It moves in the picture, as the disc of a lens never does."""
    watch = ShapeWatch()
    texture = grey(wall(640, 480))
    v, u = np.mgrid[0:480, 0:640]
    for second in range(10):
        inside = np.hypot(u - 320 - 4 * second, v - 240 + 2 * second) < 190 + 4 * second
        watch.read(np.where(inside, texture, 2).astype(np.uint8), float(second))
    assert watch.verdict == Shape.FLAT
    still = ShapeWatch()
    for second in range(10):
        turned = np.roll(texture, 7 * second, axis=1)
        still.read(np.where(np.hypot(u - 320, v - 240) < 225, turned, 2).astype(np.uint8), float(second))
    assert still.verdict == Shape.FISHEYE
    assert still.disc_focal_px(640) == pytest.approx(225 / np.radians(95), rel=0.02)


@pytest.mark.parametrize("softness", [0.25, 0.4])  # of the radius
def test_the_light_of_a_torch_in_the_dark_is_no_lens(softness: float) -> None:
    v, u = np.mgrid[0:180, 0:320]
    light = 1 / (1 + np.exp((np.hypot(u - 160, v - 90) - 75) / (softness * 75)))
    for seed in range(4):
        lit = (60 + 0.7 * grey(wall(320, 180, seed))) * light
        assert shape_of(lit.astype(np.uint8)) == Shape.FLAT


def beam(second: int, outside: float, radius: float = 85.0) -> NDArray[np.uint8]:
    """What a camera sees that walks by a wall, in the hard-edged light of a torch that it carries; 180 px high."""
    lit = grey(wall(420, 180))[:, 10 * second : 10 * second + 320].astype(float)
    v, u = np.mgrid[0:180, 0:320] + 0.5
    return np.where(np.hypot(u - 160, v - 90) < radius, lit, 16 + outside * lit).astype(np.uint8)


def test_a_beam_with_a_hard_edge_is_no_lens_where_the_scene_goes_on_around_it() -> None:
    for outside, expected in ((0.02, Shape.FLAT), (0.0, Shape.FISHEYE)):
        watch = ShapeWatch()
        for second in range(10):
            watch.read(beam(second, outside), float(second))
        assert watch.verdict == expected


def test_a_disc_that_is_far_from_the_edges_of_the_picture_is_no_lens() -> None:
    watch = ShapeWatch()
    for second in range(10):
        watch.read(beam(second, 0.0, radius=70.0), float(second))
    assert watch.verdict == Shape.FLAT


def test_a_black_picture_says_nothing() -> None:
    assert shape_of(np.full((320, 640), 17, np.uint8)) is None
