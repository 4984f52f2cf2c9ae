"""Geometry of cameras: rotations and quaternions, similarity transforms, camera centres.

Matrices act on columns: x in the new frame = rotation @ x. Quaternions are wxyz. `world_to_camera` maps world points to
camera axes (OpenCV: x right, y down, z ahead).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from runner.scene.views import View

if TYPE_CHECKING:
    from torch import Tensor

Array = NDArray[np.float64]


def camera_centre(world_to_camera: Array) -> Array:
    """[3] where the camera of a matrix [3, 4] or [4, 4] is in the world: -R^T t."""
    return np.asarray(-world_to_camera[:3, :3].T @ world_to_camera[:3, 3])


def camera_positions(views: Sequence[View]) -> Array:
    """[V, 3] world positions of the cameras."""
    return np.array([camera_centre(view.world_to_camera) for view in views]).reshape(-1, 3)


def centred(points: Array) -> Array:
    """[N, 3] relative to their mean."""
    return np.asarray(points - points.mean(axis=0))


@dataclass(frozen=True)
class Similarity:
    """x -> scale * rotation @ x + translation."""

    scale: float
    rotation: Array  # [3, 3]
    translation: Array  # [3]


def similarity(points: Array, target: Array, rotation: Array | None = None) -> Similarity:
    """The similarity that brings `points` [N, 3] closest to `target` [N, 3] (Umeyama 1991).

    rotation: [3, 3] where it is known from elsewhere; None: the best one. Points that all lie in one place get scale 1.
    """
    here, there = points.mean(axis=0), target.mean(axis=0)
    if rotation is None:
        rotation = nearest_rotation(centred(target).T @ centred(points))
    turned, wanted = centred(points) @ rotation.T, centred(target)
    scale = float((turned * wanted).sum() / max((turned**2).sum(), 1e-12))
    scale = scale if scale > 1e-6 else 1.0
    return Similarity(scale, rotation, there - scale * rotation @ here)


def residuals(points: Array, target: Array, fit: Similarity) -> Array:
    """[N] distances between `target` and the transformed `points` of a fit of the two, relative to the mean distance
    of `target` from its centre."""
    wanted = centred(target)
    size = max(float(np.linalg.norm(wanted, axis=1).mean()), 1e-9)
    return np.asarray(np.linalg.norm(fit.scale * (centred(points) @ fit.rotation.T) - wanted, axis=1) / size)


def nearest_rotation(matrix: Array) -> Array:
    """[3, 3] the rotation R with the largest trace of R^T `matrix` (Kabsch 1976)."""
    u, _, vt = np.linalg.svd(matrix)
    return np.asarray(u @ np.diag([1.0, 1.0, np.sign(np.linalg.det(u @ vt))]) @ vt)


def angles_between_deg(rotations: Array, rotation: Array) -> Array:
    """[N] degrees, 0 to 180, between each of `rotations` [N, 3, 3] and `rotation` [3, 3]."""
    cosines = (np.einsum("nij,ij->n", rotations, rotation) - 1) / 2
    return np.asarray(np.degrees(np.arccos(np.clip(cosines, -1.0, 1.0))))


def rotation_between(one: Array, other: Array) -> Array:
    """[3, 3] the smallest rotation that brings unit vector `one` to `other` (Rodrigues)."""
    axis, cosine = np.cross(one, other), float(one @ other)
    if cosine < -1 + 1e-9:  # opposite: half a turn around anything across
        across = np.cross(one, np.eye(3)[int(np.argmin(np.abs(one)))])
        across /= np.linalg.norm(across)
        return np.asarray(2 * np.outer(across, across) - np.eye(3))
    x, y, z = axis
    skew = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.asarray(np.eye(3) + skew + skew @ skew / (1 + cosine))


def quaternion(rotation: Array) -> Array:
    """[4] wxyz, of length 1, of a rotation matrix [3, 3]. Divides by the largest of the four: never by nearly zero.

    Not by scipy, whose last digits differ: exported files depend on them.
    """
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


def rotation_of(quat: Array) -> Array:
    """[3, 3] of a quaternion wxyz of any length but 0."""
    return np.asarray(Rotation.from_quat(quat, scalar_first=True).as_matrix())


def quaternion_product(first: Array, quats: NDArray[np.float32]) -> Array:
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
