"""Everything a training run carries from step to step, and how it is saved, restored and rolled back to."""

from __future__ import annotations

import io
import pickle
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from runner import optim
from runner.atomic import write_atomically
from runner.densify import Densifier
from runner.optim import Optimizers, Parameters
from runner.plateau import Plateau
from runner.schedule import Plan

FILE = "state.pt"  # inside the folder of the training state
FORMAT = 1  # raised when an older file can no longer be continued from


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
        "history": [asdict(measurement) for measurement in state.history],
        "params": {name: _copy(value) for name, value in state.params.items()},
        "moments": {
            name: {key: _copy(value) for key, value in optimizer.state[state.params[name]].items()}
            for name, optimizer in state.optimizers.items()
        },
        "densifier": {key: _copy(value) for key, value in state.densifier.state_dict().items()},
        "rng": torch.get_rng_state(),
        "rng_cuda": torch.cuda.get_rng_state_all() if state.params["means"].is_cuda else [],
    }


def load_state_dict(state: TrainingState, saved: dict[str, Any]) -> None:
    """Bring `state` to where `saved` was taken. The number of Gaussians may differ between the two."""
    for name, value in saved["params"].items():
        device = state.params[name].device
        parameter = torch.nn.Parameter(value.to(device, copy=True))
        optimizer = state.optimizers[name]
        optimizer.state.clear()
        optimizer.param_groups[0]["params"] = [parameter]
        if saved["moments"][name]:
            optimizer.state[parameter] = {
                # Adam keeps its step counter on the CPU
                key: moment.clone() if key == "step" else moment.to(device, copy=True)
                for key, moment in saved["moments"][name].items()
            }
        state.params[name] = parameter
    state.plan = Plan(**saved["plan"])
    state.plateau = Plateau(**saved["plateau"])
    state.densifier.load_state_dict(saved["densifier"])
    state.densifier.replan(state.plan)
    state.step = saved["step"]
    state.seconds = saved["seconds"]
    state.loss = saved["loss"]
    state.rate_factor = saved["rate_factor"]
    state.rollbacks = saved["rollbacks"]
    state.history = [Measurement(**measurement) for measurement in saved["history"]]
    torch.set_rng_state(saved["rng"])
    if saved["rng_cuda"]:
        torch.cuda.set_rng_state_all(saved["rng_cuda"])


def save(saved: dict[str, Any], folder: Path, fingerprint: str) -> None:
    """Write the state so that a reader sees the old file or the whole new one. Raises ResourceError (disk full)."""
    folder.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    torch.save({**saved, "fingerprint": fingerprint}, buffer)
    write_atomically(folder / FILE, [buffer.getvalue()])


def saved_state(folder: Path, fingerprint: str) -> dict[str, Any] | None:
    """The saved state of the same training (same scene, settings and recipe), or None: then training begins anew."""
    path = folder / FILE
    if not path.is_file():
        return None
    try:
        saved: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError):  # damaged on its way through storage: worth nothing
        return None
    if saved.get("format") != FORMAT or saved.get("fingerprint") != fingerprint:
        return None
    return saved


def is_finite(state: TrainingState) -> bool:
    return optim.all_finite(state.params)


def _copy(value: Tensor) -> Tensor:
    return value.detach().to("cpu", copy=True)
