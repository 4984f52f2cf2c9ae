"""GPU backend: gsplat's CUDA kernels. A thin adapter, checked against gsplat 1.5.3's signature by a unit test."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from runner.raster.port import Rendering, check_inputs


class GsplatRasterizer:
    """Draws with `gsplat.rasterization` on CUDA. See `Rasterizer` in port.py."""

    name = "gsplat"

    def __init__(self, device: str | torch.device = "cuda") -> None:
        self.device = torch.device(device)

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
        """See `Rasterizer.render`. Cameras and background are moved to the device."""
        from gsplat import rasterization  # imports CUDA extensions: only where they are wanted

        check_inputs(params, sh_degree, width, height)
        like = params["means"]
        images, alphas, info = rasterization(
            means=params["means"],
            quats=params["quats"],
            scales=torch.exp(params["scales"]),
            opacities=torch.sigmoid(params["opacities"]),
            colors=torch.cat([params["sh0"], params["shN"]], 1),
            viewmats=world_to_camera.to(like)[None],
            Ks=K.to(like)[None],
            width=width,
            height=height,
            sh_degree=sh_degree,
            packed=False,
            absgrad=absgrad,
            rasterize_mode="antialiased" if antialiased else "classic",
            backgrounds=background.to(like)[None],
        )
        return Rendering(images[0], alphas[0, ..., 0], info)
