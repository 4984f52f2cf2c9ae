"""Procedural textures for the surfaces of the demo scene: stone, brick, wood, paper, leaves.

Every function returns sRGB colours as float32 [height, width, 3] in 0..1 and draws each brick, plank and stone anew
from the generator: nothing repeats, so a feature on one brick matches that brick only. Fine grain is added everywhere,
because structure-from-motion finds nothing on a clean surface.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy.spatial import cKDTree

Texture = NDArray[np.float32]
Color = tuple[float, float, float]

WORDS = ("COURTYARD", "MERCATO", "SPLAT", "TEA & SPICE", "ORANGES", "CINEMA", "AUTUMN FAIR", "No. 47", "FRAGILE",
         "THIS WAY UP", "PHOTO CLUB", "JAZZ AT NINE", "OLIVES", "ATLAS", "GARDENS", "HARBOUR")  # fmt: skip


def noise(rng: np.random.Generator, height: int, width: int, cell: tuple[float, float], octaves: int = 4) -> Texture:
    """[height, width] value noise, mean 0, standard deviation 1; `cell`: the coarsest cell in pixels (y, x)."""
    total = np.zeros((height, width), np.float32)
    for octave in range(octaves):
        rows, columns = (max(2, round(size * 2**octave / c) + 2) for size, c in zip((height, width), cell, strict=True))
        grid = rng.normal(0, 1, (min(rows, height), min(columns, width))).astype(np.float32)
        total += np.asarray(Image.fromarray(grid).resize((width, height), Image.Resampling.BICUBIC)) * 0.6**octave
    scaled: Texture = (total - total.mean()) / (total.std() + 1e-6)
    return scaled


def tinted(value: NDArray[np.floating], color: Color) -> Texture:
    """A grey texture in one colour; value 1 is the colour itself."""
    return (value[..., None] * np.asarray(color, np.float32)).astype(np.float32)


def grained(rng: np.random.Generator, texture: Texture, strength: float = 0.06) -> Texture:
    """With stains (wide), grain (fine) and specks (single pixels)."""
    height, width = texture.shape[:2]
    stains = noise(rng, height, width, (height / 3, width / 3), 3)
    grain = noise(rng, height, width, (11, 11), 2)
    specks = rng.random((height, width)) < 0.001
    factor = 1 + strength * (0.8 * stains + 0.4 * grain) - 0.35 * specks
    return np.clip(texture * factor[..., None].astype(np.float32), 0, 1)


def stones(rng: np.random.Generator, height: int, width: int, stone: float, colors: list[Color]) -> Texture:
    """Irregular flagstones of about `stone` pixels: cells of a jittered grid, grout where two are equally near."""
    rows, columns = int(height / stone) + 3, int(width / stone) + 3
    sites = np.stack(list(np.mgrid[-1 : rows - 1, -1 : columns - 1]), axis=-1).reshape(-1, 2) + 0.5
    sites = (sites + rng.uniform(-0.36, 0.36, sites.shape)) * stone
    bend = [noise(rng, height, width, (stone, stone), 3) * stone * 0.03 for _ in range(2)]
    places = np.stack(list(np.mgrid[:height, :width].astype(np.float32) + np.stack(bend)), axis=-1)
    distance, index = cKDTree(sites).query(places.reshape(-1, 2), k=2)
    gap = (distance[:, 1] - distance[:, 0]).reshape(height, width)
    tint = np.asarray(colors, np.float32)[rng.integers(0, len(colors), len(sites))]
    tint = tint * rng.uniform(0.7, 1.2, (len(sites), 1)).astype(np.float32)
    texture = tint[index[:, 0]].reshape(height, width, 3)
    body = np.clip((gap - 0.05 * stone) / (0.06 * stone), 0, 1)[..., None].astype(np.float32)
    return grained(rng, texture * body + 0.22 * (1 - body), 0.09)


def bricks(rng: np.random.Generator, height: int, width: int, course: float, colors: list[Color]) -> Texture:
    """A running bond with courses of `course` pixels."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    y += noise(rng, height, width, (course, course), 2) * course * 0.03
    row = np.floor(y / course).astype(int)
    rows = row.max() + 2
    along = x / (course * 3) + 0.5 * (row % 2) + rng.uniform(-0.12, 0.12, rows)[row]
    column = np.floor(along).astype(int) + 1
    tint = np.asarray(colors, np.float32)[rng.integers(0, len(colors), (rows, column.max() + 2))]
    tint = tint * rng.uniform(0.65, 1.2, (*tint.shape[:2], 1)).astype(np.float32)
    edge = np.minimum.reduce([y % course, course - y % course, (along % 1) * course * 3, (1 - along % 1) * course * 3])
    body = np.clip((edge - 0.05 * course) / (0.06 * course), 0, 1)[..., None].astype(np.float32)
    mortar = np.asarray([0.62, 0.59, 0.54], np.float32)
    return grained(rng, tint[row, column] * body + mortar * (1 - body), 0.09)


