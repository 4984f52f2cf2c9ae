"""The Gaussians as tensors to be trained, and one Adam optimiser per tensor (what gsplat's strategies ask for)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from runner.scene import Gaussians

# Raw parameters by name, as the Rasterizer port takes them:
#   means [N, 3] world; quats [N, 4] wxyz, not normalised; scales [N, 3] log; opacities [N] logit;
#   sh0 [N, 1, 3]; shN [N, K, 3] with K = (degree + 1)^2 - 1
Parameters = dict[str, torch.nn.Parameter]
Optimizers = dict[str, torch.optim.Adam]

ADAM_EPS = 1e-15  # as in the reference implementation: gradients per Gaussian are tiny, 1e-8 would damp them


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


def optimizers(params: Parameters) -> Optimizers:
    """One Adam per parameter; the learning rates are set at every step (`set_learning_rates`)."""
    return {name: torch.optim.Adam([value], lr=0.0, eps=ADAM_EPS) for name, value in params.items()}


def set_learning_rates(optimizers: Optimizers, rates: dict[str, float]) -> None:
    for name, optimizer in optimizers.items():
        optimizer.param_groups[0]["lr"] = rates[name]


def step(optimizers: Optimizers) -> None:
    """One Adam step of every parameter; the gradients are gone afterwards."""
    for optimizer in optimizers.values():
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)


@torch.no_grad()
def all_finite(params: Parameters) -> bool:
    """Whether no parameter is NaN or infinite. A sum is one pass and is not finite when any term is not."""
    return all(bool(torch.isfinite(value.sum(dtype=torch.float64))) for value in params.values())
