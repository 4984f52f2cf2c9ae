"""Gaussians and cameras as values, for tests of what is made from them."""

from __future__ import annotations

import numpy as np

from runner.scene.gaussians import Gaussians
from runner.scene.views import View


def random_splats(count: int, degree: int = 3, seed: int = 0) -> Gaussians:
    """Values in the range trained scenes have."""
    rng = np.random.default_rng(seed)

    def normal(*shape: int, spread: float = 1.0, centre: float = 0.0) -> np.ndarray:
        return rng.normal(centre, spread, shape).astype(np.float32)

    return Gaussians(
        means=normal(count, 3, spread=5),
        quats=normal(count, 4),
        log_scales=normal(count, 3, centre=-4),
        opacity_logits=normal(count, spread=3),
        sh0=normal(count, 3),
        sh_rest=normal(count, (degree + 1) ** 2 - 1, 3, spread=0.2),
    )


def ring_of_views(count: int, centre: np.ndarray, radius: float = 3.0) -> list[View]:
    """Cameras on a circle around `centre`, all looking at it."""
    views = []
    for k in range(count):
        angle = 2 * np.pi * k / count
        position = centre + radius * np.array([np.cos(angle), 0.2, np.sin(angle)])
        forward = (centre - position) / np.linalg.norm(centre - position)
        right = np.cross(forward, [0.0, -1.0, 0.0])
        right /= np.linalg.norm(right)
        rotation = np.stack([right, np.cross(forward, right), forward])
        world_to_camera = np.eye(4)
        world_to_camera[:3, :3] = rotation
        world_to_camera[:3, 3] = -rotation @ position
        K = np.array([[500.0, 0, 320], [0, 500.0, 240], [0, 0, 1]])
        views.append(View(f"a/{k}.png", "a.mp4", float(k), 640, 480, K, world_to_camera, "train"))
    return views


def some_gaussians(count: int) -> Gaussians:
    rng = np.random.default_rng(0)
    return Gaussians(
        means=rng.normal(size=(count, 3)).astype(np.float32),
        quats=rng.normal(size=(count, 4)).astype(np.float32),
        log_scales=np.full((count, 3), -3, np.float32),
        opacity_logits=np.ones(count, np.float32),
        sh0=rng.normal(size=(count, 3)).astype(np.float32),
        sh_rest=np.zeros((count, 15, 3), np.float32),
    )
