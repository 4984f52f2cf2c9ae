"""Small motions of a camera: exp(xi) @ world_to_camera, xi = (rotation, translation) in its own axes, in pixels.

How far a motion moves the picture depends on the depth of what is seen, and a turn to the side is nearly a step to the
side. So motions are measured by what they do to the sparse points that the camera saw: the unit is one pixel, root mean
square over these, in each of six directions that do not mix.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from runner.scene.views import TrainingScene

LEAST_POINTS = 20  # seen by a camera; fewer do not hold it
WEAKEST = 1e-2  # of the strongest direction's effect, squared: one with less counts as if it had so much


@dataclass(frozen=True)
class Seen:
    """The sparse points that a camera saw, n of them."""

    numbers: NDArray[np.int64]  # [n] of the points
    at: NDArray[np.float64]  # [n, 2] in the plane one unit before the camera
    focal_px: float
    motions: NDArray[np.float64]  # [6, 6] xi = motions @ (six numbers in pixels)


def seen_by(scene: TrainingScene, view: int) -> Seen | None:
    """None: it is not known where the camera saw them, or it saw too few to hold it."""
    if not len(scene.seen_at):
        return None
    mine = scene.sightings[:, 0] == view
    numbers, at = scene.sightings[mine, 1].astype(np.int64), scene.seen_at[mine].astype(np.float64)
    points = scene.points[numbers].astype(np.float64)
    pose, K = scene.views[view].world_to_camera, scene.views[view].K
    local = points @ pose[:3, :3].T + pose[:3, 3]
    ahead = (local[:, 2] > 1e-6) & np.isfinite(local).all(axis=1) & np.isfinite(at).all(axis=1)
    if ahead.sum() < LEAST_POINTS:
        return None
    focal_px = float(K[0, 0] + K[1, 1]) / 2
    return Seen(numbers[ahead], at[ahead], focal_px, _motions(local[ahead], focal_px))


def _motions(local: NDArray[np.float64], focal_px: float) -> NDArray[np.float64]:
    """local: [n, 3] points in the camera's axes."""
    x, y, z = local.T
    one, none = np.ones_like(x), np.zeros_like(x)
    turned = np.stack([none, z, -y, -z, none, x, y, -x, none], axis=1).reshape(-1, 3, 3)  # d(xi x point) / d(rotation)
    depth = float(np.median(z))
    moved = np.concatenate([turned, np.broadcast_to(np.eye(3) * depth, turned.shape)], axis=2)  # [n, 3, 6]
    lens = np.stack([one, none, -x / z, none, one, -y / z], axis=1).reshape(-1, 2, 3) * (focal_px / z)[:, None, None]
    jacobian = lens @ moved  # [n, 2, 6] pixels
    squares, directions = np.linalg.eigh(np.einsum("nij,nik->jk", jacobian, jacobian) / len(local))
    scaled = directions / np.sqrt(np.maximum(squares, WEAKEST * squares[-1]))
    return np.asarray(scaled * np.array([1, 1, 1, depth, depth, depth])[:, None])


def exponential(xi: Tensor) -> Tensor:
    """[..., 4, 4] exp(xi) of xi [..., 6], differentiable; by its series in the angle, exact to 1e-9 up to 0.3 rad.

    Reads nothing back from the device.
    """
    a, b, c = xi[..., :3].unbind(-1)
    zero = torch.zeros_like(a)
    skew = torch.stack([zero, -c, b, c, zero, -a, -b, a, zero], dim=-1).unflatten(-1, (3, 3))
    square = skew @ skew
    angle2 = xi[..., :3].square().sum(dim=-1)[..., None, None]
    eye = torch.eye(3, dtype=xi.dtype, device=xi.device)
    sine = 1 - angle2 / 6 * (1 - angle2 / 20 * (1 - angle2 / 42))
    cosine = (1 - angle2 / 12 * (1 - angle2 / 30 * (1 - angle2 / 56))) / 2
    third = (1 - angle2 / 20 * (1 - angle2 / 42 * (1 - angle2 / 72))) / 6
    rotation = eye + sine * skew + cosine * square
    translation = (eye + cosine * skew + third * square) @ xi[..., 3:, None]
    top = torch.cat([rotation, translation], dim=-1)
    below = torch.eye(4, dtype=xi.dtype, device=xi.device)[3:].expand_as(top[..., :1, :])
    return torch.cat([top, below], dim=-2)
