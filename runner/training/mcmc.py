"""Strategy "mcmc": densification by relocation under a hard cap (3DGS as MCMC, Kheradmand et al. 2024).

gsplat's MCMCStrategy with a cheaper step; where there is no CUDA, its relocation is a torch function.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from gsplat.strategy import MCMCStrategy
from gsplat.strategy.ops import sample_add
from torch import Tensor

from runner.raster.parameters import Parameters
from runner.training.optimiser import Optimizers, replace_parameters
from runner.training.schedule import Plan, Recipe, refine_interval
from runner.training.strategy import Windowed

GROWTH = 1.05  # count after GROWTH_SHARE of the plan / before; gsplat's: 5 % each 100 of 30,000 steps
GROWTH_SHARE = 1 / 300
GROWTH_MAX = 1.3  # of one refinement: a plan of a few hundred steps does not double at once


class McmcDensifier(Windowed):
    """The Densifier of strategy "mcmc"."""

    def __init__(self, params: Parameters, optimizers: Optimizers, plan: Plan, recipe: Recipe, cap: int) -> None:
        self._params, self._optimizers, self._recipe = params, optimizers, recipe
        cuda = params["means"].is_cuda
        interval = refine_interval(plan.pace, recipe)
        self._strategy = (McmcStrategy if cuda else TorchMcmcStrategy)(
            cap_max=cap, noise_lr=recipe.noise_lr, min_opacity=recipe.prune_opacity, refine_every=interval
        )
        self._strategy.growth = min(GROWTH_MAX, GROWTH ** (interval / (plan.pace * GROWTH_SHARE)))
        self._state = self._strategy.initialize_state()
        self.replan(plan)

    def reads_absgrad(self, step: int) -> bool:  # noqa: ARG002
        return False

    def before_backward(self, step: int, info: dict[str, Any]) -> None:
        """Nothing: MCMC looks at opacities, never at gradients."""

    def after_step(self, step: int, info: dict[str, Any], lr_means: float) -> None:
        self._strategy.step_post_backward(self._params, self._optimizers, self._state, step, info, lr=lr_means)

    def state_dict(self) -> dict[str, Tensor]:
        return {}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Nothing is carried from step to step."""


class McmcStrategy(MCMCStrategy):
    """gsplat's MCMCStrategy (3DGS as Markov Chain Monte Carlo, Kheradmand et al. 2024) with a step that costs less.

    The noise is turned by quaternions, not by a batch of 3 x 3 matrices; the memory of the device is not handed back at
    every refinement, after which every buffer had to be asked of the driver again; and growth keeps its share of the
    plan whatever the interval of refinements.
    """

    growth: float = GROWTH
    binomial_type = torch.float32  # of the table, as the relocation of the class wants it

    @torch.no_grad()
    def step_post_backward(
        self,
        params: Any,
        optimizers: Any,
        state: dict[str, Any],
        step: int,
        info: dict[str, Any],  # noqa: ARG002
        lr: float,
    ) -> None:
        if self.refine_start_iter < step < self.refine_stop_iter and step % self.refine_every == 0:
            binomials = state["binoms"].to(params["means"].device, self.binomial_type)
            self._relocate_gs(params, optimizers, binomials)
            self._add_new_gs(params, optimizers, binomials)
        add_position_noise(params, lr * self.noise_lr)

    def _room(self, count: int) -> int:
        """How many Gaussians a refinement adds to `count`."""
        return max(0, min(self.cap_max, int(self.growth * count)) - count)

    @torch.no_grad()
    def _add_new_gs(self, params: Any, optimizers: Any, binoms: Tensor) -> int:
        new = self._room(len(params["means"]))
        if new:
            sample_add(params, optimizers, {}, n=new, binoms=binoms, min_opacity=self.min_opacity)
        return new