def plaster(rng: np.random.Generator, height: int, width: int, color: Color, under: Texture) -> Texture:
    """Old plaster that has fallen off in places and shows what is `under` it."""
    cover = noise(rng, height, width, (height / 2.5, width / 6), 5)
    solid = np.clip((cover + 0.55) * 14, 0, 1)[..., None]
    rim = 1 - 0.35 * np.exp(-(((cover + 0.55) * 9) ** 2))
    cracks = 1 - 0.45 * np.exp(-((noise(rng, height, width, (height / 4, width / 8), 4) * 22) ** 2))
    wall = tinted((0.95 + 0.05 * noise(rng, height, width, (30, 30), 4)) * rim * cracks, color)
    return grained(rng, (wall * solid + under * (1 - solid)).astype(np.float32), 0.05)


def planks(rng: np.random.Generator, height: int, width: int, count: int, color: Color) -> Texture:
    """Vertical boards, each with its own shade and grain."""
    board = np.minimum((np.arange(width) * count) // width, count - 1)
    within = (np.arange(width) * count / width) % 1
    grain = noise(rng, height, width, (height / 1.5, max(3, width / count / 5)), 4)
    fine = noise(rng, height, width, (40, 3.5), 1)
    shade = rng.uniform(0.72, 1.12, count)[board] * (1 - 0.6 * (np.minimum(within, 1 - within) < 0.03))
    return grained(rng, np.clip(tinted(shade[None] * (1 + 0.13 * grain + 0.06 * fine), color), 0, 1), 0.05)


def crate(rng: np.random.Generator, size: int, color: Color) -> Texture:
    """One face of a wooden crate: boards, a frame of laths with nails, and a stencilled word."""
    face = planks(rng, size, size, 5, color)
    frame = planks(rng, size, size, 1, (1.12 * color[0], 1.12 * color[1], 1.12 * color[2])).transpose(1, 0, 2)
    y, x = np.mgrid[:size, :size] / size
    lath = np.minimum.reduce([x, 1 - x, y, 1 - y]) < 0.11
    lath |= np.abs(x - y) < 0.07 if rng.random() < 0.5 else np.abs(x - 1 + y) < 0.07
    face[lath] = frame[lath]
    for cx, cy in [(0.055, 0.055), (0.945, 0.055), (0.055, 0.945), (0.945, 0.945)]:
        face[np.hypot(x - cx, y - cy) < 0.022] = 0.15
    ink = words(rng, size, size, str(rng.choice(WORDS)), 0.13, rng.uniform(0.2, 0.8))
    return grained(rng, face * (1 - 0.75 * ink[..., None]), 0.04)


def words(rng: np.random.Generator, height: int, width: int, text: str, size: float, middle: float) -> Texture:
    """[height, width] ink 0..1: one centred line of text, worn off in places."""
    page = Image.new("L", (width, height), 0)
    points = min(size * height, 1.5 * width / max(3, len(text)))
    font = ImageFont.load_default(points)
    ImageDraw.Draw(page).text((width / 2, middle * height), text, fill=255, font=font, anchor="mm")
    worn = np.clip(1.6 + noise(rng, height, width, (14, 14), 3), 0, 1)
    ink: Texture = np.asarray(page, np.float32) / 255 * worn
    return ink.astype(np.float32)


def poster(rng: np.random.Generator, height: int, width: int) -> Texture:
    """A printed sheet: coloured shapes, a title and small lines."""
    ground, *inks = (tuple(int(v) for v in rng.uniform(40, 245, 3)) for _ in range(6))
    page = Image.new("RGB", (width, height), ground)
    draw = ImageDraw.Draw(page)
    for _ in range(int(rng.integers(9, 16))):
        x, y, r = rng.uniform(0, width), rng.uniform(0.2, 0.8) * height, rng.uniform(0.05, 0.22) * width
        ink = inks[int(rng.integers(len(inks)))]
        match int(rng.integers(3)):
            case 0:
                draw.ellipse((x - r, y - r, x + r, y + r), fill=ink)
            case 1:
                draw.regular_polygon((x, y, r), int(rng.integers(3, 7)), rotation=float(rng.uniform(0, 90)), fill=ink)
            case _:
                draw.rectangle((x - r, y - r / 3, x + r, y + r / 3), fill=ink)
    sheet = np.asarray(page, np.float32) / 255
    dark = sheet.mean() > 0.45
    for middle, size in ((0.1, 0.1), (0.86, 0.06), (0.93, 0.045)):
        text = words(rng, height, width, str(rng.choice(WORDS)), size, middle)[..., None]
        sheet = sheet * (1 - text) + text * np.float32(0.06 if dark else 0.96)
    return grained(rng, sheet.astype(np.float32), 0.05)


def staves(rng: np.random.Generator, height: int, width: int, color: Color) -> Texture:
    """The side of a barrel: boards under four iron hoops."""
    side = planks(rng, height, width, 15, color)
    y = np.arange(height) / height
    hoops = np.minimum.reduce([np.abs(y - h) for h in (0.08, 0.3, 0.7, 0.92)]) < 0.03
    side[hoops] = grained(rng, np.full((int(hoops.sum()), width, 3), (0.3, 0.3, 0.33), np.float32), 0.15)
    return side


def marble(rng: np.random.Generator, height: int, width: int, a: Color, b: Color) -> Texture:
    """Two colours in each other's veins."""
    share = np.clip(0.5 + 0.45 * noise(rng, height, width, (height / 3, width / 5), 5), 0, 1)
    return grained(rng, tinted(share, a) + tinted(1 - share, b), 0.05)


def glazed(rng: np.random.Generator, height: int, width: int, a: Color, b: Color) -> Texture:
    """Painted pottery or a printed label: bands, a zigzag and a word."""
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    waves = int(rng.integers(7, 12))
    band = (np.abs(y - 0.2 - 0.07 * np.abs((x * waves) % 1 - 0.5) * 4) < 0.035) | (np.abs(y - 0.88) < 0.04)
    texture = np.where(band[..., None], np.asarray(b, np.float32), np.asarray(a, np.float32))
    for middle in (0.17, 0.5, 0.83):
        part = slice(int((middle - 0.16) * width), int((middle + 0.16) * width))
        ink = words(rng, height, part.stop - part.start, str(rng.choice(WORDS)), 0.2, 0.6)[..., None]
        texture[:, part] = texture[:, part] * (1 - ink) + np.asarray(b, np.float32) * ink
    return grained(rng, texture.astype(np.float32), 0.07)


def leaf(rng: np.random.Generator, height: int, width: int, color: Color) -> tuple[Texture, Texture]:
    """A leaf with veins, stem down, and its cut-out [height, width] (1 inside)."""
    y, x = np.mgrid[1 : -1 : height * 1j, -1 : 1 : width * 1j]
    along = (y + 1) / 2
    outline = 0.92 * np.sin(np.pi * np.clip(along, 0, 1) ** 0.75) ** 0.8 + 0.05
    veins = np.exp(-((x * 14) ** 2)) + 0.5 * np.exp(-((((along - 0.4 * np.abs(x)) * 7 % 1 - 0.5) * 9) ** 2))
    shade = 0.85 + 0.3 * veins + 0.14 * noise(rng, height, width, (height / 4, width / 2), 3)
    return np.clip(tinted(shade, color), 0, 1), (np.abs(x) < outline).astype(np.float32)
