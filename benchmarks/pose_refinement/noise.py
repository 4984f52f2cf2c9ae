"""Scenes whose cameras are wrong by so much, and how wrong cameras are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy.spatial.transform import Rotation

from runner.scene.geometry import (
    angles_between_deg,
    camera_centre,
    camera_positions,
    centred,
    nearest_rotation,
    residuals,
    similarity,
)
from runner.scene.views import TrainingScene, View

NOISE: dict[str, tuple[float, float]] = {
    "as found": (0.0, 0.0),
    "0.5 %, 0.2 deg": (0.005, 0.2),
    "1 %, 0.5 deg": (0.01, 0.5),
}
"""Root mean square of the places (of the mean distance from the cameras' middle) and of the angles."""
POINT_ERROR_PX = 0.5  # that the new points say: none is left out for what the cameras do


def noisy(scene: TrainingScene, noise: str, seed: int) -> TrainingScene:
    """All cameras moved and turned at random, and the sparse points where the moved cameras' rays meet best."""
    share, deg = NOISE[noise]
    if not share:
        return scene
    rng, centres = np.random.default_rng([seed, 77]), camera_positions(scene.views)
    size = float(np.linalg.norm(centred(centres), axis=1).mean())
    views = []
    for view, centre in zip(scene.views, centres, strict=True):
        turn = Rotation.from_rotvec(rng.normal(size=3) * np.radians(deg) / 3**0.5).as_matrix()
        pose = np.eye(4)
        pose[:3, :3] = turn @ view.world_to_camera[:3, :3]
        pose[:3, 3] = -pose[:3, :3] @ (centre + rng.normal(size=3) * share * size / 3**0.5)
        views.append(replace(view, world_to_camera=pose))
    return _triangulated(replace(scene, views=tuple(views)))


def _triangulated(scene: TrainingScene) -> TrainingScene:
    """Each point where the sum of squared distances to its rays is least."""
    count = len(scene.points)
    across, moments = np.zeros((count, 3, 3)), np.zeros((count, 3))
    for index, view in enumerate(scene.views):
        mine = scene.sightings[:, 0] == index
        numbers, at = scene.sightings[mine, 1], scene.seen_at[mine].astype(np.float64)
        rays = np.concatenate([at, np.ones((len(at), 1))], axis=1) @ view.world_to_camera[:3, :3]
        rays /= np.linalg.norm(rays, axis=1)[:, None]
        away = np.eye(3) - rays[:, :, None] * rays[:, None, :]
        np.add.at(across, numbers, away)
        np.add.at(moments, numbers, away @ camera_centre(view.world_to_camera))
    points = np.linalg.solve(across + 1e-9 * np.eye(3), moments[..., None])[..., 0]
    errors = np.full(count, POINT_ERROR_PX, np.float32)
    return replace(scene, points=points.astype(np.float32), point_errors=errors)


def camera_error(views: Sequence[View], truth: Sequence[View]) -> tuple[float, float]:
    """Medians over the views, after the best similarity: places in % of the mean distance from the middle, degrees."""
    here, there = camera_positions(views), camera_positions(truth)
    turns = np.array([
        one.world_to_camera[:3, :3].T @ other.world_to_camera[:3, :3] for one, other in zip(truth, views, strict=True)
    ])  # fmt: skip
    shares = residuals(here, there, similarity(here, there))
    angles = angles_between_deg(turns, nearest_rotation(turns.sum(axis=0)))
    return 100 * float(np.median(shares)), float(np.median(angles))
