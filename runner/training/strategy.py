"""The port of a densification strategy, and the window of the plan in which a strategy refines."""

from __future__ import annotations

from typing import Any, Protocol

from torch import Tensor

from runner.training.schedule import Plan, Recipe

NEVER = 10**9  # a step no plan reaches


class Densifier(Protocol):
    """Adds and removes Gaussians, in the parameters and in the optimisers' moments."""

    def reads_absgrad(self, step: int) -> bool:
        """Whether it reads sums of |gradient| over pixels after `step`; where not, no rasteriser need compute them."""
        ...

    def replan(self, plan: Plan) -> None:
        """Move the window of refinement with a shortened plan."""
        ...

    def refines_at(self, step: int) -> bool:
        """Whether Gaussians are added or removed after `step`."""
        ...

    def before_backward(self, step: int, info: dict[str, Any]) -> None:
        """Before the backward pass of `step`. info: Rendering.info."""
        ...

    def after_step(self, step: int, info: dict[str, Any], lr_means: float) -> None:
        """After the optimisers' step of `step` (counted from 1). lr_means: learning rate of the means, world units."""
        ...

    def state_dict(self) -> dict[str, Tensor]:
        """What is carried from step to step: [N] each."""
        ...

    def load_state_dict(self, state: dict[str, Tensor]) -> None: ...


class Windowed:
    """The window of the plan in which a gsplat strategy refines; the same for all of them."""

    _strategy: Any
    _recipe: Recipe

    def replan(self, plan: Plan) -> None:
        self._strategy.refine_start_iter = plan.step_at(self._recipe.refine_from)
        self._strategy.refine_stop_iter = plan.step_at(self._recipe.refine_until)

    def refines_at(self, step: int) -> bool:
        strategy = self._strategy
        in_window: bool = strategy.refine_start_iter < step < strategy.refine_stop_iter
        return in_window and step % strategy.refine_every == 0
