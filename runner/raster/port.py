"""The one interface of training to whatever draws Gaussians: our CPU kernels, gsplat on CUDA, or plain torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor


@dataclass(frozen=True)
class Rendering:
    """One rendered image. Both tensors carry gradients back to the parameters."""

    image: Tensor  # [H, W, 3] float, background blended in; not clamped
    alpha: Tensor  # [H, W] float, 0..1: how much of the background is hidden
    info: dict[str, Any]
    """What gsplat 1.5.3's strategies read:

    means2d: has .retain_grad(), and after backward .grad and .absgrad [1, N, 2], dL/d(pixel position) of each Gaussian
    radii: [1, N, 2] int32, half sides in pixels of the box a Gaussian touches; 0: not seen
    width, height: of the image, int
    n_cameras: 1
    gaussian_ids: None (which says: not packed)
    """


class Rasterizer(Protocol):
    """Draws Gaussians. Differentiable with respect to `params`, and to `world_to_camera` where that asks for it."""

    @property
    def name(self) -> str:
        """ "cpu", "gsplat" or "torch"; for logs and reports."""

    @property
    def device(self) -> torch.device:
        """Where parameters must live."""

    def render(
        self,
        params: Mapping[str, Tensor],
        world_to_camera: Tensor,
        K: Tensor,
        width: int,
        height: int,
        *,
        sh_degree: int,
        background: Tensor,
        antialiased: bool = False,
        absgrad: bool = True,
    ) -> Rendering:
        """Render one image.

        params: float32 leaves, the keys gsplat's strategies use:
            means [N, 3] world; quats [N, 4] wxyz, not normalised; scales [N, 3] natural log; opacities [N] logit;
            sh0 [N, 1, 3] and shN [N, K, 3] spherical harmonics, K >= (sh_degree + 1)^2 - 1
        world_to_camera: [4, 4], OpenCV axes (x right, y down, z forward). Where it requires a gradient it gets one, the
            view dependence of colours included, that is right for rigid motions (exp(xi) @ view) and for no other
            change of the numbers; else none is computed, at no cost
        K: [3, 3] pinhole intrinsics in pixels, pixel centres at .5
        width, height: pixels
        sh_degree: 0..3, coefficients of higher degrees are not read and get zero gradients
        background: [3], blended in behind everything
        antialiased: scale opacities by what the minimal splat size adds to their area (Mip-Splatting, Yu et al. 2024)
        absgrad: False: nobody reads info["means2d"].absgrad, and a rasteriser may leave it out
        """


def check_inputs(params: Mapping[str, Tensor], sh_degree: int, width: int, height: int) -> None:
    """Raises ValueError where shapes do not fit together: kernels read memory without looking."""
    count = len(params["means"])
    coefficients = params["shN"].shape[1]
    expected = {
        "means": (count, 3),
        "quats": (count, 4),
        "scales": (count, 3),
        "opacities": (count,),
        "sh0": (count, 1, 3),
        "shN": (count, coefficients, 3),
    }
    for key, shape in expected.items():
        if tuple(params[key].shape) != shape:
            raise ValueError(f"params[{key!r}] has shape {tuple(params[key].shape)}, expected {shape}")
    if not 0 <= sh_degree <= 3 or coefficients < (sh_degree + 1) ** 2 - 1:
        raise ValueError(f"sh_degree {sh_degree} does not fit {coefficients} coefficients in params['shN']")
    if width < 1 or height < 1:
        raise ValueError(f"image of {width}x{height} pixels")
