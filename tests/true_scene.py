"""The courtyard as training sees it, with true cameras: for tests and benchmarks without structure-from-motion.

Sparse points are places on true surfaces, seen by the views whose depth agrees, moved by the noise that a good sparse
model has. The exposure may drift within clips and jump between them, as phones let it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from local.footage.courtyard import courtyard
from local.footage.film import SHOTS, TrueCamera, film
from local.footage.ray_caster import render
from runner.dataset.holdout import assign_split
from runner.scene.views import TrainingScene, View

DRIFT = {0: (1.0, 0.6), 1: (1.5, 1.0), 2: (0.7, 1.2)}  # by clip: gain of the light at its start and its end
NOISE_PX = 0.5  # standard deviation of a point's place, as the camera that gave it sees it
DEPTH_AGREES = 0.02  # of the depth: a view that differs by more sees another surface
SIGHTING_PX = 0.3  # standard deviation of where each view saw it, about where its place is in that view
SEEN_BY = 3  # views at least, or it is no point of a sparse model


def true_scene(
    *, size: tuple[int, int] = (480, 272), per_clip: int = 24, points: int = 9000, seed: int = 11, detail: float = 1.0
) -> TrainingScene:
    """size: pixels of a landscape image. per_clip: images of each of the clips. Same arguments, same scene."""
    world, rng = courtyard(seed, detail), np.random.default_rng([seed, 2])
    cameras: list[TrueCamera] = []
    timeline: list[tuple[str, float]] = []
    for shot in SHOTS:
        cameras += film(shot, rng, size, 6, per_clip)
        timeline += [(shot.video, index / 6) for index in range(per_clip)]
    drawn = [render(world, c.K, c.world_to_camera, c.width, c.height) for c in cameras]
    depths = [depth for _, depth in drawn]
    places, colors = true_points(rng, cameras, drawn, points)
    seen_by = np.stack([sees(c, depth, places) for c, depth in zip(cameras, depths, strict=True)])  # [V, N]
    kept = seen_by.sum(axis=0) >= SEEN_BY
    views = tuple(
        View(f"{video}/{index:06d}.png", video, time_s, c.width, c.height, c.K, c.world_to_camera, split)
        for index, (c, (video, time_s), split) in enumerate(zip(cameras, timeline, assign_split(timeline), strict=True))
    )
    sightings = np.argwhere(seen_by[:, kept]).astype(np.int32)
    return TrainingScene(
        views,
        tuple(image for image, _ in drawn),
        points=places[kept].astype(np.float32),
        colors=colors[kept],
        point_errors=np.full(int(kept.sum()), NOISE_PX, np.float32),
        track_lengths=seen_by[:, kept].sum(axis=0).astype(np.int32),
        sightings=sightings,
        seen_at=_seen_at(views, places[kept], sightings, np.random.default_rng([seed, 3])),
    )


def _seen_at(
    views: tuple[View, ...], places: NDArray[np.float64], sightings: NDArray[np.int32], rng: np.random.Generator
) -> NDArray[np.float32]:
    """[M, 2] of each sighting, in the plane one unit before the camera."""
    found = np.zeros((len(sightings), 2), np.float32)
    for index, view in enumerate(views):
        mine = sightings[:, 0] == index
        local = places[sightings[mine, 1]] @ view.world_to_camera[:3, :3].T + view.world_to_camera[:3, 3]
        found[mine] = local[:, :2] / local[:, 2:] + rng.normal(0, SIGHTING_PX / view.K[0, 0], (len(local), 2))
    return found


def drifting(scene: TrainingScene, gains: Mapping[int, tuple[float, float]] = DRIFT) -> TrainingScene:
    """The same scene filmed with another exposure. gains: of the light, by clip, at its start and its end."""
    clips = sorted({view.video for view in scene.views})
    pixels = []
    for view, image in zip(scene.views, scene.pixels, strict=True):
        times = [other.timestamp_s for other in scene.views if other.video == view.video]
        gain = np.interp(view.timestamp_s, (min(times), max(times)), gains[clips.index(view.video)])
        pixels.append(exposed(image, float(gain)))
    return replace(scene, pixels=tuple(pixels))


def exposed(image: NDArray[np.uint8], gain: float) -> NDArray[np.uint8]:
    """A image [H, W, 3] with `gain` times the light, in the approximation sRGB = light^(1/2.2)."""
    return np.clip(np.rint(image * gain ** (1 / 2.2)), 0, 255).astype(np.uint8)


def true_points(
    rng: np.random.Generator, cameras: list[TrueCamera],
    drawn: list[tuple[NDArray[np.uint8], NDArray[np.float32]]], count: int,
) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:  # fmt: skip
    """World places [N, 3] and colours [N, 3] of random pixels of all images."""
    places, colors = [], []
    for camera, (image, depth) in zip(cameras, drawn, strict=True):
        number = -(-count // len(cameras))
        row, column = rng.integers(camera.height, size=number), rng.integers(camera.width, size=number)
        hit = depth[row, column] > 0
        row, column = row[hit], column[hit]
        z = depth[row, column].astype(np.float64)
        noise = rng.normal(0, NOISE_PX, (2, len(z)))
        x = (column + 0.5 + noise[0] - camera.K[0, 2]) / camera.K[0, 0] * z
        y = (row + 0.5 + noise[1] - camera.K[1, 2]) / camera.K[1, 1] * z
        pose = camera.world_to_camera
        places.append((np.stack([x, y, z], axis=1) - pose[:3, 3]) @ pose[:3, :3])
        colors.append(image[row, column])
    return np.concatenate(places), np.concatenate(colors)


def sees(camera: TrueCamera, depth: NDArray[np.float32], places: NDArray[np.float64]) -> NDArray[np.bool_]:
    """[N] whether each place is inside the image and not behind something."""
    x, y, z = (places @ camera.world_to_camera[:3, :3].T + camera.world_to_camera[:3, 3]).T
    ahead = np.where(z > 0.05, z, np.inf)
    column = np.floor(camera.K[0, 0] * x / ahead + camera.K[0, 2]).astype(int)
    row = np.floor(camera.K[1, 1] * y / ahead + camera.K[1, 2]).astype(int)
    inside = (z > 0.05) & (column >= 0) & (column < camera.width) & (row >= 0) & (row < camera.height)
    found = depth[row.clip(0, camera.height - 1), column.clip(0, camera.width - 1)]
    return inside & (np.abs(found - z) < DEPTH_AGREES * np.maximum(z, 0.05))
