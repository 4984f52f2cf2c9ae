"""The checks of tests/gpu on the CPU: what waits for a GPU is known to run, and to hold where it can be seen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from runner.raster import Rasterizer, rasterizer
from runner.training.mcmc import relocation
from tests import device_checks as checks
from tests import device_trainings as trainings
from tests.raster_oracle import Shot
from tests.trainings import SETTINGS

CPU = torch.device("cpu")


@pytest.fixture(scope="module", params=["cpu", "torch"])
def each(request: pytest.FixtureRequest) -> Rasterizer:
    return rasterizer(request.param)


@pytest.mark.parametrize("shot", [Shot(), Shot(sh_degree=0), Shot(antialiased=True)], ids=["full", "plain", "smooth"])
def test_drawing(each: Rasterizer, shot: Shot) -> None:
    checks.check_drawing(each, shot, count=200)


def test_what_strategies_read(each: Rasterizer) -> None:
    checks.check_what_strategies_read(each, sums_per_pixel=each.name == "cpu")


def test_odd_sizes_and_hidden_gaussians(each: Rasterizer) -> None:
    checks.check_odd_sizes(each)
    checks.check_hidden_gaussians(each)


def test_coverage(backend: Rasterizer) -> None:
    checks.check_coverage(backend)


def test_the_parts_of_a_step(backend: Rasterizer) -> None:
    checks.check_loss(CPU)
    checks.check_adam(CPU)
    checks.check_training_images(backend)
    checks.check_exposures(CPU)
    checks.check_scores(CPU)


def test_adding_and_removing_gaussians() -> None:
    trainings.check_default_growth(CPU)
    trainings.check_default_pruning(CPU)
    trainings.check_mcmc_refinement(CPU)
    trainings.check_position_noise(CPU)


def test_relocation() -> None:
    trainings.check_relocation(relocation, trainings.binomials(), CPU)


@pytest.mark.parametrize("strategy", ["default", "mcmc"])
def test_a_whole_training(backend: Rasterizer, strategy: str) -> None:
    trainings.check_training(backend, replace(SETTINGS, strategy=strategy))


def test_roll_back(backend: Rasterizer) -> None:
    trainings.check_roll_back(backend)


@pytest.mark.parametrize("order", [("cpu", "torch"), ("torch", "cpu")], ids=" to ".join)
def test_a_training_goes_on_on_another_rasteriser(order: tuple[str, str], tmp_path: Path) -> None:
    """In the place of another device: plain torch is another rasteriser with other rounding."""
    first, second = (rasterizer(name) for name in order)
    trainings.check_resumed_elsewhere(first, second, tmp_path, replace(SETTINGS, iterations=80, evaluations=2))


def test_out_of_memory(backend: Rasterizer, tmp_path: Path) -> None:
    trainings.check_out_of_memory(backend, tmp_path)
