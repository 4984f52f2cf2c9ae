"""On a GPU, whole trainings: quality, a step of NaN, too little memory, and a training that changes its device."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from runner.quality.evaluate import evaluate
from runner.raster import Rasterizer
from tests import device_trainings as trainings
from tests.tiny_scene import tiny_scene
from tests.trainings import SETTINGS, run_training


@pytest.mark.parametrize("strategy", ["default", "mcmc"])
def test_a_whole_training(gpu: Rasterizer, strategy: str) -> None:
    trainings.check_training(gpu, replace(SETTINGS, strategy=strategy))


def test_a_training_is_as_good_as_on_the_cpu(gpu: Rasterizer, cpu: Rasterizer) -> None:
    scene = tiny_scene(cpu)
    scores = [evaluate(run_training(scene, SETTINGS, each).gaussians, scene, cpu).test.psnr for each in (gpu, cpu)]
    assert scores[0] is not None
    assert scores[0] == pytest.approx(scores[1], abs=1.0)


def test_exposures_are_learned_on_the_gpu(gpu: Rasterizer) -> None:
    result = run_training(tiny_scene(gpu), replace(SETTINGS, iterations=60, exposure="on"), gpu)
    assert result.exposure.corrected


def test_roll_back(gpu: Rasterizer) -> None:
    trainings.check_roll_back(gpu)


def test_a_state_of_the_cpu_is_resumed_on_the_gpu(gpu: Rasterizer, cpu: Rasterizer, tmp_path: Path) -> None:
    trainings.check_resumed_elsewhere(cpu, gpu, tmp_path, SETTINGS)


def test_a_state_of_the_gpu_is_resumed_on_the_cpu(gpu: Rasterizer, cpu: Rasterizer, tmp_path: Path) -> None:
    trainings.check_resumed_elsewhere(gpu, cpu, tmp_path, SETTINGS)


def test_a_state_of_the_gpu_is_resumed_on_the_gpu(gpu: Rasterizer, tmp_path: Path) -> None:
    trainings.check_resumed_elsewhere(gpu, gpu, tmp_path, SETTINGS)


def test_out_of_memory(gpu: Rasterizer, tmp_path: Path) -> None:
    trainings.check_out_of_memory(gpu, tmp_path)


def test_the_generators_of_the_process_are_left_alone(gpu: Rasterizer) -> None:
    before = torch.get_rng_state(), torch.cuda.get_rng_state()
    run_training(tiny_scene(gpu), replace(SETTINGS, iterations=5), gpu)
    assert torch.equal(before[0], torch.get_rng_state())
    assert torch.equal(before[1], torch.cuda.get_rng_state())
