"""A scene made larger or smaller as a whole, about the origin: its images stay the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from runner.scene.gaussians import Gaussians
from runner.scene.views import TrainingScene, View


def resize_gaussians(gaussians: Gaussians, factor: float) -> Gaussians:
    """The Gaussians in a world where point x is at factor * x. Directions, opacities and colours stay the same."""
    return replace(
        gaussians,
        means=(gaussians.means * factor).astype(np.float32),
        log_scales=(gaussians.log_scales + np.log(factor)).astype(np.float32),
    )


def resize_views(views: Sequence[View], factor: float) -> tuple[View, ...]:
    """The cameras of that world: each sees what it saw before."""
    by = np.ones((4, 4))
    by[:3, 3] = factor  # of the last column: where the origin is, seen from the camera
    return tuple(replace(view, world_to_camera=view.world_to_camera * by) for view in views)


def resize_scene(scene: TrainingScene, factor: float) -> TrainingScene:
    """Cameras and points of that world; the pixels are shared, not copied."""
    points = (scene.points * factor).astype(np.float32)
    return replace(scene, views=resize_views(scene.views, factor), points=points)