class TorchMcmcStrategy(McmcStrategy):
    """McmcStrategy where gsplat's CUDA operations are not: relocation in torch."""

    binomial_type = torch.float64

    @torch.no_grad()
    def _relocate_gs(self, params: Any, optimizers: Any, binoms: Tensor) -> int:
        """Dead Gaussians move onto living ones, drawn by opacity."""
        opacities = torch.sigmoid(params["opacities"])
        dead = torch.nonzero(opacities <= self.min_opacity)[:, 0]
        alive = torch.nonzero(opacities > self.min_opacity)[:, 0]
        if len(dead) == 0 or len(alive) == 0:
            return 0
        sources = alive[torch.multinomial(opacities[alive], len(dead), replacement=True)]
        self._share(params, optimizers, sources, binoms, lambda value: value.index_copy(0, dead, value[sources]), 0)
        return len(dead)

    @torch.no_grad()
    def _add_new_gs(self, params: Any, optimizers: Any, binoms: Tensor) -> int:
        """More Gaussians, up to the cap, as copies of Gaussians drawn by opacity."""
        new = self._room(len(params["means"]))
        if new:
            sources = torch.multinomial(torch.sigmoid(params["opacities"]), new, replacement=True)
            self._share(params, optimizers, sources, binoms, lambda value: torch.cat([value, value[sources]]), new)
        return new

    def _share(
        self, params: Any, optimizers: Any, sources: Tensor, binoms: Tensor, place: Any, added: int
    ) -> None:  # fmt: skip
        """Let each source and its copies together look like the source alone; `place` then puts the copies in."""
        copies = torch.bincount(sources, minlength=len(params["means"]))[sources] + 1
        opacities, scales = relocation(
            torch.sigmoid(params["opacities"])[sources], torch.exp(params["scales"])[sources], copies, binoms
        )
        logits = torch.logit(opacities.clamp(self.min_opacity, 1.0 - torch.finfo(torch.float32).eps))

        def new_parameter(name: str, value: Tensor) -> torch.nn.Parameter:
            value = value.detach().clone()
            if name == "opacities":
                value[sources] = logits
            elif name == "scales":
                value[sources] = torch.log(scales)
            return torch.nn.Parameter(place(value))

        def new_moment(moment: Tensor) -> Tensor:
            moment = moment.clone()
            moment[sources] = 0
            return torch.cat([moment, moment.new_zeros((added, *moment.shape[1:]))])

        replace_parameters(params, optimizers, new_parameter, new_moment)


def relocation(opacities: Tensor, scales: Tensor, copies: Tensor, binomials: Tensor) -> tuple[Tensor, Tensor]:
    """Opacity and scale for `copies` Gaussians on one place that together look like the one before.

    opacities [M], scales [M, 3], copies [M] >= 1, binomials [n, n] of n choose k, double. Equation 9 of the MCMC paper.
    """
    copies = copies.clamp(1, len(binomials))
    old = opacities.double()
    new = 1.0 - (1.0 - old) ** (1.0 / copies)
    denominator = torch.zeros_like(old)
    for i in range(1, int(copies.max()) + 1):
        term = torch.zeros_like(old)
        for k in range(i):
            term += binomials[i - 1, k] * (-1) ** k * new ** (k + 1) / math.sqrt(k + 1)
        denominator += torch.where(copies >= i, term, torch.zeros_like(term))
    return new.float(), ((old / denominator)[:, None] * scales.double()).float()


@torch.no_grad()
def add_position_noise(params: Parameters, scale: float) -> None:
    """Move transparent Gaussians at random within their own shape: means += covariance @ noise * scale.

    Only Gaussians of opacity near 0 move: the weight is a steep sigmoid about 0.005 (section 3.2 of the MCMC paper).
    """
    weight = torch.sigmoid(100.0 * ((1.0 - torch.sigmoid(params["opacities"])) - 0.995))
    noise = torch.randn_like(params["means"]) * weight[:, None] * scale
    params["means"].add_(by_covariance(params["quats"], params["scales"], noise))


def by_covariance(quats: Tensor, log_scales: Tensor, vectors: Tensor) -> Tensor:
    """Covariance R S S R^T of each Gaussian times a vector [N, 3]: turned into its axes, stretched, turned back.

    A unit quaternion (w, u) turns v into v + 2 (w u x v + u x (u x v)), and its conjugate turns it back.
    """
    unit = torch.nn.functional.normalize(quats, dim=-1)
    w, u = unit[:, :1], unit[:, 1:]
    turned = _turned(w, -u, vectors) * torch.exp(2.0 * log_scales)
    return _turned(w, u, turned)


def _turned(w: Tensor, u: Tensor, vectors: Tensor) -> Tensor:
    across = torch.linalg.cross(u, vectors)
    turned: Tensor = vectors + 2.0 * (w * across + torch.linalg.cross(u, across))
    return turned
