"""Strategy "default": densification by cloning, splitting and pruning (Kerbl et al. 2023, section 5), with a cap.

It is gsplat's DefaultStrategy, which decides by gradients on the screen and runs on CPU and GPU.

Opacities are never reset. The reset of the paper (all opacities to 0.01 every 3000 steps) removes floaters over a long
run, at the price of some hundred steps of recovery; a plan of a few thousand steps cannot pay that. gsplat 1.5.3 does
not reset either: its `step % reset_every == 0 & step > 0` is read as `... == (0 & step) > 0`, which is never true.
`reset_every` is set beyond the plan, so that a version that repairs this behaves the same; it also switches off the
pruning of large Gaussians, which would tear holes into far backgrounds.
"""

from __future__ import annotations

from typing import Any

import torch
from gsplat.strategy import DefaultStrategy
from torch import Tensor

from runner.raster.parameters import Parameters
from runner.training.optimiser import Optimizers
from runner.training.schedule import Plan, Recipe, refine_interval
from runner.training.strategy import NEVER, Windowed


class CappedDefaultStrategy(DefaultStrategy):
    """gsplat's DefaultStrategy, growing by the largest gradients first and never beyond `cap` Gaussians."""

    cap: int = NEVER

    def _update_state(self, params: Any, state: dict[str, Any], info: dict[str, Any], packed: bool = False) -> None:  # noqa: ARG002
        """gsplat's sums for images that are not packed, without asking which Gaussians were seen: on a GPU the host
        would wait for the answer at every step."""
        screen = info[self.key_for_gradient]
        grads = (screen.absgrad if self.absgrad else screen.grad).clone()  # [C, N, 2]
        grads[..., 0] *= info["width"] / 2.0 * info["n_cameras"]
        grads[..., 1] *= info["height"] / 2.0 * info["n_cameras"]
        seen = (info["radii"] > 0).all(dim=-1)  # [C, N]
        for key in ("grad2d", "count"):
            if state[key] is None:
                state[key] = torch.zeros(seen.shape[1], device=grads.device)
        state["grad2d"] += torch.where(seen, grads.norm(dim=-1), 0.0).sum(dim=0)
        state["count"] += seen.sum(dim=0)

    @torch.no_grad()
    def _grow_gs(
        self, params: Any, optimizers: Any, state: dict[str, Any], step: int
    ) -> tuple[int, int]:  # fmt: skip
        room = self.cap - len(params["means"])
        if room <= 0:
            return 0, 0
        usual = self.grow_grad2d
        gradients = state["grad2d"] / state["count"].clamp_min(1)
        if room < len(gradients):
            # Each Gaussian above the threshold adds one: the (room + 1)-th largest lets at most `room` pass.
            self.grow_grad2d = max(usual, float(torch.topk(gradients, room + 1).values[-1]))
        grown: tuple[int, int] = super()._grow_gs(params, optimizers, state, step)
        self.grow_grad2d = usual
        return grown


class DefaultDensifier(Windowed):
    """The Densifier of strategy "default". extent: radius of the camera positions, world units."""

    def __init__(
        self, params: Parameters, optimizers: Optimizers, plan: Plan, recipe: Recipe, cap: int, extent: float
    ) -> None:
        self._params, self._optimizers, self._recipe = params, optimizers, recipe
        self._strategy = CappedDefaultStrategy(
            prune_opa=recipe.prune_opacity,
            grow_grad2d=recipe.grow_gradient,
            absgrad=recipe.absgrad,
            refine_every=refine_interval(plan.pace, recipe),
            reset_every=NEVER,
        )
        self._strategy.cap = cap
        self._state = self._strategy.initialize_state(scene_scale=extent)
        self.replan(plan)

    def reads_absgrad(self, step: int) -> bool:
        """gsplat's strategy sums them until its last refinement, and leaves them alone from then on."""
        return self._recipe.absgrad and step < int(self._strategy.refine_stop_iter)

    def before_backward(self, step: int, info: dict[str, Any]) -> None:
        self._strategy.step_pre_backward(self._params, self._optimizers, self._state, step, info)

    def after_step(self, step: int, info: dict[str, Any], lr_means: float) -> None:  # noqa: ARG002
        self._strategy.step_post_backward(self._params, self._optimizers, self._state, step, info)

    def state_dict(self) -> dict[str, Tensor]:
        return {key: value.clone() for key, value in self._state.items() if isinstance(value, Tensor)}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        device = self._params["means"].device
        for key in ("grad2d", "count"):
            self._state[key] = state[key].to(device) if key in state else None
