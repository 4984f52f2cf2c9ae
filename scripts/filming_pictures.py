"""Draws the pictures of docs/filming.md: for each section what to do, on the left, and what not, on the right.

    python -m scripts.filming_pictures [--out docs/images/filming] [SECTION ...]

All of it is the courtyard of the demo, drawn by the project's own renderer; the same code gives the same pictures.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from local.footage import textures as paint
from local.footage.courtyard import courtyard
from local.footage.movers import person, walking, with_patches
from local.footage.ray_caster import QUAD, Patch, World, lit_world
from scripts.filming_sketches import BAD, HEIGHT, SECOND, WIDTH, Picture, Sketch, beside, from_above, pair, view

OUT = Path(__file__).resolve().parents[1] / "docs" / "images" / "filming"
QUALITY = 76  # of the JPEG files
TABLE = (0.0, 0.0, 0.75)
EYE = (2.35, -1.5, 1.55)


@cache
def yard() -> World:
    """The courtyard of the demo."""
    return courtyard(7, 0.8)


@cache
def plan() -> Picture:
    """The courtyard from above."""
    return from_above(yard())


@cache
def room() -> World:
    """Another place: a corner of a room with a cupboard and pictures."""
    rng = np.random.default_rng(21)
    up = np.array([0.0, 0.0, 1.0])

    def quad(centre: tuple[float, float, float], u: tuple[float, float, float], v: tuple[float, float, float],
             half: tuple[float, float], color: paint.Texture) -> Patch:  # fmt: skip
        return Patch(QUAD, np.array(centre), np.array([u, v, np.cross(u, v)], float), half, color)

    wall = [paint.marble(rng, 500, 800, color, (0.97, 0.95, 0.9)) for color in ((0.95, 0.88, 0.72), (0.72, 0.85, 0.92))]
    rug = paint.marble(rng, 300, 440, (0.7, 0.2, 0.2), (0.85, 0.6, 0.4))
    cupboard = [paint.planks(rng, 400, 300, 4, (0.75, 0.5, 0.3)) for _ in range(3)]
    patches = [
        quad((0, 0, 0), (1, 0, 0), (0, 1, 0), (3.0, 3.0), paint.planks(rng, 900, 900, 16, (0.6, 0.42, 0.28))),
        quad((0, 3, 2.2), (1, 0, 0), tuple(up), (3.0, 2.2), wall[0]),
        quad((-3, 0, 2.2), (0, 1, 0), tuple(up), (3.0, 2.2), wall[1]),
        quad((-1.9, 2.4, 0.9), (1, 0, 0), tuple(up), (0.8, 0.9), cupboard[0]),
        quad((-1.1, 2.7, 0.9), (0, 1, 0), tuple(up), (0.3, 0.9), cupboard[1]),
        quad((-1.9, 2.7, 1.8), (1, 0, 0), (0, 1, 0), (0.8, 0.3), cupboard[2]),
        quad((0.7, 2.98, 1.75), (1, 0, 0), tuple(up), (0.6, 0.45), paint.poster(rng, 300, 400)),
        quad((2.2, 2.98, 1.8), (1, 0, 0), tuple(up), (0.45, 0.6), paint.poster(rng, 400, 300)),
        quad((-2.98, -0.6, 1.7), (0, 1, 0), tuple(up), (0.7, 0.5), paint.poster(rng, 300, 420)),
        quad((0.4, 0.9, 0.01), (0.9, 0.4, 0), (-0.4, 0.9, 0), (1.3, 0.9), rug),
    ]  # fmt: skip
    return lit_world(patches, 0.8)


def move_around() -> Image.Image:
    """Around the table, or turning on one spot."""
    good, bad = Sketch(plan()), Sketch(plan())
    good.path(_arc(2.75, -80, 235))
    for azimuth in range(-80, 226, 45):
        good.camera(*_on(2.75, azimuth), azimuth + 180)
    for heading in range(20, 300, 40):
        bad.camera(-1.9, -1.9, heading, BAD, half_deg=17, reach=70)
    return pair(good.done(), "Walk around, looking at it", bad.done(), "Do not turn on one spot")


def slowly() -> Image.Image:
    """A sharp frame, and one that a fast turn has smeared."""
    sharp = view(yard(), EYE, TABLE)
    turns = [view(yard(), EYE, TABLE, turn_deg=turn).astype(float) for turn in np.linspace(-2.2, 2.2, 23)]
    return pair(sharp, "Walk slowly: every frame is sharp", np.mean(turns, axis=0).astype(np.uint8),
                "Too fast: what moves smears")  # fmt: skip


def light() -> Image.Image:
    """Daylight, or dusk with the noise of a sensor."""
    bright = view(yard(), EYE, TABLE)
    noise = np.random.default_rng(5).normal(0, 9, bright.shape)
    return pair(bright, "Daylight, or all lamps on", np.clip(bright * 0.2 + noise, 0, 255).astype(np.uint8),
                "Too dark: noise instead of detail")  # fmt: skip


def overlap() -> Image.Image:
    """Two clips that share a part of the way, or none."""
    good, bad = Sketch(plan()), Sketch(plan())
    for sketch, ways in ((good, ((-75, 95), (55, 225))), (bad, ((-65, 0), (125, 190)))):
        for (start, end), radius, color in zip(ways, (2.95, 2.55), ((20, 96, 196), SECOND), strict=True):
            sketch.path(_arc(radius, start, end), color)
            for azimuth in np.linspace(start, end - 12, 5 if sketch is good else 3):
                sketch.camera(*_on(radius, azimuth), azimuth + 180, color, reach=38)
    good.label(WIDTH / 2, 272, "clip 1 and clip 2 share a part of the way")
    bad.label(WIDTH / 2, 272, "nothing is seen in both clips")
    return pair(good.done(), "Clips overlap", bad.done(), "A gap between clips")


def one_place() -> Image.Image:
    """Two clips of the courtyard, or of the courtyard and of a room."""
    size = (238, HEIGHT)
    one, two = view(yard(), EYE, TABLE, size=size), view(yard(), (0.6, 2.75, 1.5), TABLE, size=size)
    other = view(room(), (1.0, -2.6, 1.6), (-0.4, 2.4, 1.05), size=size, zoom=0.8)
    return pair(beside(one, two), "One place in all clips", beside(one, other), "Two places in one upload")


def still_things() -> Image.Image:
    """An empty yard, or people who walk through."""
    eye, target = (2.6, -1.7, 1.55), (-0.6, 0.4, 0.95)
    people = [
        *walking(person(1), 1.05, -0.15, 2.3, 0.3),
        *walking(person(5), -0.1, 1.5, -0.5, 0.42),
        *walking(person(9), 0.3, -1.35, 2.0, 0.9),
    ]
    return pair(view(yard(), eye, target), "Wait until they have passed",
                view(with_patches(yard(), people), eye, target), "People walk through the picture")  # fmt: skip


def lens_and_zoom() -> Image.Image:
    """Two steps closer, or a zoom from the same spot."""
    size = (157, HEIGHT)
    eyes = [(3.0, -1.9, 1.6), (2.45, -1.55, 1.5), (1.9, -1.2, 1.4)]
    walked = [view(yard(), eye, TABLE, size=size, zoom=0.7) for eye in eyes]
    zoomed = [view(yard(), eyes[0], TABLE, size=size, zoom=0.7 * factor) for factor in (1.0, 1.5, 2.2)]
    marked = []
    for picture, words in zip(zoomed, ("1x", "1.5x", "2.2x"), strict=True):
        sketch = Sketch(picture)
        sketch.label(size[0] / 2, HEIGHT - 22, words, 16)
        marked.append(sketch.done())
    for number, picture in enumerate(walked):
        sketch = Sketch(picture)
        sketch.label(size[0] / 2, HEIGHT - 22, "1x", 16)
        walked[number] = sketch.done()
    return pair(beside(*walked), "Go closer, with one lens", beside(*marked), "Do not zoom, do not change lenses")


def screen_recordings() -> Image.Image:
    """A frame as the camera wrote it, or one with bars, words and buttons on it."""
    plain = view(yard(), EYE, TABLE)
    page = Image.new("RGB", (WIDTH, HEIGHT), (8, 8, 8))
    page.paste(Image.fromarray(plain).resize((360, 225)), (60, 36))
    draw = ImageDraw.Draw(page)
    draw.text((12, 10), "9:41", (240, 240, 240), ImageFont.load_default(15))
    draw.rounded_rectangle((WIDTH - 42, 12, WIDTH - 12, 24), 3, None, (240, 240, 240), 2)
    draw.rectangle((WIDTH - 39, 15, WIDTH - 22, 21), (240, 240, 240))
    draw.text((240, 58), "MY GARDEN TOUR", (255, 255, 255), ImageFont.load_default(24), anchor="mm", stroke_width=2,
              stroke_fill=(30, 30, 30))  # fmt: skip
    draw.rectangle((68, 226, 240, 252), (255, 255, 255))
    draw.text((154, 239), "2026-06-21 10:00:07", (0, 0, 0), ImageFont.load_default(15), anchor="mm")
    draw.line((60, 279, 420, 279), (110, 110, 110), 4)
    draw.line((60, 279, 190, 279), (226, 44, 44), 4)
    draw.ellipse((183, 272, 197, 286), (226, 44, 44))
    draw.polygon([(226, 126), (226, 166), (260, 146)], (255, 255, 255))
    return pair(plain, "The recording as the camera wrote it", np.asarray(page), "Bars, words and buttons on it")


def photos() -> Image.Image:
    """Many photos around the table, or four from one side."""
    good, bad = Sketch(plan()), Sketch(plan())
    for azimuth in range(0, 360, 18):
        good.camera(*_on(2.75, azimuth), azimuth + 180, reach=36)
    for x, y, heading in ((-2.9, -2.2, 38), (-2.75, -2.45, 40), (2.9, 1.2, 200)):
        bad.camera(x, y, heading, BAD, reach=60)
    good.label(WIDTH / 2, 272, "a photo every step, all around")
    bad.label(WIDTH / 2, 272, "few photos, far apart")
    return pair(good.done(), "A step between photos", bad.done(), "A handful of photos")


def files() -> Image.Image:
    """The file of the camera, or what a messenger made of it."""
    original = view(yard(), (1.55, -0.95, 1.25), TABLE)
    small = Image.fromarray(original).resize((240, 150), Image.Resampling.BILINEAR)
    packed = io.BytesIO()
    small.save(packed, "JPEG", quality=14)
    blocky = np.asarray(Image.open(packed).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC))
    return pair(original, "The file from the phone itself", blocky, "A copy from a messenger")


PICTURES: Mapping[str, Callable[[], Image.Image]] = {
    "move-around": move_around,
    "slowly": slowly,
    "light": light,
    "overlap": overlap,
    "one-place": one_place,
    "still-things": still_things,
    "lens-and-zoom": lens_and_zoom,
    "screen-recordings-and-edited-films": screen_recordings,
    "photos": photos,
    "files": files,
}
"""By the anchor of their section."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=OUT, metavar="DIR")
    parser.add_argument("sections", nargs="*", metavar="SECTION")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    for name in args.sections or PICTURES:
        path = args.out / f"{name}.jpg"
        PICTURES[name]().save(path, "JPEG", quality=QUALITY, optimize=True)
        print(f"{path.name}: {path.stat().st_size:,} bytes")


def _on(radius: float, azimuth_deg: float) -> tuple[float, float]:
    """A place on a circle around the table."""
    return radius * float(np.cos(np.radians(azimuth_deg))), radius * float(np.sin(np.radians(azimuth_deg)))


def _arc(radius: float, start_deg: float, end_deg: float) -> list[tuple[float, float]]:
    return [_on(radius, azimuth) for azimuth in np.linspace(start_deg, end_deg, 60)]


if __name__ == "__main__":
    main()
