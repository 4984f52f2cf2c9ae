"""Everything a training carries from step to step: as a state dict, restored from one, and rolled back to one."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor

from runner.raster.parameters import Parameters
from runner.training import optimiser
from runner.training.cameras.refinement import RefinedCameras
from runner.training.exposure.evidence import NOT_DECIDED, Decision
from runner.training.exposure.model import Exposures
from runner.training.optimiser import Optimizers
from runner.training.plateau import Plateau
from runner.training.schedule import Plan
from runner.training.stereo.swept_depths import SweptDepths
from runner.training.strategy import Densifier
from scenejobs.errors import Code, RunnerError

FORMAT = 7  # raised when an older file can no longer be continued from
TENSORS = (
    "params",
    "average",
    "moments",
    "densifier",
    "exposures",
    "cameras",
    "depths",
    "moving",
    "rng",
)  # branches of a state dict; all else is plain values
SNAPSHOT_SHARE = 0.05  # of the plan, or of its time, between two states to roll back to
MAX_ROLLBACKS = 2
ROLLBACK_RATE = 0.3  # learning rates after a rollback / before


@dataclass(frozen=True)
class Measurement:
    """One line of the training's history."""

    step: int
    seconds: float  # wall clock since the training began, earlier attempts included
    psnr_heldout: float | None  # dB, mean over the test views; None when the scene has none
    n_gaussians: int
    loss: float  # smoothed training loss


@dataclass
class TrainingState:
    """The running state. `params` and `optimizers` are changed in place, by the densifier as well."""

    params: Parameters
    optimizers: Optimizers
    densifier: Densifier
    plan: Plan
    step: int = 0  # steps done
    seconds: float = 0.0  # wall clock spent on them
    loss: float = float("nan")  # smoothed over about 20 steps
    rate_factor: float = 1.0  # of the learning rates; falls with each rollback
    rollbacks: int = 0
    history: list[Measurement] = field(default_factory=list)
    plateau: Plateau = field(default_factory=Plateau)
    plateaued: bool = False
    resumed_at: list[int] = field(default_factory=list)  # the steps at which earlier attempts were continued
    decision: Decision = NOT_DECIDED  # whether exposures are corrected, and why
    exposures: Exposures | None = None  # the corrections of the training images, where they are
    cameras: RefinedCameras | None = None  # where the training cameras are, when they are refined
    average: Parameters = field(default_factory=dict)  # of `params` (average.py); empty while any are added
    moving: dict[int, Tensor] = field(default_factory=dict)  # by view, [h, w] bool: blocks left out (moving_masks.py)
    depths: SweptDepths | None = None  # measured ones, where views are few
    losses: list[tuple[float, Tensor]] = field(
        default_factory=list
    )  # share and loss of the steps whose loss is not read yet

    @property
    def count(self) -> int:
        return len(self.params["means"])

    @property
    def settled(self) -> Parameters:
        """What the training gives, if it ends now."""
        return self.average or self.params


def state_dict(state: TrainingState) -> dict[str, Any]:
    """A copy, on the CPU, of all that decides the next steps: tensors and plain values only. Nobody changes it.

    From a GPU the copies go to pinned memory, all of them at once: the host waits one time, for the last.
    """
    saved = _copied(state)
    if state.params["means"].is_cuda:
        torch.cuda.synchronize(state.params["means"].device)
    return saved


def _copied(state: TrainingState) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "step": state.step,
        "seconds": state.seconds,
        "loss": state.loss,
        "rate_factor": state.rate_factor,
        "rollbacks": state.rollbacks,
        "plan": asdict(state.plan),
        "plateau": asdict(state.plateau),
        "plateaued": state.plateaued,
        "resumed_at": list(state.resumed_at),
        "exposure": state.decision.to_json(),
        "history": [asdict(measurement) for measurement in state.history],
        "params": {name: _copy(value) for name, value in state.params.items()},
        "average": {name: _copy(value) for name, value in state.average.items()},
        "moments": {
            name: {key: _copy(value) for key, value in optimizer.state[state.params[name]].items()}
            for name, optimizer in state.optimizers.items()
        },
        "densifier": _copies(state.densifier.state_dict()),
        "exposures": _copies(state.exposures.state_dict()) if state.exposures else {},
        "cameras": _copies(state.cameras.state_dict()) if state.cameras else {},
        "depths": _copies(state.depths.state_dict()) if state.depths else {},
        "moving": {f"{index:06d}": _copy(regions) for index, regions in state.moving.items()},
        "rng": {"cpu": torch.get_rng_state(), **_cuda_generators(state)},
    }


