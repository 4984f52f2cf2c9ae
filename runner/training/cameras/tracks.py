"""What structure-from-motion saw: sparse points, and where the training cameras saw them. Holds cameras that move.

The points follow the cameras, or noisy cameras would be held where they are by points that are as wrong: once an epoch
each goes one damped Gauss-Newton step to where its sightings are explained best. So cameras and points are adjusted
together, as in a bundle adjustment by turns, with the robust loss of Huber (1964).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from runner.scene.camera_motion import Seen

HUBER_PX = 1.0  # errors up to there count by their square, larger ones by themselves
DAMPING = 1e-3  # of the mean curvature, in each direction: what two near cameras do not tell stays
NEAREST = 1e-6  # depth, world units: what is nearer is not seen


class Tracks:
    """Of T cameras; their rows are those of `seen`, in order."""

    def __init__(self, seen: Mapping[int, Seen], device: torch.device) -> None:
        each = list(seen.values())
        counts = [len(one.numbers) for one in each]
        self._begins = np.concatenate([[0], np.cumsum(counts)]).astype(int).tolist()
        cameras = np.repeat(np.arange(len(each)), counts)
        self._camera = torch.tensor(cameras, device=device)
        self._point = torch.tensor(np.concatenate([np.zeros(0, int), *(one.numbers for one in each)]), device=device)
        self._at = torch.tensor(np.concatenate([np.zeros((0, 2)), *(one.at for one in each)]), device=device)
        self._focal = torch.tensor([one.focal_px for one in each], dtype=torch.float64, device=device)

    def loss(self, row: int, pose: Tensor, points: Tensor) -> Tensor:
        """Mean Huber loss of the reprojections of one camera, in pixels of the whole picture. pose: [4, 4]."""
        mine = slice(self._begins[row], self._begins[row + 1])
        local = points[self._point[mine]] @ pose[:3, :3].T + pose[:3, 3]
        apart = self._focal[row] * (local[:, :2] / local[:, 2:].clamp_min(NEAREST) - self._at[mine])
        distance = (apart.square().sum(dim=1) + 1e-12).sqrt()
        return torch.where(distance < HUBER_PX, distance.square() / 2, HUBER_PX * (distance - HUBER_PX / 2)).mean()

    def move_points(self, points: Tensor, poses: Tensor) -> None:
        """Moves points [N, 3], in place, to where the cameras [T, 4, 4] saw them."""
        pose, focal = poses[self._camera], self._focal[self._camera, None]
        local = (pose[:, :3, :3] @ points[self._point, :, None])[..., 0] + pose[:, :3, 3]
        z = local[:, 2:].clamp_min(NEAREST)
        place = local[:, :2] / z
        apart = focal * (place - self._at)
        distance = (apart.square().sum(dim=1) + 1e-12).sqrt()
        weight = (HUBER_PX / distance).clamp_max(1.0) * (local[:, 2] > NEAREST)
        jacobian = (focal / z)[..., None] * (pose[:, :2, :3] - place[..., None] * pose[:, 2:3, :3])  # [M, 2, 3]
        weighted = weight[:, None, None] * jacobian.transpose(1, 2)
        count = len(points)
        curvature = points.new_zeros(count, 3, 3).index_add_(0, self._point, weighted @ jacobian)
        gradient = points.new_zeros(count, 3, 1).index_add_(0, self._point, weighted @ apart[..., None])
        mean = curvature.diagonal(dim1=1, dim2=2).mean(dim=1)
        damped = curvature + (DAMPING * mean + (mean == 0))[:, None, None] * torch.eye(
            3, dtype=points.dtype, device=points.device
        )
        points -= torch.linalg.solve_ex(damped, gradient)[0][..., 0]
