"""The courtyard while something moves in it: people who walk by, a companion, water, a screen that shows a film.

Every frame is drawn three times over: as filmed, without what moves, and which pixels differ. So the cameras, what the
place looks like, and what a mask should hold are all known.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from local.footage.courtyard import courtyard
from local.footage.film import SHOTS, TrueCamera, film
from local.footage.movers import Person, person, screen, walking, water, with_patches
from local.footage.ray_caster import Patch, World, render
from runner.dataset.holdout import assign_split
from runner.scene.views import TrainingScene, View
from tests.true_scene import NOISE_PX, SEEN_BY, sees, true_points

RATE_FPS = 6
LEAST_DIFFERENCE = 6  # of 255, in one channel: less is not seen as moving
Movers = Callable[[int, TrueCamera], list[Patch]]  # of a frame: its number and camera


@dataclass(frozen=True)
class Filmed:
    """One clip."""

    cameras: tuple[TrueCamera, ...]
    pictures: tuple[NDArray[np.uint8], ...]  # as filmed
    clean: tuple[NDArray[np.uint8], ...]  # without what moves
    depths: tuple[NDArray[np.float32], ...]  # of the clean ones
    moving: tuple[NDArray[np.bool_], ...]  # where they differ

    @property
    def share(self) -> float:
        """Of all pixels: how much moves."""
        return float(np.mean([mask.mean() for mask in self.moving]))


@cache
def place(detail: float) -> World:
    """The courtyard that is filmed."""
    return courtyard(11, detail)


def filmed(kind: str, size: tuple[int, int] = (640, 480), count: int = 36, detail: float = 0.6) -> Filmed:
    """A walk of 110 degrees around the table. kind: of MOVERS. The same arguments give the same pictures."""
    world = place(detail)
    cameras = film(SHOTS[0], np.random.default_rng([11, 5]), size, RATE_FPS, count)
    pictures, clean, depths = [], [], []
    for number, camera in enumerate(cameras):
        image, depth = _drawn(world, camera)
        patches = MOVERS[kind](number, camera)
        pictures.append(_drawn(with_patches(world, patches), camera)[0] if patches else image)
        clean.append(image)
        depths.append(depth)
    moving = [
        (np.abs(one.astype(int) - other) >= LEAST_DIFFERENCE).any(axis=-1)
        for one, other in zip(pictures, clean, strict=True)
    ]
    return Filmed(*(tuple(values) for values in (cameras, pictures, clean, depths, moving)))


def training_scene(seen: Filmed, points: int = 6000, *, clean: bool = False) -> TrainingScene:
    """What training gets of it when its cameras are right: points on what stands still, pixels as filmed (or clean)."""
    rng = np.random.default_rng([11, 6])
    cameras = list(seen.cameras)
    places, colors = true_points(rng, cameras, list(zip(seen.clean, seen.depths, strict=True)), points)
    seen_by = np.stack(
        [
            sees(camera, depth, places) & ~_within(camera, mask, places)
            for camera, depth, mask in zip(cameras, seen.depths, seen.moving, strict=True)
        ]
    )  # [V, N]
    kept = seen_by.sum(axis=0) >= SEEN_BY
    timeline = [("a.mp4", number / RATE_FPS) for number in range(len(cameras))]
    views = tuple(
        View(f"a/{number:06d}.png", video, time_s, c.width, c.height, c.K, c.world_to_camera, split)
        for number, (c, (video, time_s), split) in enumerate(
            zip(cameras, timeline, assign_split(timeline), strict=True)
        )
    )
    return TrainingScene(
        views, seen.clean if clean else seen.pictures,
        points=places[kept].astype(np.float32), colors=colors[kept],
        point_errors=np.full(int(kept.sum()), NOISE_PX, np.float32),
        track_lengths=seen_by[:, kept].sum(axis=0).astype(np.int32),
        sightings=np.argwhere(seen_by[:, kept]).astype(np.int32),
    )  # fmt: skip


def _drawn(world: World, camera: TrueCamera) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    return render(world, camera.K, camera.world_to_camera, camera.width, camera.height)


def _within(camera: TrueCamera, mask: NDArray[np.bool_], places: NDArray[np.float64]) -> NDArray[np.bool_]:
    """[N] whether something moves before each place."""
    x, y, z = (places @ camera.world_to_camera[:3, :3].T + camera.world_to_camera[:3, 3]).T
    ahead = np.where(z > 0.05, z, np.inf)
    column = np.floor(camera.K[0, 0] * x / ahead + camera.K[0, 2]).astype(int).clip(0, camera.width - 1)
    row = np.floor(camera.K[1, 1] * y / ahead + camera.K[1, 2]).astype(int).clip(0, camera.height - 1)
    return (z > 0.05) & mask[row, column]


# What moves


def _before(camera: TrueCamera, ahead_m: float, right_m: float) -> tuple[float, float, float]:
    """A place on the ground before a camera, and the direction in which the camera looks, in radians."""
    rotation = camera.world_to_camera[:3, :3]
    eye = -rotation.T @ camera.world_to_camera[:3, 3]
    forward = rotation[2, :2] / np.linalg.norm(rotation[2, :2])
    x, y = eye[:2] + ahead_m * forward + right_m * np.array([forward[1], -forward[0]])
    return float(x), float(y), float(np.arctan2(forward[1], forward[0]))


@cache
def _someone(seed: int) -> Person:
    return person(seed)


def crossing(*ways: tuple[float, float, float]) -> Movers:
    """People who cross the picture. ways: of each the distance from the camera in metres, metres per second to the
    right (negative: to the left), and where in its way it is at the beginning, 0 to 1."""

    def movers(number: int, camera: TrueCamera) -> list[Patch]:
        patches = []
        for who, (ahead_m, speed, start) in enumerate(ways):
            half = 0.85 * ahead_m  # of the way: a little more than the camera sees
            walked = number / RATE_FPS * abs(speed)
            side = (start + walked / (2 * half)) % 1 * 2 * half - half
            x, y, looks = _before(camera, ahead_m, side if speed > 0 else -side)
            patches += walking(_someone(who + 1), x, y, looks - np.sign(speed) * np.pi / 2, walked)
        return patches

    return movers


def companion(number: int, camera: TrueCamera) -> list[Patch]:
    """Somebody who walks along, always at the same place of the picture: as still in it as a stamp."""
    x, y, looks = _before(camera, 1.5, -0.45)
    return walking(_someone(4), x, y, looks + np.pi / 2, number / RATE_FPS * 0.9)


def pool(number: int, camera: TrueCamera) -> list[Patch]:
    """Water that covers the ground around the table, with waves."""
    return [water(1, number / RATE_FPS, (0.0, 0.0, 0.012), (2.1, 2.1))]


def television(number: int, camera: TrueCamera) -> list[Patch]:
    """Two screens that show a film of another courtyard, by a camera that moves: a rigid place, and another one."""
    there = film(SHOTS[2], np.random.default_rng([11, 7]), (320, 180), RATE_FPS, 36)[number % 36]
    frame = render(_elsewhere(), there.K, there.world_to_camera, 320, 180)[0]
    up = np.array([0.0, 0.0, 1.0])
    left = np.array([[0, 1.0, 0], up, [1.0, 0, 0]])  # on the wall at x = -4
    near = np.array([[-1.0, 0, 0], up, [0, 1.0, 0]])  # on the wall at y = -4
    return [screen(frame, (-3.9, 0.2, 1.9), left, (1.9, 1.07)), screen(frame, (0.2, -3.9, 1.9), near, (1.9, 1.07))]


@cache
def _elsewhere() -> World:
    return courtyard(5, 0.25)


MOVERS: Mapping[str, Movers] = {
    "nobody": lambda number, camera: [],
    "people-10": crossing((1.9, 0.9, 0.1)),
    "people-25": crossing((1.8, 0.9, 0.1), (2.2, -0.7, 0.4), (2.6, 0.8, 0.7)),
    "people-40": crossing((1.4, 0.9, 0.1), (1.6, -0.7, 0.4), (1.8, 0.8, 0.75)),
    "companion": companion,
    "water": pool,
    "screen": television,
}
