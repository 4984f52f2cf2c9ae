"""Something that turns on a plate before a camera on a tripod, in front of the courtyard of the demo or a plain wall.

Seen from what turns, the camera walks around it: its true cameras are those, and what stands still behind it is no
place at all.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from local.footage import textures as paint
from local.footage.courtyard import courtyard
from local.footage.film import TrueCamera, looking
from local.footage.movers import with_patches
from local.footage.ray_caster import CYLINDER, QUAD, SPHERE, Patch, World, packed, render

RATE_FPS = 10
EYE = np.array([1.9, 1.5, 1.75])  # metres, in the courtyard
AWAY_M, BELOW_M = 1.25, 0.35  # of the middle of what turns, before the camera
PLAIN = (205, 203, 198)  # sRGB


@dataclass(frozen=True)
class Turned:
    """One film."""

    cameras: tuple[TrueCamera, ...]  # in the frame of what turns
    pictures: tuple[NDArray[np.uint8], ...]  # [height, width, 3]
    turning: tuple[NDArray[np.bool_], ...]  # [height, width] where what turns is seen


def turned(
    size: tuple[int, int] = (640, 480), count: int = 72, degrees: float = 355.0, *, plain: bool = False,
    focal_ratio: float = 1.1,
) -> Turned:  # fmt: skip
    """The same arguments give the same pictures. degrees: how far it turns. plain: before a wall without texture."""
    place = packed([_nothing()]) if plain else _courtyard()
    things = _things()
    K = np.array([[focal_ratio * max(size), 0, size[0] / 2], [0, focal_ratio * max(size), size[1] / 2], [0, 0, 1.0]])
    still = looking(EYE, np.array([-0.2, -0.5, 1.75 - BELOW_M]))
    middle = EYE + AWAY_M * still[2, :3] * np.array([1, 1, 0]) - np.array([0, 0, BELOW_M + 0.15])
    cameras, pictures, turning = [], [], []
    for angle in np.radians(np.linspace(0, degrees, count)):
        turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1.0]])
        moved = [replace(p, centre=turn @ p.centre + middle, axes=p.axes @ turn.T) for p in things]
        picture, _ = render(with_patches(place, moved), K, still, *size)
        depth = render(packed(moved), K, still, *size)[1]
        if plain:
            picture = np.where((depth > 0)[..., None], picture, np.uint8(PLAIN))
        to_world = np.eye(4)
        to_world[:3, :3], to_world[:3, 3] = turn, middle
        cameras.append(TrueCamera(*size, K, still @ to_world))
        pictures.append(picture)
        turning.append(depth > 0)
    return Turned(tuple(cameras), tuple(pictures), tuple(turning))


@cache
def _courtyard() -> World:
    return courtyard(11, 0.6)


def _nothing() -> Patch:
    """Far behind the camera."""
    grey = np.full((12, 12, 3), 0.5, np.float32)
    return Patch(QUAD, EYE + np.array([0, 0, 50.0]), np.eye(3), (0.1, 0.1), grey)


@cache
def _things() -> list[Patch]:
    """A plate, and on it two boxes in printed paper, a tin and a ball; their middle is at the origin, metres."""
    rng = np.random.default_rng([11, 9])
    plate = paint.marble(rng, 200, 200, (0.5, 0.42, 0.36), (0.3, 0.24, 0.2))
    place = np.linspace(-1, 1, 200)
    disc = (np.hypot(place[:, None], place[None]) <= 1).astype(np.float32)
    patches = [
        Patch(QUAD, np.array([0, 0, 0.0]), np.eye(3), (0.3, 0.3), plate, disc),
        Patch(CYLINDER, np.array([0, 0, -0.02]), np.eye(3), (0.3, 0.02), paint.staves(rng, 40, 600, (0.4, 0.3, 0.2))),
    ]
    for x, y, half, turn in ((-0.06, 0.02, (0.11, 0.08, 0.16), 0.4), (0.13, -0.1, (0.06, 0.06, 0.07), 1.1)):
        c, s = np.cos(turn), np.sin(turn)
        box = np.array([[c, s, 0], [-s, c, 0], [0, 0, 1.0]])  # rows: its axes
        for axis in range(3):
            for sign in (1.0, -1.0):
                n = sign * box[axis]
                v = box[2] if axis < 2 else box[1]
                u = np.cross(v, n)
                across, up = (half[1 - axis] if axis < 2 else half[0]), (half[2] if axis < 2 else half[1])
                centre = np.array([x, y, half[2]]) + n * half[axis]
                sheet = paint.poster(rng, 220, 220)
                patches.append(Patch(QUAD, centre, np.array([u, v, n]), (across, up), sheet))
    tin = paint.glazed(rng, 128, 320, (0.8, 0.3, 0.2), (0.9, 0.8, 0.4))
    patches.append(Patch(CYLINDER, np.array([0.12, 0.14, 0.09]), np.eye(3), (0.055, 0.09), tin))
    ball = paint.marble(rng, 128, 256, (0.2, 0.4, 0.7), (0.85, 0.85, 0.8))
    patches.append(Patch(SPHERE, np.array([-0.12, -0.17, 0.07]), np.eye(3), (0.07, 0.07), ball))
    return patches
