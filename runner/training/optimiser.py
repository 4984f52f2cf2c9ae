"""Adam, one per parameter tensor as gsplat's strategies ask for it: steps, learning rates, replaced parameters."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from runner.raster.parameters import Parameters

Optimizers = dict[str, torch.optim.Adam]

_COMPILED = importlib.util.find_spec("numba") is not None
ADAM_EPS = 1e-15  # as in the reference implementation: gradients per Gaussian are tiny, 1e-8 would damp them


class CompiledAdam(torch.optim.Adam):
    """torch's Adam in one compiled pass per step, for float32 on the CPU. State and results are torch's up to rounding.

    Without weight decay, amsgrad and closures, which nothing here uses.
    """

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:  # noqa: ARG002
        from runner.training.kernels.adam import adam_step

        for group in self.param_groups:
            beta1, beta2 = group["betas"]
            for value in group["params"]:
                if value.grad is None or value.numel() == 0:
                    continue
                state = self.state[value]
                if not state:
                    state["step"] = torch.tensor(0.0)
                    state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(value), torch.zeros_like(value)
                state["step"] += 1
                steps = float(state["step"])
                adam_step(
                    _flat(value),
                    _flat(value.grad.contiguous()),
                    _flat(state["exp_avg"]),
                    _flat(state["exp_avg_sq"]),
                    np.float32(beta1),
                    np.float32(beta2),
                    np.float32(group["lr"] / (1 - beta1**steps)),
                    np.float32(1 / math.sqrt(1 - beta2**steps)),
                    np.float32(group["eps"]),
                )


def _flat(tensor: Tensor) -> NDArray[np.float32]:
    """A one-dimensional view of a contiguous tensor."""
    return tensor.detach().view(-1).numpy()


def fused_adam(values: list[Tensor], *, lr: float, eps: float) -> torch.optim.Adam:
    """torch's Adam in one kernel per step; its step counter lies beside the values, so the host waits for nothing."""
    return torch.optim.Adam(values, lr=lr, eps=eps, fused=True)


def optimizers(params: Parameters) -> Optimizers:
    """One Adam per parameter; the learning rates are set at every step (`set_learning_rates`)."""
    on_cpu = params["means"].device.type == "cpu"
    adam = fused_adam if not on_cpu else CompiledAdam if _COMPILED else torch.optim.Adam
    return {name: adam([value], lr=0.0, eps=ADAM_EPS) for name, value in params.items()}


def counter_device(optimizer: torch.optim.Adam, parameter: Tensor) -> torch.device:
    """Where Adam keeps its step counter: beside the values where it is fused, else on the CPU."""
    return parameter.device if optimizer.defaults["fused"] else torch.device("cpu")


def set_learning_rates(optimizers: Optimizers, rates: dict[str, float]) -> None:
    for name, optimizer in optimizers.items():
        optimizer.param_groups[0]["lr"] = rates[name]


def step(optimizers: Optimizers) -> None:
    """One Adam step of every parameter; the gradients are gone afterwards."""
    for optimizer in optimizers.values():
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)


def replace_parameters(
    params: Parameters,
    optimizers: Optimizers,
    new_parameter: Callable[[str, Tensor], torch.nn.Parameter],
    new_moment: Callable[[Tensor], Tensor],
) -> None:
    """Put other tensors in the place of all parameters, in `params` and in their optimisers, whose step count stays.

    new_parameter: from a parameter's name and value. new_moment: from the first or second moment of any of them.
    """
    for name, old in list(params.items()):
        params[name] = new_parameter(name, old)
        optimizer = optimizers[name]
        moments = optimizer.state.pop(old)
        optimizer.param_groups[0]["params"] = [params[name]]
        optimizer.state[params[name]] = {
            key: value if key == "step" else new_moment(value) for key, value in moments.items()
        }


@torch.no_grad()
def all_finite(params: Parameters) -> bool:
    """Whether no parameter is NaN or infinite. A sum is one pass and is not finite when any term is not."""
    sums = torch.stack([value.sum(dtype=torch.float64) for value in params.values()])
    return bool(torch.isfinite(sums).all())
