"""What moves while somebody films: people who walk, water, a screen that plays a film. For the courtyard of the demo.

None of it is lit by the sun or casts a shadow: it is shaded once, and joined with a lit world for each frame.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from local.footage import textures as paint
from local.footage.ray_caster import CYLINDER, QUAD, SPHERE, Patch, World, packed

STEP_M = 0.7  # of a person who walks
SHIRTS = [(0.85, 0.25, 0.2), (0.2, 0.45, 0.8), (0.95, 0.8, 0.3), (0.35, 0.65, 0.4), (0.8, 0.5, 0.7), (0.9, 0.9, 0.88)]
TROUSERS = [(0.2, 0.22, 0.3), (0.3, 0.28, 0.24), (0.16, 0.16, 0.17), (0.35, 0.42, 0.55)]
SKINS = [(0.9, 0.72, 0.6), (0.72, 0.52, 0.4), (0.48, 0.33, 0.25)]


@dataclass(frozen=True)
class Person:
    """How somebody looks; where they are is told for each frame."""

    shirt: paint.Texture
    trousers: paint.Texture
    skin: paint.Texture
    hair: paint.Texture
    sleeves: paint.Texture


def person(seed: int) -> Person:
    """Somebody in printed clothes: features are found on them as on a wall. The same seed is the same person."""
    rng = np.random.default_rng([seed, 3])
    main, other = rng.choice(len(SHIRTS), 2, replace=False)
    shirt = paint.glazed(rng, 160, 256, SHIRTS[main], SHIRTS[other])
    trousers = paint.marble(rng, 128, 96, TROUSERS[seed % len(TROUSERS)], TROUSERS[(seed + 1) % len(TROUSERS)])
    skin = paint.grained(rng, np.full((48, 48, 3), SKINS[seed % len(SKINS)], np.float32), 0.05)
    hair = paint.marble(rng, 48, 48, (0.25, 0.17, 0.1), (0.12, 0.09, 0.07))
    sleeves = paint.marble(rng, 96, 64, SHIRTS[main], SHIRTS[other])
    return Person(*(_shaded(texture) for texture in (shirt, trousers, skin, hair, sleeves)))


def walking(someone: Person, x: float, y: float, heading: float, walked_m: float) -> list[Patch]:
    """Somebody at (x, y) who looks along `heading` (radians) and has walked so far, which moves arms and legs."""
    ahead = np.array([np.cos(heading), np.sin(heading), 0.0])
    left = np.array([-ahead[1], ahead[0], 0.0])
    up = np.array([0.0, 0.0, 1.0])
    foot = np.array([x, y, 0.0])
    swing = 0.45 * np.sin(np.pi * walked_m / STEP_M)

    def limb(side: float, top: float, length: float, radius: float, angle: float, color: paint.Texture) -> Patch:
        along = np.cos(angle) * up - np.sin(angle) * ahead  # from its end to the joint
        middle = foot + side * left + top * up - length / 2 * along
        across = np.cross(left, along)
        return Patch(CYLINDER, middle, np.array([across, left, along]), (radius, length / 2), color)

    def ball(z: float, radius: float, color: paint.Texture, shift: float = 0.0) -> Patch:
        return Patch(SPHERE, foot + z * up + shift * ahead, np.array([ahead, left, up]), (radius, radius), color)

    return [
        limb(0.1, 0.9, 0.9, 0.085, swing, someone.trousers),
        limb(-0.1, 0.9, 0.9, 0.085, -swing, someone.trousers),
        limb(0.25, 1.42, 0.62, 0.055, -swing, someone.sleeves),
        limb(-0.25, 1.42, 0.62, 0.055, swing, someone.sleeves),
        limb(0.0, 1.42, 0.6, 0.2, 0.0, someone.shirt),
        ball(0.88, 0.19, someone.trousers),
        ball(1.4, 0.2, someone.sleeves),
        ball(1.63, 0.12, someone.skin),
        ball(1.66, 0.125, someone.hair, -0.025),
    ]


def water(rng_seed: int, time_s: float, centre: Sequence[float], half: tuple[float, float]) -> Patch:
    """A pool, level, `half` metres to each side, whose waves run across it and through each other."""
    rng = np.random.default_rng([rng_seed, 4])
    rows, columns = 240, round(240 * half[0] / half[1])
    y, x = np.mgrid[0 : 2 * half[1] : rows * 1j, 0 : 2 * half[0] : columns * 1j]
    height = np.zeros((rows, columns))
    for _ in range(14):
        direction, length = rng.uniform(0, 2 * np.pi), rng.uniform(0.12, 0.7)
        wave = 2 * np.pi / length
        speed = np.sqrt(9.81 * wave)  # of deep water: radians per second
        height += length * np.sin(wave * (x * np.cos(direction) + y * np.sin(direction)) - speed * time_s)
    shine = np.clip(0.5 + height / height.std() * 0.28, 0, 1)[..., None] ** 1.6
    color = (1 - shine) * np.array([0.08, 0.22, 0.28]) + shine * np.array([0.7, 0.85, 0.95])
    return Patch(QUAD, np.asarray(centre, np.float64), np.eye(3), half, color.astype(np.float32))


def screen(frame: NDArray[np.uint8], centre: Sequence[float], axes: NDArray[np.float64],
           half: tuple[float, float]) -> Patch:  # fmt: skip
    """A screen that shows a picture [H, W, 3]. axes: rows right, up, out of the picture."""
    return Patch(QUAD, np.asarray(centre, np.float64), axes, half, (frame / 255).astype(np.float32))


def with_patches(world: World, patches: Iterable[Patch]) -> World:
    """The world, and these patches as they are: their textures are already as bright as they look."""
    more = packed(list(patches))
    deepest = max(world.levels.shape[1], more.levels.shape[1])
    shifted = more.levels + np.array([len(world.texels), 0, 0])
    return replace(
        world,
        shapes=np.concatenate([world.shapes, more.shapes]),
        levels=np.concatenate([_deepened(world.levels, deepest), _deepened(shifted, deepest)]),
        texels=np.concatenate([world.texels, more.texels]),
        densities=np.concatenate([world.densities, more.densities]),
    )


def _deepened(levels: NDArray[np.int64], deepest: int) -> NDArray[np.int64]:
    return np.concatenate([levels, *[levels[:, -1:]] * (deepest - levels.shape[1])], axis=1)


def _shaded(texture: paint.Texture) -> paint.Texture:
    """Darker on one side and at the foot, as things in the open are."""
    height, width = texture.shape[:2]
    around = 0.82 + 0.22 * np.cos(2 * np.pi * (np.arange(width) / width - 0.1))
    down = np.linspace(1.0, 0.85, height)
    shaded: paint.Texture = np.clip(texture * (down[:, None] * around[None])[..., None], 0, 1).astype(np.float32)
    return shaded
