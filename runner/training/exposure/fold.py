"""What of the exposures depends on the place goes into the view-dependent colours of the finished scene.

A camera that turns to a window darkens whenever somebody looks there, so a new picture from there would be dark, too.
A scene of one exposure is right about the place and wrong about such pictures. So each Gaussian's colour is multiplied,
in the directions from which the training images saw it, by a part of their gains, as far as a few smooth functions of
the direction can hold it: jumps from picture to picture cannot, and stay out. Which part it is depends on the footage
(evidence.py). An exposure is one number for the whole picture, so pictures have a say in Gaussians outside them, too:
without that each Gaussian follows its own few pictures, and a new picture is brighter here and darker there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from runner.scene.gaussians import Gaussians
from runner.scene.spherical_harmonics import sh_basis
from runner.scene.views import View, evenly

MAX_VIEWS = 64  # evenly chosen: more change what three degrees can hold by little
OUTSIDE = 0.2  # weight of a view whose frustum does not hold the Gaussian
MARGIN = 1.1  # of the half picture: Gaussians whose centre is just outside still colour the border
CHUNK = 4096  # Gaussians at a time
RIDGE = (0.02, 0.2, 0.8, 1.8)  # views that say "no change", by degree: what few directions say stays small


@torch.no_grad()
def fold(
    gaussians: Gaussians, views: Sequence[View], log_gains: NDArray[np.float64], part: float, device: torch.device
) -> Gaussians:
    """The same scene, in each view [T] brighter by a part of its log gains [T, 3], as far as its colours can hold that.

    Least squares over the views, above all those whose frustum holds a Gaussian; held to its present colour by RIDGE.
    """
    chosen = evenly(range(len(views)), MAX_VIEWS)
    cameras = [_camera(views[index], device) for index in chosen]
    gains = torch.exp(part * torch.tensor(log_gains[chosen], dtype=torch.float32, device=device)) - 1  # [T, 3]
    degree = gaussians.sh_degree
    held = torch.cat([torch.full((2 * order + 1,), RIDGE[order], device=device) for order in range(degree + 1)])
    sh = np.concatenate([gaussians.sh0[:, None], gaussians.sh_rest], axis=1)  # [N, K, 3]
    for begin in range(0, gaussians.count, CHUNK):
        rows = slice(begin, begin + CHUNK)
        means = torch.from_numpy(gaussians.means[rows]).to(device)
        own = torch.from_numpy(sh[rows]).to(device)
        seen, basis = zip(*(_seen(means, camera, degree) for camera in cameras), strict=True)
        Y, weights = torch.stack(basis, dim=1), torch.stack(seen, dim=1)  # [n, T, K], [n, T]
        colours = (0.5 + Y @ own).clamp_min(0)  # [n, T, 3]
        weighted = Y * weights[..., None]
        left = weighted.transpose(1, 2) @ Y + torch.diag(held)
        right = weighted.transpose(1, 2) @ (colours * gains)
        sh[rows] = (own + torch.linalg.solve(left, right)).cpu().numpy()
    return replace(gaussians, sh0=np.ascontiguousarray(sh[:, 0]), sh_rest=np.ascontiguousarray(sh[:, 1:]))


Camera = tuple[Tensor, Tensor, float, float]  # world to camera [4, 4], centre [3], largest |x / z| and |y / z|


def _camera(view: View, device: torch.device) -> Camera:
    pose = view.world_to_camera
    centre = -pose[:3, :3].T @ pose[:3, 3]
    return (
        torch.tensor(pose, dtype=torch.float32, device=device),
        torch.tensor(centre, dtype=torch.float32, device=device),
        MARGIN * view.width / 2 / float(view.K[0, 0]),
        MARGIN * view.height / 2 / float(view.K[1, 1]),
    )


def _seen(means: Tensor, camera: Camera, degree: int) -> tuple[Tensor, Tensor]:
    """[n] 1 where the frustum holds a mean, else OUTSIDE, and the basis [n, K] in the direction from the camera."""
    pose, centre, widest, highest = camera
    x, y, z = (means @ pose[:3, :3].T + pose[:3, 3]).unbind(-1)
    inside = (z > 1e-6) & (x.abs() < widest * z) & (y.abs() < highest * z)
    return inside.float().clamp_min(OUTSIDE), sh_basis(degree, torch.nn.functional.normalize(means - centre, dim=-1))
