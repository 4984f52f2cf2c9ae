"""Trainings for tests: one call to train, a stop after some checks, rasterisers that fail, what a saved state holds."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from runner.context import StageContext
from runner.files.array_file import StateFile, read_state, write_state
from runner.raster import Rasterizer, Rendering
from runner.scene.gaussians import Gaussians
from runner.scene.progress import SILENT, Progress, Report
from runner.scene.views import TrainingScene
from runner.training.loop import Trained, train
from runner.training.settings import TrainSettings

SETTINGS = TrainSettings(iterations=300, cap=400, sh_degree=1, budget_s=600, evaluations=2, seed=7)


def run_training(
    scene: TrainingScene,
    settings: TrainSettings,
    backend: Rasterizer,
    progress: Progress = SILENT,
    folder: Path | None = None,
    **options: Any,
) -> Trained:
    """`train` in the workspace `folder`, where its state is saved and resumed from; None: it is not saved."""
    saving: dict[str, Any] = {} if folder else {"save_s": None}
    return train(scene, StageContext(folder or Path(), progress), settings, backend, **saving, **options)


def stopping_after(checks: int, emit: Callable[[Report], None] = lambda _: None) -> Progress:
    """A progress that asks for a stop when it is checked once more than `checks` times."""
    counted = iter(range(checks))
    return Progress(emit, stop_requested=lambda: next(counted, None) is None)


class Spoiled:
    """A rasteriser that draws NaN, or fails, at some of its calls."""

    name = "cpu"

    def __init__(
        self,
        inner: Rasterizer,
        spoils: Callable[[int], bool] = lambda _: False,
        instead: Callable[[], object] | None = None,
    ) -> None:
        """spoils: whether to, by the number of the call, from 1. instead: what is called in the place of NaN."""
        self._inner, self._spoils, self._instead, self.device, self.calls = inner, spoils, instead, inner.device, 0

    def render(self, params: Mapping[str, Tensor], *args: Any, **kwargs: Any) -> Rendering:
        rendering = self._inner.render(params, *args, **kwargs)
        self.calls += 1
        if not self._spoils(self.calls):
            return rendering
        if self._instead:
            self._instead()
        return Rendering(rendering.image * float("nan"), rendering.alpha, rendering.info)


def state_file(folder: Path) -> Path:
    """Where a training in the workspace `folder` saves its state."""
    return folder / "training" / "state.npz"


def fingerprint_in(folder: Path) -> str:
    """Of the training whose state lies in the workspace `folder`."""
    with np.load(state_file(folder), allow_pickle=False) as file:
        value: str = json.loads(file["meta"].tobytes())["fingerprint"]
        return value


def saved_state(folder: Path) -> StateFile:
    """What the training in the workspace `folder` has saved."""
    state = read_state(state_file(folder), fingerprint_in(folder))
    assert state is not None
    return state


def replace_state(folder: Path, state: StateFile) -> None:
    """Put another state in the place of the saved one, of the same training by its fingerprint."""
    write_state(state_file(folder), state, fingerprint_in(folder))


def step_of(report: Report) -> int:
    """The step that a report names."""
    return int(report.detail.split()[1].split("/")[0])


def fields_equal(one: Gaussians, other: Gaussians) -> bool:
    """Bit by bit."""
    return all(np.array_equal(array, vars(other)[name]) for name, array in vars(one).items())
