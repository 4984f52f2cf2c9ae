"""Drawing for `scripts/filming_pictures.py`: the courtyard from above, cameras and paths on it, pairs of panels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from local.footage import film
from local.footage.film import FOCAL_RATIO
from local.footage.ray_caster import World, render

Picture = NDArray[np.uint8]  # [height, width, 3] sRGB

WIDTH, HEIGHT = 480, 300  # pixels of a panel
BANNER, GAP, FINE = 40, 16, 4  # height of the words above a panel; between two; drawn so much finer, then shrunk
GOOD, BAD, PATH, INK = (34, 139, 72), (196, 52, 52), (20, 96, 196), (30, 34, 40)
EYE_M, PLAN_FOCAL = 11.5, 433.5  # the plan: a camera so high above the ground looks down
SECOND = (214, 112, 16)  # a second clip


def from_above(world: World) -> Picture:
    """The courtyard as a plan, paler than it is: what is drawn on it is to be seen first."""
    K = np.array([[PLAN_FOCAL, 0, WIDTH / 2], [0, PLAN_FOCAL, HEIGHT / 2], [0, 0, 1.0]])
    pose = np.array([[1.0, 0, 0, 0], [0, -1.0, 0, 0], [0, 0, -1.0, EYE_M], [0, 0, 0, 1.0]])
    return pale(render(world, K, pose, WIDTH, HEIGHT)[0])


def pale(picture: Picture, share: float = 0.42) -> Picture:
    """Closer to white."""
    return (picture * (1 - share) + 255 * share).astype(np.uint8)


def view(
    world: World, eye: Sequence[float], target: Sequence[float], *, zoom: float = 1.0,
    size: tuple[int, int] = (WIDTH, HEIGHT), turn_deg: float = 0.0,
) -> Picture:  # fmt: skip
    """What a phone sees from `eye` when it looks at `target`, then turned to the right by `turn_deg`."""
    focal = zoom * FOCAL_RATIO * max(size)
    K = np.array([[focal, 0, size[0] / 2], [0, focal, size[1] / 2], [0, 0, 1.0]])
    return render(world, K, looking(np.asarray(eye, float), np.asarray(target, float), turn_deg), *size)[0]


def looking(eye: NDArray[np.float64], target: NDArray[np.float64], turn_deg: float = 0.0) -> NDArray[np.float64]:
    """[4, 4] world to camera; z of the world is up."""
    forward = (target - eye) / np.linalg.norm(target - eye)
    c, s = np.cos(np.radians(turn_deg)), np.sin(np.radians(turn_deg))
    forward = np.array([c * forward[0] + s * forward[1], c * forward[1] - s * forward[0], forward[2]])
    return film.looking(eye, eye + forward)


@dataclass
class Sketch:
    """Lines and cameras over a picture; places are metres on the ground of the plan, or pixels with `place`."""

    picture: Picture
    layer: Image.Image = field(init=False)

    def __post_init__(self) -> None:
        height, width = self.picture.shape[:2]
        self.layer = Image.new("RGBA", (width * FINE, height * FINE), (255, 255, 255, 0))

    def path(self, places: Sequence[tuple[float, float]], color: tuple[int, int, int] = PATH) -> None:
        """A way that somebody walks, with an arrow at its end."""
        points = [self._pixel(*place) for place in places]
        draw = ImageDraw.Draw(self.layer)
        draw.line(points, (255, 255, 255, 235), 8 * FINE, joint="curve")
        draw.line(points, (*color, 255), 4 * FINE, joint="curve")
        (x, y), (before_x, before_y) = points[-1], points[-2]
        angle = np.arctan2(y - before_y, x - before_x)
        tip = [(x + 13 * FINE * np.cos(angle + turn), y + 13 * FINE * np.sin(angle + turn)) for turn in (0, 2.3, -2.3)]
        draw.polygon(tip, (*color, 255), (255, 255, 255, 255))

    def camera(self, x: float, y: float, heading_deg: float, color: tuple[int, int, int] = PATH, *,
               half_deg: float = 30.0, reach: float = 44.0) -> None:  # fmt: skip
        """A camera and what it sees: `half_deg` to each side, drawn `reach` pixels far."""
        px, py = self._pixel(x, y)
        draw = ImageDraw.Draw(self.layer)
        far = reach * FINE
        draw.pieslice((px - far, py - far, px + far, py + far), -heading_deg - half_deg, -heading_deg + half_deg,
                      (*color, 70), (*color, 200), FINE)  # fmt: skip
        dot = 5 * FINE
        draw.ellipse((px - dot, py - dot, px + dot, py + dot), (*color, 255), (255, 255, 255, 255), FINE)

    def box(self, left: float, top: float, right: float, bottom: float, color: tuple[int, int, int]) -> None:
        """A frame, in pixels."""
        edges = tuple(FINE * value for value in (left, top, right, bottom))
        ImageDraw.Draw(self.layer).rectangle(edges, (*color, 40), (*color, 255), 3 * FINE)

    def label(self, x: float, y: float, text: str, size: float = 15, color: tuple[int, int, int] = INK) -> None:
        """Words on a light ground, their middle at a pixel."""
        draw, font = ImageDraw.Draw(self.layer), ImageFont.load_default(size * FINE)
        at = (x * FINE, y * FINE)
        left, top, right, bottom = draw.textbbox(at, text, font, anchor="mm")
        edge = 5 * FINE
        box = (left - edge, top - edge, right + edge, bottom + edge)
        draw.rounded_rectangle(box, 5 * FINE, (255, 255, 255, 225))
        draw.text(at, text, (*color, 255), font, anchor="mm")

    def done(self) -> Picture:
        height, width = self.picture.shape[:2]
        under = Image.fromarray(self.picture).convert("RGBA")
        small = self.layer.resize((width, height), Image.Resampling.LANCZOS)
        return np.asarray(Image.alpha_composite(under, small).convert("RGB"))

    def _pixel(self, x: float, y: float) -> tuple[float, float]:
        scale = PLAN_FOCAL / EYE_M
        height, width = self.picture.shape[:2]
        return (width / 2 + x * scale) * FINE, (height / 2 - y * scale) * FINE


def pair(good: Picture, good_words: str, bad: Picture, bad_words: str) -> Image.Image:
    """Two panels beside each other, what to do on the left."""
    page = Image.new("RGB", (2 * WIDTH + GAP, HEIGHT + BANNER), (255, 255, 255))
    for left, panel, words, color in ((0, good, good_words, GOOD), (WIDTH + GAP, bad, bad_words, BAD)):
        page.paste(Image.fromarray(panel), (left, BANNER))
        page.paste(_banner(words, color, sign=color == GOOD), (left, 0))
        ImageDraw.Draw(page).rectangle((left, 0, left + WIDTH - 1, HEIGHT + BANNER - 1), None, color, 2)
    return page


def beside(*pictures: Picture) -> Picture:
    """Pictures of the same height beside each other over the width of a panel, white between them."""
    gap = 4
    width = (WIDTH - gap * (len(pictures) - 1)) // len(pictures)
    out = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
    for number, picture in enumerate(pictures):
        left = number * (width + gap)
        out[:, left : left + width] = np.asarray(Image.fromarray(picture).resize((width, HEIGHT)))
    return out


def _banner(words: str, color: tuple[int, int, int], *, sign: bool) -> Image.Image:
    """The words, with a tick or a cross before them."""
    big = Image.new("RGB", (WIDTH * FINE, BANNER * FINE), color)
    draw, white, middle = ImageDraw.Draw(big), (255, 255, 255), BANNER / 2 * FINE
    r = 7 * FINE
    x = 20 * FINE
    if sign:
        draw.line([(x - r, middle), (x - r / 4, middle + 0.8 * r), (x + r, middle - 0.9 * r)], white, 4 * FINE, "curve")
    else:
        draw.line([(x - r, middle - r), (x + r, middle + r)], white, 4 * FINE)
        draw.line([(x - r, middle + r), (x + r, middle - r)], white, 4 * FINE)
    draw.text((40 * FINE, middle), words, white, ImageFont.load_default(18 * FINE), anchor="lm")
    return big.resize((WIDTH, BANNER), Image.Resampling.LANCZOS)
