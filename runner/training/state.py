"""Everything a training run carries from step to step, and how it is saved, restored and rolled back to."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from runner.files.array_file import StateFile, flat, read_state, tree_of, write_state
from runner.raster.parameters import Parameters
from runner.training import optimiser
from runner.training.exposure import Exposures
from runner.training.optimiser import Optimizers
from runner.training.plateau import Plateau
from runner.training.schedule import Plan
from runner.training.strategy import Densifier

FILE = "state.npz"  # inside the folder of the training state
FORMAT = 3  # raised when an older file can no longer be continued from
TENSORS = ("params", "moments", "densifier", "exposures", "rng")  # branches of a state dict; all else is plain values


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
    exposures: Exposures | None = None  # of the training pictures, where they are compensated
    losses: list[tuple[float, Tensor]] = field(default_factory=list)  # share and loss of the steps not looked at yet

    @property
    def count(self) -> int:
        return len(self.params["means"])


def state_dict(state: TrainingState) -> dict[str, Any]:
    """A copy, on the CPU, of all that decides the next steps: tensors and plain values only."""
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
        "history": [asdict(measurement) for measurement in state.history],
        "params": {name: _copy(value) for name, value in state.params.items()},
        "moments": {
            name: {key: _copy(value) for key, value in optimizer.state[state.params[name]].items()}
            for name, optimizer in state.optimizers.items()
        },
        "densifier": _copies(state.densifier.state_dict()),
        "exposures": _copies(state.exposures.state_dict()) if state.exposures else {},
        "rng": {"cpu": torch.get_rng_state(), **_cuda_generators(state)},
    }


def load_state_dict(state: TrainingState, saved: dict[str, Any]) -> None:
    """Bring `state` to where `saved` was taken. The number of Gaussians may differ between the two."""
    for name, value in saved["params"].items():
        device = state.params[name].device
        parameter = torch.nn.Parameter(value.to(device, copy=True))
        optimizer = state.optimizers[name]
        optimizer.state.clear()
        optimizer.param_groups[0]["params"] = [parameter]
        if moments := saved["moments"].get(name):
            optimizer.state[parameter] = {
                # Adam keeps its step counter on the CPU
                key: moment.clone() if key == "step" else moment.to(device, copy=True)
                for key, moment in moments.items()
            }
        state.params[name] = parameter
    state.plan = Plan(**saved["plan"])
    state.plateau = Plateau(**saved["plateau"])
    state.plateaued = saved["plateaued"]
    state.resumed_at = list(saved["resumed_at"])
    state.densifier.load_state_dict(saved["densifier"])
    if state.exposures:
        state.exposures.load_state_dict(saved["exposures"])
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


def save(saved: dict[str, Any], folder: Path, fingerprint: str) -> None:
    """Write the state so that a reader sees the old file or the whole new one. Raises ResourceError (disk full)."""
    arrays = {name: value.contiguous().numpy() for name, value in flat({name: saved[name] for name in TENSORS}).items()}
    values = {name: value for name, value in saved.items() if name not in TENSORS}
    write_state(folder / FILE, StateFile(values, arrays), fingerprint)


def resume(state: TrainingState, folder: Path, fingerprint: str) -> bool:
    """Bring `state` to what the folder holds of the same training (same scene, settings and recipe).

    False, and nothing is changed, when it holds nothing, or what is there is damaged, foreign or does not fit together.
    """
    found = read_state(folder / FILE, fingerprint)
    if found is None or found.values.get("format") != FORMAT:
        return False
    before = state_dict(state)
    try:
        tensors = tree_of({name: torch.from_numpy(array) for name, array in found.arrays.items()})
        saved = {**found.values, **{branch: tensors.pop(branch, {}) for branch in TENSORS}}
        if tensors or not (_tensors_fit(saved, before) and _alike(found.values, before)):
            return False
        load_state_dict(state, saved)
    except (KeyError, TypeError, ValueError, RuntimeError, AttributeError):  # e.g. a branch that is a leaf
        load_state_dict(state, before)
        return False
    state.resumed_at.append(state.step)
    return True


def _tensors_fit(saved: dict[str, Any], fresh: dict[str, Any]) -> bool:
    """Whether the tensors are those of one training like the fresh one: names, kinds, and one row per Gaussian."""
    params, like = saved["params"], fresh["params"]
    if params.keys() != like.keys():
        return False
    count = len(params["means"])
    for name, value in params.items():
        if value.dtype != torch.float32 or value.shape != (count, *like[name].shape[1:]):
            return False
        moments = saved["moments"].get(name)  # none before the first step
        shapes = {"step": torch.Size(), "exp_avg": value.shape, "exp_avg_sq": value.shape}
        if moments and {key: moment.shape for key, moment in moments.items()} != shapes:
            return False
    found, expected = (
        {key: (value.dtype, value.shape) for key, value in each["exposures"].items()} for each in (saved, fresh)
    )
    if found != expected:
        return False
    known = saved["moments"].keys() <= params.keys()
    return known and count > 0 and all(len(value) == count for value in saved["densifier"].values())


def _alike(values: dict[str, Any], fresh: dict[str, Any]) -> bool:
    """Whether the plain values are of the same kinds as those of a training that has not begun."""
    whole = [*(values.get(name) for name in ("step", "rollbacks")), *values.get("resumed_at", [None])]
    numbers = [*whole, *(values.get(name) for name in ("seconds", "loss", "rate_factor"))]
    numbers += [value for name in ("plan", "plateau") for value in values[name].values()]
    return (
        values.keys() == fresh.keys() - set(TENSORS)
        and all(values[name].keys() == fresh[name].keys() for name in ("plan", "plateau"))
        and all(isinstance(value, (int, float)) for value in numbers)
        and all(isinstance(value, int) and value >= 0 for value in whole)
        and isinstance(values["plateaued"], bool)
        and all(set(line) == set(Measurement.__annotations__) for line in values["history"])
    )


def is_finite(state: TrainingState) -> bool:
    return optimiser.all_finite(state.params)


def _copies(values: dict[str, Tensor]) -> dict[str, Tensor]:
    return {key: _copy(value) for key, value in values.items()}


def _copy(value: Tensor) -> Tensor:
    return value.detach().to("cpu", copy=True)


def _cuda_generators(state: TrainingState) -> dict[str, Tensor]:
    if not state.params["means"].is_cuda:
        return {}
    return {f"cuda{number:03d}": value for number, value in enumerate(torch.cuda.get_rng_state_all())}
