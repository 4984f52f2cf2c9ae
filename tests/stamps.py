"""What cameras and programs draw over a film: dates whose digits change, logos, crosshairs, dark corners."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import map_coordinates
from scipy.spatial.transform import Rotation

WHITE, BLACK = (255, 255, 255), (0, 0, 0)
Picture = NDArray[np.uint8]  # [height, width, 3]


def boxed_date(picture: Picture, frame: int) -> Picture:
    """Black text on a white box at the lower left, 5 % of the picture; the seconds change."""
    height, width = picture.shape[:2]
    image = Image.fromarray(picture)
    draw = ImageDraw.Draw(image)
    draw.rectangle((width * 0.02, height * 0.86, width * 0.52, height * 0.97), fill=WHITE)
    draw.text((width * 0.04, height * 0.88), f"CAM 01 12:00:{frame % 60:02d}", font=_font(height), fill=BLACK)
    return np.asarray(image)


def outlined_date(picture: Picture, frame: int) -> Picture:
    """White text with a black outline on the moving picture, at the upper right."""
    height, width = picture.shape[:2]
    image = Image.fromarray(picture)
    draw = ImageDraw.Draw(image)
    draw.text(
        (width * 0.5, height * 0.03), f"2026-11-28 12:{frame % 60:02d}", font=_font(height), fill=WHITE,
        stroke_width=1, stroke_fill=BLACK,
    )  # fmt: skip
    return np.asarray(image)


def faint_logo(picture: Picture, frame: int) -> Picture:
    """White shapes of an opacity of two fifths, at the upper left."""
    height, width = picture.shape[:2]
    layer = Image.new("L", (width, height))
    draw = ImageDraw.Draw(layer)
    radius, x, y = height // 10, width // 6, height // 6
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), outline=102, width=max(3, radius // 5))
    draw.polygon([(x - radius // 3, y - radius // 2), (x - radius // 3, y + radius // 2), (x + radius // 2, y)], 102)
    opacity = np.asarray(layer, np.float32)[..., None] / 255
    return (picture * (1 - opacity) + 255 * opacity).astype(np.uint8)


def crosshair(picture: Picture, frame: int) -> Picture:
    """Two thin lines in the middle."""
    height, width = picture.shape[:2]
    marked, reach = picture.copy(), height // 16
    marked[height // 2 : height // 2 + 2, width // 2 - reach : width // 2 + reach] = 255
    marked[height // 2 - reach : height // 2 + reach, width // 2 : width // 2 + 2] = 255
    return marked


def dark_case(picture: Picture, frame: int) -> Picture:
    """Corners that a case covers, with a soft border."""
    height, width = picture.shape[:2]
    y, x = np.mgrid[0:height, 0:width]
    radius = np.hypot((x - width / 2) / (width / 2), (y - height / 2) / (height / 2))
    return (picture * np.clip((1.28 - radius) / 0.14, 0, 1)[..., None]).astype(np.uint8)


def bars(picture: Picture, left: int = 0, top: int = 0, right: int = 0, bottom: int = 0, level: int = 0) -> Picture:
    """The picture inside bars of so many pixels, slightly noisy as a compressed film has them."""
    framed = np.pad(picture, ((top, bottom), (left, right), (0, 0)), constant_values=level).astype(np.int16)
    inside = np.zeros(framed.shape[:2], bool)
    inside[top : framed.shape[0] - bottom, left : framed.shape[1] - right] = True
    noise = np.random.default_rng(0).integers(0, 4, framed.shape, dtype=np.int16)
    framed[~inside] += noise[~inside]
    return framed.clip(0, 255).astype(np.uint8)


def ticker(
    share: float = 0.1, pace: float = 0.004, opacity: float = 1.0, below: float = 0.0, label: bool = False,
    level: int = 20,
) -> Callable[[Picture, int], Picture]:  # fmt: skip
    """Text that runs to the left along the lower edge, on a bar of this share of the height.

    pace: of the width, from frame to frame. opacity, level: of the bar. below: of the height, what is seen of the film
    beneath it. label: a word at its left that stays.
    """
    strips: dict[tuple[int, int], NDArray[np.uint8]] = {}

    def drawn(picture: Picture, number: int) -> Picture:
        height, width = picture.shape[:2]
        tall = round(share * height)
        strip = strips.setdefault((tall, width), _headlines(tall, 12 * width))
        top, start = round((1 - share - below) * height), round(pace * number * width)
        text = strip[:, (np.arange(width) + start) % strip.shape[1], None] / 255.0
        shown = picture.astype(np.float32)
        bar = shown[top : top + tall] * (1 - opacity) + opacity * level
        ink = 255 if level < 128 else 0
        shown[top : top + tall] = bar * (1 - text) + ink * text
        image = Image.fromarray(shown.astype(np.uint8))
        if label:
            draw = ImageDraw.Draw(image)
            draw.rectangle((0, top, width * 0.16, top + tall), fill=(190, 10, 10))
            draw.text((width * 0.01, top + tall * 0.2), "NEWS", font=ImageFont.load_default(0.55 * tall), fill=WHITE)
        return np.asarray(image)

    return drawn


def in_gallery(photo: Picture, size: tuple[int, int] = (1080, 1920), dark: bool = True) -> Picture:
    """A screenshot of a phone that shows a photo in its gallery: the same frame around every photo."""
    width, height = size
    ground, ink = (BLACK, WHITE) if dark else (WHITE, BLACK)
    screen = Image.new("RGB", size, ground)
    draw = ImageDraw.Draw(screen)
    draw.text((0.05 * width, 0.01 * height), "12:41", font=ImageFont.load_default(0.04 * width), fill=ink)
    draw.text((0.05 * width, 0.06 * height), "Yesterday", font=ImageFont.load_default(0.06 * width), fill=ink)
    for number in range(5):
        left = (0.1 + 0.18 * number) * width
        box = (left, 0.93 * height, left + 0.07 * width, 0.93 * height + 0.07 * width)
        draw.ellipse(box, outline=ink, width=max(2, width // 135))
    tall = round(width * photo.shape[0] / photo.shape[1])
    screen.paste(Image.fromarray(photo).resize((width, tall), Image.Resampling.LANCZOS), (0, (height - tall) // 2))
    return np.asarray(screen)


def _headlines(tall: int, wide: int) -> NDArray[np.uint8]:
    """[tall, wide] opacity of words one after the other, no two alike."""
    rng = np.random.default_rng(7)
    image = Image.new("L", (wide, tall))
    draw, font, at = ImageDraw.Draw(image), ImageFont.load_default(0.6 * tall), 0.0
    while at < wide:
        word = "".join(rng.choice(list("ABCDEFGHIKLMNOPRSTUVWZabcdefghiklmnoprstuvwz0123456789"), rng.integers(2, 10)))
        draw.text((at, 0.12 * tall), word, font=font, fill=255)
        at += draw.textlength(word + "  ", font=font)
    return np.asarray(image)


def _font(height: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(max(12, height // 18))


def covering(soft_px: float, centre: tuple[float, float]) -> Callable[[Picture, int], Picture]:
    """A finger over an edge of the picture, lit a little differently in each frame. centre: shares of the sides."""

    def drawn(picture: Picture, number: int) -> Picture:
        height, width = picture.shape[:2]
        y, x = np.mgrid[0:height, 0:width] + 0.5
        radius = np.hypot((x - centre[0] * width) / 110, (y - centre[1] * height) / 80)
        share = np.clip(0.5 + (1 - radius) * 80 / max(soft_px, 1e-3), 0, 1)[..., None]
        skin = np.array([190, 125, 105]) * (1 + 0.03 * np.sin(2.1 * number))
        return (picture * (1 - share) + skin * share).clip(0, 255).astype(np.uint8)

    return drawn


def steadied(picture: Picture, frame: int, pace: float = 1.0, focal: float = 0.59) -> Picture:
    """Turned against what the hand does, as a program leaves it that does not crop what is missing then; slightly noisy
    as a compressed film. pace: of the hand. focal: length of the lens / width of the picture."""
    height, width = picture.shape[:2]
    at = pace * frame
    yaw, pitch, roll = 0.08 * math.sin(at), 0.05 * math.sin(1.7 * at + 1), math.radians(2.5) * math.sin(2.3 * at)
    lens = np.array([[focal * width, 0, width / 2], [0, focal * width, height / 2], [0, 0, 1.0]])
    back = lens @ Rotation.from_euler("yxz", (yaw, pitch, roll)).as_matrix() @ np.linalg.inv(lens)
    turned = Image.fromarray(picture).transform(
        (width, height), Image.Transform.PERSPECTIVE, tuple((back / back[2, 2]).ravel()[:8]), Image.Resampling.BICUBIC
    )
    noise = np.random.default_rng(frame).integers(0, 5, picture.shape, dtype=np.int16)
    return (np.asarray(turned) + noise).clip(0, 255).astype(np.uint8)


def bent(px: float, pace: float = 1.0) -> Callable[[Picture, int], Picture]:
    """Each picture bent by waves that cross it, as a program leaves it that steadies or melts a film, without borders.

    px: how far its points are from their places, root mean square. pace: of the waves, radians from frame to frame.
    """
    rng = np.random.default_rng(5)
    waves, phases = rng.uniform(0.5, 2.0, (2, 6, 2)) * rng.choice([-1, 1], (2, 6, 2)), rng.uniform(0, 7, (2, 6))
    paces = pace * rng.uniform(0.6, 1.4, (2, 6))

    def drawn(picture: Picture, number: int) -> Picture:
        height, width = picture.shape[:2]
        across, down = np.arange(width) / width, np.arange(height)[:, None] / height
        x, y = (
            sum(
                px / math.sqrt(6) * np.sin(math.tau * (wave[0] * across + wave[1] * down) + own * number + phase)
                for wave, own, phase in zip(waves[axis], paces[axis], phases[axis], strict=True)
            )
            for axis in (0, 1)
        )  # 6 waves with a root mean square of px / sqrt(2) in each direction
        margin = 4 * px
        places = [margin + down * (height - 2 * margin) + y, margin + across * (width - 2 * margin) + x]
        layers = (map_coordinates(layer, places, order=1, mode="nearest") for layer in np.moveaxis(picture, -1, 0))
        return np.stack([*layers], axis=-1)

    return drawn
