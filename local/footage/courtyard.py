"""The courtyard of the demo footage: a laid table between four old walls, crates, barrels and plants around it.

World axes: x and y on the ground, z up, metres, origin on the ground under the table. The ring between 2.3 m and 3.1 m
from the centre is kept free: there the cameras walk.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from local.footage import textures as paint
from local.footage.ray_caster import CYLINDER, QUAD, SPHERE, Patch, World, lit_world

Vector = tuple[float, float, float] | NDArray[np.float64]  # [3]

HALF_YARD, WALL_HEIGHT = 4.0, 4.4  # metres
UP = np.array([0.0, 0.0, 1.0])
OAK, PINE, WALNUT = (0.66, 0.5, 0.33), (0.8, 0.65, 0.45), (0.46, 0.31, 0.21)
PAINTS = [(0.78, 0.3, 0.24), (0.25, 0.5, 0.68), (0.42, 0.58, 0.3), (0.86, 0.68, 0.25), (0.62, 0.42, 0.62)]
GREENS = [(0.3, 0.52, 0.2), (0.42, 0.6, 0.22), (0.2, 0.45, 0.25), (0.58, 0.62, 0.25)]

# Centre x, y, height of the underside, edge length, turn in degrees.
CRATES = [(1.15, -1.05, 0, 0.52, 20), (-0.2, 1.45, 0, 0.44, 65), (3.4, 3.35, 0, 0.8, 8), (3.45, 3.4, 0.8, 0.55, 35),
          (2.5, 3.6, 0, 0.6, -6), (-3.45, -3.4, 0, 0.75, 12), (-3.4, -3.45, 0.75, 0.6, -20), (3.55, -1.2, 0, 0.6, 30),
          (-3.55, 1.3, 0, 0.55, 15), (0.32, -0.12, 0.8, 0.2, 50)]  # fmt: skip
# Centre x, y, radius, height.
BARRELS = [(-3.35, 3.35, 0.42, 1.0), (-2.45, 3.5, 0.36, 0.85), (3.5, -0.3, 0.33, 0.8), (-1.35, 0.65, 0.27, 0.6)]
# Centre x, y, height of the underside, radius, height of the pot, leaves, length of a leaf.
POTS = [(3.3, -3.3, 0, 0.36, 0.6, 34, 0.8), (2.4, -3.5, 0, 0.26, 0.4, 22, 0.55), (-1.05, -1.2, 0, 0.22, 0.36, 24, 0.5),
        (-3.5, -0.9, 0, 0.3, 0.45, 26, 0.7), (-0.45, 0.1, 0.8, 0.11, 0.17, 18, 0.26)]  # fmt: skip
# Centre x, y, z, radius.
BALLS = [(1.25, 0.75, 0.24, 0.24), (0.1, 0.25, 0.92, 0.12), (-2.3, -3.45, 0.3, 0.3), (0.62, 0.28, 0.87, 0.07),
         (3.45, 3.4, 1.53, 0.18), (0.2, -1.5, 0.16, 0.16)]  # fmt: skip
# Centre x, y, height of the underside, radius, height.
TINS = [(0.02, -0.3, 0.8, 0.08, 0.21), (-0.2, -0.15, 0.8, 0.055, 0.3), (0.68, -0.22, 0.8, 0.065, 0.16),
        (-3.55, 1.3, 0.55, 0.1, 0.3), (3.5, -0.3, 0.8, 0.12, 0.25), (-2.45, 3.5, 0.85, 0.1, 0.34)]  # fmt: skip
# Wall (0 to 3), metres along it from its middle, height of the centre, width, height.
POSTERS = [(0, -2.2, 2.0, 1.0, 1.4), (0, 0.4, 2.3, 1.5, 1.05), (0, 2.5, 2.5, 0.8, 1.15), (1, -1.0, 2.1, 1.1, 1.5),
           (1, 1.1, 1.9, 0.8, 1.1), (2, -2.4, 2.2, 1.2, 0.9), (2, 0.1, 2.0, 0.95, 1.35), (2, 2.1, 2.4, 1.1, 1.1),
           (3, -2.0, 2.2, 1.2, 1.5), (3, 1.9, 2.0, 0.9, 1.25)]  # fmt: skip


@dataclass(frozen=True)
class Studio:
    """What painting needs: where chance comes from, and how fine the textures are."""

    rng: np.random.Generator
    detail: float  # factor of all texture sizes

    def px(self, size: float) -> int:
        return max(12, round(size * self.detail))

    def two(self, choice: list[paint.Color]) -> tuple[paint.Color, paint.Color]:
        a, b = self.rng.choice(len(choice), 2, replace=False)
        return choice[a], choice[b]


def courtyard(seed: int, detail: float = 1.0) -> World:
    """The whole scene, lit. The same seed gives the same scene, bit by bit; `detail` < 1 is coarser and faster."""
    rng = np.random.default_rng(seed)
    studio = Studio(rng, detail)
    px = studio.px
    patches = _yard(studio) + _table(studio)
    for x, y, z, edge, turn in CRATES:
        color = PAINTS[int(rng.integers(len(PAINTS)))] if rng.random() < 0.6 else PINE
        faces = [paint.crate(rng, px(288), color) for _ in range(6)]
        patches += _box((x, y, z + edge / 2), (edge / 2,) * 3, turn, faces)
    for x, y, radius, height in BARRELS:
        patches += _can(
            (x, y, 0),
            radius,
            height,
            paint.staves(rng, px(320), px(640), OAK),
            paint.planks(rng, px(160), px(160), 6, OAK),
        )
    for pot in POTS:
        patches += _plant(studio, *pot)
    for x, y, z, radius in BALLS:
        a, b = studio.two(PAINTS)
        patches.append(_round(SPHERE, (x, y, z), (radius, radius), paint.marble(rng, px(256), px(512), a, b)))
    for x, y, z, radius, height in TINS:
        a, b = studio.two(PAINTS)
        lid = paint.marble(rng, px(64), px(64), (0.75, 0.75, 0.78), (0.5, 0.5, 0.55))
        patches += _can((x, y, z), radius, height, paint.glazed(rng, px(192), px(384), a, b), lid)
    return lit_world(patches, detail)


def _yard(studio: Studio) -> list[Patch]:
    """Ground, four different walls, a door, posters."""
    rng, px = studio.rng, studio.px
    greys = [(0.62, 0.6, 0.56), (0.7, 0.66, 0.58), (0.52, 0.53, 0.54), (0.66, 0.58, 0.5), (0.58, 0.62, 0.58)]
    reds = [(0.62, 0.33, 0.25), (0.7, 0.4, 0.3), (0.52, 0.28, 0.23), (0.72, 0.48, 0.36)]
    yellows = [(0.8, 0.7, 0.5), (0.74, 0.62, 0.42), (0.66, 0.56, 0.42), (0.85, 0.77, 0.6)]
    ground = paint.stones(rng, px(1600), px(1600), px(85), greys)
    patches = [_quad((0, 0, 0), (1, 0, 0), (0, 1, 0), HALF_YARD, HALF_YARD, ground)]
    height, width = px(704), px(1280)
    textures = [
        paint.bricks(rng, height, width, px(15), reds),
        paint.plaster(rng, height, width, (0.86, 0.78, 0.62), paint.bricks(rng, height, width, px(14), reds)),
        paint.stones(rng, height, width, px(62), yellows),
        paint.plaster(rng, height, width, (0.62, 0.72, 0.74), paint.bricks(rng, height, width, px(16), yellows)),
    ]
    for wall, texture in enumerate(textures):
        patches.append(_on_wall(wall, 0, WALL_HEIGHT / 2, HALF_YARD, WALL_HEIGHT / 2, texture, 0.0))
    for wall, along, centre, across, tall in POSTERS:
        sheet = paint.poster(rng, px(260 * tall), px(260 * across))
        patches.append(_on_wall(wall, along, centre, across / 2, tall / 2, sheet, 0.012))
    patches.append(_on_wall(3, 0.0, 1.1, 0.6, 1.1, paint.planks(rng, px(480), px(264), 6, (0.3, 0.48, 0.46)), 0.03))
    return patches


def _table(studio: Studio) -> list[Patch]:
    """A table with books, and a stool."""
    rng, px = studio.rng, studio.px
    turn, height = 20.0, 0.8
    top = [paint.planks(rng, px(300), px(480), 7, OAK), *(paint.planks(rng, px(96), px(320), 9, OAK) for _ in range(5))]
    patches = _box((0, 0, height - 0.03), (0.95, 0.55, 0.03), turn, top)
    for x in (-0.85, 0.85):
        for y in (-0.45, 0.45):
            offset = _turned(turn) @ np.array([x, y, 0.0])
            legs = [paint.planks(rng, px(192), px(32), 1, WALNUT) for _ in range(6)]
            patches += _box((offset[0], offset[1], 0.37), (0.045, 0.045, 0.37), turn, legs)
    level = height
    for k, (across, deep, thick) in enumerate([(0.17, 0.12, 0.028), (0.15, 0.11, 0.02), (0.14, 0.1, 0.03)]):
        covers = [paint.poster(rng, px(180), px(256)), *(paint.poster(rng, px(48), px(256)) for _ in range(5))]
        patches += _box((-0.62, -0.35, level + thick), (across, deep, thick), 35 + 25 * k, covers)
        level += 2 * thick
    return patches + _can(
        (-0.9, 1.15, 0),
        0.2,
        0.48,
        paint.staves(rng, px(200), px(400), PINE),
        paint.planks(rng, px(128), px(128), 4, PINE),
    )


def _plant(studio: Studio, x: float, y: float, z: float, radius: float, height: float, leaves: int,
           length: float) -> list[Patch]:  # fmt: skip
    a, b = studio.two(PAINTS)
    rng, px = studio.rng, studio.px
    soil = paint.marble(rng, px(96), px(96), (0.3, 0.22, 0.16), (0.18, 0.13, 0.1))
    patches = _can((x, y, z), radius, height, paint.glazed(rng, px(224), px(480), a, b), soil)
    for k in range(leaves):
        azimuth = 2 * np.pi * (k * 0.618 + rng.uniform(0, 0.1))
        rise = np.radians(rng.uniform(25, 82))
        size = length * rng.uniform(0.6, 1.1)
        along = np.array([np.cos(azimuth) * np.cos(rise), np.sin(azimuth) * np.cos(rise), np.sin(rise)])
        across = np.cross(along, UP) / np.linalg.norm(np.cross(along, UP))
        root = np.array([x, y, z + height]) + 0.5 * radius * np.array([np.cos(azimuth), np.sin(azimuth), 0])
        color, shape = paint.leaf(rng, px(144), px(48), GREENS[int(rng.integers(len(GREENS)))])
        patches.append(_quad(root + along * size / 2, across, along, size * 0.17, size / 2, color, shape))
    return patches


def _quad(
    centre: Vector, u: Vector, v: Vector, across: float, up: float, color: paint.Texture,
    alpha: paint.Texture | None = None,
) -> Patch:  # fmt: skip
    """A rectangle with half sizes `across` along u and `up` along v."""
    axes = np.array([u, v, np.cross(u, v)], np.float64)
    return Patch(QUAD, np.asarray(centre, np.float64), axes, (across, up), color, alpha)


def _on_wall(
    wall: int, along: float, height: float, across: float, up: float, color: paint.Texture, lift: float
) -> Patch:
    """A rectangle on one of the four walls, `lift` metres in front of it, facing the yard."""
    turn = _turned(90.0 * wall)
    return _quad(turn @ np.array([along, HALF_YARD - lift, height]), turn[:, 0], UP, across, up, color)


def _round(kind: int, centre: Vector, half: tuple[float, float], color: paint.Texture) -> Patch:
    return Patch(kind, np.asarray(centre, np.float64), np.eye(3), half, color)


def _can(
    foot: tuple[float, float, float], radius: float, height: float, side: paint.Texture, lid: paint.Texture
) -> list[Patch]:
    """A standing cylinder with its upper end."""
    x, y, z = foot
    place = np.linspace(-1, 1, lid.shape[0])
    disc = (np.hypot(place[:, None], place[None]) <= 1).astype(np.float32)
    return [
        _round(CYLINDER, (x, y, z + height / 2), (radius, height / 2), side),
        _quad((x, y, z + height), (1, 0, 0), (0, 1, 0), radius, radius, lid, disc),
    ]


def _box(centre: Vector, half: tuple[float, float, float], turn_deg: float, faces: list[paint.Texture]) -> list[Patch]:
    """Six rectangles: top, bottom, then the sides; turned around the vertical."""
    turn = _turned(turn_deg)
    x, y, z = turn.T
    a, b, c = half
    sides = [(x, y, a, b, z, c), (x, -y, a, b, -z, c), (x, z, a, c, -y, b), (-x, z, a, c, y, b), (y, z, b, c, x, a),
             (-y, z, b, c, -x, a)]  # fmt: skip
    place = np.asarray(centre, np.float64)
    return [
        _quad(place + n * away, u, v, across, up, face)
        for (u, v, across, up, n, away), face in zip(sides, faces, strict=True)
    ]


def _turned(degrees: float) -> NDArray[np.float64]:
    """[3, 3] rotation around z."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]])
