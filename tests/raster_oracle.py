"""Small scenes, and an independent float64 rasteriser to hold ours against.

Projection, covariance and spherical harmonics are those of gsplat's own torch reference (`gsplat.cuda._torch_impl`);
every pixel then blends every Gaussian in depth order: no tiles, no culling, no early stop. Only the cut-offs of the
format itself (alpha below 1/255 is nothing, alpha at most 0.999) are written out again here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from gsplat.cuda import _torch_impl as reference
from torch import Tensor

KEYS = ("means", "quats", "scales", "opacities", "sh0", "shN")


def tilted_view() -> Tensor:
    """World to camera: turned by 0.3 rad about y and moved."""
    c, s = math.cos(0.3), math.sin(0.3)
    return torch.tensor([[c, 0, s, -0.5], [0, 1, 0, 0.1], [-s, 0, c, 0.4], [0, 0, 0, 1]])


@dataclass(frozen=True)
class Shot:
    """One camera and how to draw with it."""

    width: int = 80
    height: int = 64
    centre_offset: tuple[float, float] = (3.0, -2.0)  # of the principal point from the middle, pixels
    focal: tuple[float, float] = (70.0, 72.0)
    view: Tensor = field(default_factory=tilted_view)
    background: Tensor = field(default_factory=lambda: torch.tensor([0.2, 0.5, 0.1]))
    sh_degree: int = 3
    antialiased: bool = False

    @property
    def K(self) -> Tensor:
        cx, cy = self.width / 2 + self.centre_offset[0], self.height / 2 + self.centre_offset[1]
        return torch.tensor([[self.focal[0], 0, cx], [0, self.focal[1], cy], [0, 0, 1]])


def cloud(count: int, seed: int = 1) -> dict[str, Tensor]:
    """Random Gaussians about three units in front of the camera, float32."""
    g = torch.Generator().manual_seed(seed)
    return {
        "means": torch.randn(count, 3, generator=g) * 0.6 + torch.tensor([0.0, 0.0, 3.0]),
        "quats": torch.randn(count, 4, generator=g),
        "scales": torch.log(torch.rand(count, 3, generator=g) * 0.12 + 0.02),
        "opacities": torch.logit(torch.rand(count, generator=g) * 0.9 + 0.05),
        "sh0": torch.randn(count, 1, 3, generator=g) * 0.5,
        "shN": torch.randn(count, 15, 3, generator=g) * 0.1,
    }


def leaves(params: Mapping[str, Tensor], dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    return {key: value.detach().to(dtype).clone().requires_grad_() for key, value in params.items()}


def dense(params: Mapping[str, Tensor], shot: Shot) -> tuple[Tensor, Tensor, Tensor]:
    """image [H, W, 3], alpha [H, W] and pixel positions [N, 2] (kept for their gradient), in the type of `params`."""
    view, K = shot.view.to(params["means"]), shot.K.to(params["means"])
    covariances, _ = reference._quat_scale_to_covar_preci(params["quats"], torch.exp(params["scales"]), True, False)
    radii, means2d, depths, conics, compensation = reference._fully_fused_projection(
        params["means"], covariances, view[None], K[None], shot.width, shot.height, calc_compensations=shot.antialiased
    )
    opacity = torch.sigmoid(params["opacities"])
    if shot.antialiased:
        opacity = opacity * compensation[0]
    directions = params["means"] + view[:3, :3].T @ view[:3, 3]
    harmonics = torch.cat([params["sh0"], params["shN"]], 1)
    colors = (reference._spherical_harmonics(shot.sh_degree, directions, harmonics) + 0.5).clamp_min(0)
    order = torch.argsort(depths[0], stable=True)
    order = order[(radii[0] > 0).all(-1)[order]]
    positions = means2d[0]
    if positions.requires_grad:
        positions.retain_grad()
    rows, columns = torch.meshgrid(
        torch.arange(shot.height).to(positions) + 0.5, torch.arange(shot.width).to(positions) + 0.5, indexing="ij"
    )
    dx = columns - positions[order, 0, None, None]
    dy = rows - positions[order, 1, None, None]
    a, b, c = (conics[0][order, k, None, None] for k in range(3))
    alpha = (opacity[order, None, None] * torch.exp(-0.5 * (a * dx * dx + c * dy * dy) - b * dx * dy)).clamp_max(0.999)
    alpha = torch.where(alpha >= 1 / 255, alpha, torch.zeros_like(alpha))
    light = torch.cat([torch.ones_like(rows)[None], torch.cumprod(1 - alpha, 0)])
    image = torch.einsum("nhw,nc->hwc", alpha * light[:-1], colors[order])
    return image + light[-1][..., None] * shot.background.to(image), 1 - light[-1], positions


def weights(shot: Shot) -> tuple[Tensor, Tensor]:
    """Random dL/dimage and dL/dalpha."""
    g = torch.Generator().manual_seed(3)
    return (
        torch.randn(shot.height, shot.width, 3, generator=g),
        torch.randn(shot.height, shot.width, generator=g),
    )


def relative_error(value: Tensor, truth: Tensor) -> float:
    """L2 of the difference over L2 of the truth; 0 when both are all zeros."""
    difference = float((value.detach().double() - truth.detach().double()).norm())
    return difference / float(truth.double().norm()) if difference else 0.0
