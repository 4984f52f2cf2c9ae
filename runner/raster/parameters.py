"""Gaussians as tensors that can be drawn and trained, and back."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from runner.scene.gaussians import Gaussians

# Raw parameters by name, as the Rasterizer port takes them:
#   means [N, 3] world; quats [N, 4] wxyz, not normalised; scales [N, 3] log; opacities [N] logit;
#   sh0 [N, 1, 3]; shN [N, K, 3] with K = (degree + 1)^2 - 1
Parameters = dict[str, torch.nn.Parameter]


def parameters(gaussians: Gaussians, device: torch.device) -> Parameters:
    """Copies of the arrays on `device`, ready to be trained."""
    arrays = {
        "means": gaussians.means,
        "quats": gaussians.quats,
        "scales": gaussians.log_scales,
        "opacities": gaussians.opacity_logits,
        "sh0": gaussians.sh0[:, None, :],
        "shN": gaussians.sh_rest,
    }
    return {
        name: torch.nn.Parameter(torch.tensor(array, dtype=torch.float32, device=device))
        for name, array in arrays.items()
    }


def to_gaussians(params: dict[str, Tensor] | Parameters) -> Gaussians:
    """Copies of the tensors as arrays."""

    def array(name: str) -> np.ndarray:
        return np.array(params[name].detach().cpu().numpy(), dtype=np.float32, order="C")

    return Gaussians(
        means=array("means"),
        quats=array("quats"),
        log_scales=array("scales"),
        opacity_logits=array("opacities"),
        sh0=array("sh0")[:, 0, :],
        sh_rest=array("shN"),
    )
