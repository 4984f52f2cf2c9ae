"""What a training gives is the mean of its last steps, of the Gaussians that it has by then."""

from __future__ import annotations

import pytest
import torch

from runner.raster import Rasterizer
from runner.raster.parameters import Parameters
from runner.scene.views import TrainingScene
from runner.training import average, loop
from runner.training.loop import Trained
from runner.training.state import TrainingState
from tests.trainings import SETTINGS, fields_equal, run_training


def params(*values: float) -> Parameters:
    return {"means": torch.nn.Parameter(torch.tensor(values))}


def test_it_lies_amid_what_swings_around_it() -> None:
    mean: Parameters = {}
    for step in range(200):
        average.add(mean, params(5.0 + (-1.0) ** step, 2.0))
    middle, still = mean["means"].tolist()
    assert abs(middle - 5.0) < 0.1
    assert still == pytest.approx(2.0)


def test_it_follows_what_goes_on() -> None:
    mean: Parameters = {}
    for step in range(200):
        average.add(mean, params(float(step)))
    assert 199 - 1 / average.WEIGHT - 1 < mean["means"].item() < 199


def test_it_is_a_copy_and_begins_anew_with_other_gaussians() -> None:
    mean: Parameters = {}
    first = params(1.0)
    average.add(mean, first)
    first["means"].data += 1
    assert mean["means"].tolist() == [1.0]
    average.add(mean, params(3.0, 4.0))
    assert mean["means"].tolist() == [3.0, 4.0]


def test_a_training_gives_it_and_not_its_last_step(
    scene: TrainingScene, backend: Rasterizer, trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the steps themselves know nothing of it."""
    states: list[TrainingState] = []
    step = loop._step

    def kept(run: loop.Run, state: TrainingState) -> bool:
        states[:] = [state]
        return step(run, state)

    monkeypatch.setattr(loop, "_step", kept)
    result = run_training(scene, SETTINGS, backend)
    last = loop.parameters.to_gaussians(states[0].params)
    assert fields_equal(result.gaussians, trained.gaussians)
    assert result.gaussians.count == last.count
    assert not fields_equal(result.gaussians, last)
    monkeypatch.setattr(average, "WEIGHT", 1.0)
    assert fields_equal(run_training(scene, SETTINGS, backend).gaussians, last)