def load_state_dict(state: TrainingState, saved: dict[str, Any]) -> None:
    """Restore `state` to what `saved` holds, on the devices of `state`. The numbers of Gaussians may differ."""
    for name, value in saved["params"].items():
        device = state.params[name].device
        parameter = torch.nn.Parameter(value.to(device, copy=True))
        optimizer = state.optimizers[name]
        optimizer.state.clear()
        optimizer.param_groups[0]["params"] = [parameter]
        if moments := saved["moments"].get(name):
            optimizer.state[parameter] = {
                key: moment.to(optimiser.counter_device(optimizer, parameter) if key == "step" else device, copy=True)
                for key, moment in moments.items()
            }
        state.params[name] = parameter
    device = state.params["means"].device
    state.average = {
        name: torch.nn.Parameter(value.to(device, copy=True), requires_grad=False)
        for name, value in saved["average"].items()
    }
    state.plan = Plan(**saved["plan"])
    state.plateau = Plateau(**saved["plateau"])
    state.plateaued = saved["plateaued"]
    state.resumed_at = list(saved["resumed_at"])
    state.densifier.load_state_dict(saved["densifier"])
    if state.exposures:
        state.exposures.load_state_dict(saved["exposures"])
    if state.cameras:
        state.cameras.load_state_dict(saved["cameras"])
    if state.depths:
        state.depths.load_state_dict(saved["depths"])
    state.moving = {int(index): regions.clone() for index, regions in saved.get("moving", {}).items()}
    state.densifier.replan(state.plan)
    state.step = saved["step"]
    state.seconds = saved["seconds"]
    state.loss = saved["loss"]
    state.rate_factor = saved["rate_factor"]
    state.rollbacks = saved["rollbacks"]
    state.history = [Measurement(**measurement) for measurement in saved["history"]]
    torch.set_rng_state(saved["rng"]["cpu"])
    if state.params["means"].is_cuda:
        generators = [value for name, value in sorted(saved["rng"].items()) if name != "cpu"]
        if len(generators) == torch.cuda.device_count():  # else the random numbers go on from the seed
            torch.cuda.set_rng_state_all(generators)


def is_snapshot_due(state: TrainingState, good: dict[str, Any], budget_s: float) -> bool:
    """Whether a share of the plan, or of the time, has passed since the last state to roll back to."""
    share = state.plan.share(state.step) - state.plan.share(good["step"])
    return bool(max(share, (state.seconds - good["seconds"]) / budget_s) >= SNAPSHOT_SHARE)


def roll_back(state: TrainingState, good: dict[str, Any]) -> dict[str, Any]:
    """Back to the last good state, with smaller learning rates. Returns that state, to roll back to again.

    Raises RunnerError(TRAINING_DIVERGED) after MAX_ROLLBACKS.
    """
    rollbacks = state.rollbacks + 1
    if rollbacks > MAX_ROLLBACKS:
        raise RunnerError(
            f"training values became NaN or infinite near step {state.step} of {state.plan.steps}, {rollbacks} times, "
            f"at the end with learning rates of {state.rate_factor:.2g} times the usual",
            code=Code.TRAINING_DIVERGED,
            stage="training",
            advice="try another seed or fewer Gaussians; if it happens again, the camera poses are suspect",
        )
    good = {**good, "rollbacks": rollbacks, "rate_factor": state.rate_factor * ROLLBACK_RATE}
    load_state_dict(state, good)
    state.losses.clear()
    return good


def is_finite(state: TrainingState) -> bool:
    return optimiser.all_finite(state.params)


def _copies(values: dict[str, Tensor]) -> dict[str, Tensor]:
    return {key: _copy(value) for key, value in values.items()}


def _copy(value: Tensor) -> Tensor:
    """On the CPU; from a GPU it is there after the next synchronisation."""
    value = value.detach()
    if not value.is_cuda:
        return value.to("cpu", copy=True)
    return torch.empty(value.shape, dtype=value.dtype, pin_memory=True).copy_(value, non_blocking=True)


def _cuda_generators(state: TrainingState) -> dict[str, Tensor]:
    if not state.params["means"].is_cuda:
        return {}
    return {f"cuda{number:03d}": value for number, value in enumerate(torch.cuda.get_rng_state_all())}
