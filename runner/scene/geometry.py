"""Geometry of cameras: rotations, similarity transforms, camera centres."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from runner.scene.views import View


def camera_positions(views: tuple[View, ...] | list[View]) -> NDArray[np.float64]:
    """[V, 3] world positions of the cameras."""
    return np.array([-view.world_to_camera[:3, :3].T @ view.world_to_camera[:3, 3] for view in views])


def centred(points: NDArray[np.float64]) -> NDArray[np.float64]:
    return points - points.mean(axis=0)


def rotation_between(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """[3, 3] the smallest rotation that brings unit vector `one` to `other` (Rodrigues)."""
    axis, cosine = np.cross(one, other), float(one @ other)
    if cosine < -1 + 1e-9:  # opposite: half a turn around anything across
        across = np.cross(one, np.eye(3)[int(np.argmin(np.abs(one)))])
        across /= np.linalg.norm(across)
        return 2 * np.outer(across, across) - np.eye(3)
    x, y, z = axis
    skew = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.asarray(np.eye(3) + skew + skew @ skew / (1 + cosine))
