"""Geometry of cameras: rotations, similarity transforms, camera centres."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from runner.scene.views import View

if TYPE_CHECKING:
    from torch import Tensor


def camera_positions(views: tuple[View, ...] | list[View]) -> NDArray[np.float64]:
    """[V, 3] world positions of the cameras."""
    return np.array([-view.world_to_camera[:3, :3].T @ view.world_to_camera[:3, 3] for view in views])


def centred(points: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(points - points.mean(axis=0))


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


def quaternion(rotation: NDArray[np.float64]) -> NDArray[np.float64]:
    """[4] wxyz, of length 1, of a rotation matrix [3, 3]. Divides by the largest of the four: never by nearly zero."""
    (a, b, c), (d, e, f), (g, h, i) = rotation
    squares = np.array([1 + a + e + i, 1 + a - e - i, 1 - a + e - i, 1 - a - e + i])  # 4 x each component squared
    rows = np.array(
        [
            [squares[0], h - f, c - g, d - b],
            [h - f, squares[1], b + d, c + g],
            [c - g, b + d, squares[2], f + h],
            [d - b, c + g, f + h, squares[3]],
        ]
    )
    row = rows[int(np.argmax(squares))]
    return np.asarray(row / np.linalg.norm(row))


def quaternion_product(first: NDArray[np.float64], quats: NDArray[np.float32]) -> NDArray[np.float64]:
    """[N, 4] `first` [4] times each of `quats` [N, 4], all wxyz: the rotation of `quats`, then that of `first`."""
    w, x, y, z = first
    left = np.array([[w, -x, -y, -z], [x, w, -z, y], [y, z, w, -x], [z, -y, x, w]])
    return np.asarray(quats @ left.T)


def rotation_matrices(quats: Tensor) -> Tensor:
    """[N, 3, 3] from quaternions [N, 4] wxyz of any length, differentiable. Imports torch when it is called."""
    import torch

    w, x, y, z = torch.nn.functional.normalize(quats, dim=-1).unbind(-1)
    rows = [
        1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
        2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
        2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y),
    ]  # fmt: skip
    return torch.stack(rows, -1).reshape(-1, 3, 3)
