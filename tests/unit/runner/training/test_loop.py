"""Training recovers a scene, keeps its cap, its budget and its seed, and fails with a reason."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from runner.quality.evaluate import evaluate, mean_psnr
from runner.raster import Rasterizer, parameters
from runner.scene.progress import Progress, Report
from runner.scene.views import TrainingScene
from runner.training.initialise import initial_gaussians
from runner.training.loop import Trained
from runner.training.schedule import Plan
from scenejobs.errors import Code, InputError, RunnerError
from tests.trainings import SETTINGS, Spoiled, fields_equal, run_training, saved_state


def test_training_improves_unseen_views_by_far(scene: TrainingScene, backend: Rasterizer, trained: Trained) -> None:
    """6 dB is half the error. The truth is Gaussians seen by every camera, so more than that has to be gained."""
    first = initial_gaussians(scene, cap=400, sh_degree=1, opacity=0.1, scale=1.0, seed=7)
    before = mean_psnr(parameters.parameters(first, backend.device), scene, backend, "test", 1)
    after = evaluate(trained.gaussians, scene, backend)
    assert before is not None
    assert after.test.psnr is not None
    assert after.test.psnr > before + 8
    assert after.gap_db is not None
    assert after.gap_db < 5
    assert trained.stopped == "plan"
    assert trained.steps == 300
    assert [line.step for line in trained.history] == [150, 300]
    assert trained.history[-1].psnr_heldout == pytest.approx(after.test.psnr, abs=1e-3)


@pytest.mark.parametrize("strategy", ["default", "mcmc"])
def test_the_cap_holds(scene: TrainingScene, backend: Rasterizer, strategy: str) -> None:
    result = run_training(scene, replace(SETTINGS, cap=170, strategy=strategy), backend)
    assert result.gaussians.count <= 170
    assert result.gaussians.count > 150  # it did grow
    assert run_training(scene, replace(SETTINGS, iterations=5, cap=60), backend).gaussians.count <= 60


def test_the_same_seed_gives_the_same_bytes(scene: TrainingScene, backend: Rasterizer, trained: Trained) -> None:
    again = run_training(scene, SETTINGS, backend)
    other = run_training(scene, replace(SETTINGS, seed=8), backend)
    assert fields_equal(trained.gaussians, again.gaussians)
    assert not fields_equal(trained.gaussians, other.gaussians)


def test_the_global_generator_is_left_alone(scene: TrainingScene, backend: Rasterizer) -> None:
    before = torch.get_rng_state()
    run_training(scene, replace(SETTINGS, iterations=5), backend)
    assert torch.equal(before, torch.get_rng_state())


def test_the_time_budget_ends_training_with_a_usable_result(scene: TrainingScene, backend: Rasterizer) -> None:
    result = run_training(scene, replace(SETTINGS, iterations=1_000_000, budget_s=2.0), backend)
    assert result.stopped == "budget"
    assert 0 < result.steps < 1_000_000
    assert result.wall_s < 10
    assert all(np.isfinite(array).all() for array in vars(result.gaussians).values())
    assert result.history[-1].step == result.steps


def test_a_plan_far_too_long_for_its_budget_is_gone_through_in_the_budget(
    scene: TrainingScene, backend: Rasterizer, tmp_path: Path
) -> None:
    """At a second per step 0.1 % of the plan fits; its pace must be looked at long before 5 % have passed."""
    clocked = Spoiled(backend)
    long = replace(SETTINGS, iterations=200_000, budget_s=200.0)
    result = run_training(scene, long, clocked, folder=tmp_path, clock=lambda: float(clocked.calls))
    state = saved_state(tmp_path)
    assert result.stopped == "budget"
    assert 150 < result.steps <= 210
    assert Plan(**state.values["plan"]).share(result.steps) > 0.95


def test_one_bad_step_is_rolled_back_and_left_behind(scene: TrainingScene, backend: Rasterizer) -> None:
    result = run_training(scene, SETTINGS, Spoiled(backend, lambda call: call == 200))
    assert result.rollbacks == 1
    assert result.steps == 300
    assert all(np.isfinite(array).all() for array in vars(result.gaussians).values())


def test_values_that_stay_bad_end_as_diverged(scene: TrainingScene, backend: Rasterizer) -> None:
    with pytest.raises(RunnerError) as caught:
        run_training(scene, SETTINGS, Spoiled(backend, lambda call: call > 40))
    assert caught.value.code == Code.TRAINING_DIVERGED
    assert "3 times" in caught.value.cause
    assert caught.value.advice


def test_progress_names_step_quality_and_count(scene: TrainingScene, backend: Rasterizer) -> None:
    reports: list[Report] = []
    run_training(scene, SETTINGS, backend, Progress(reports.append))
    assert reports[-1].stage == "training"
    assert reports[-1].fraction == pytest.approx(1.0)
    assert reports[-1].detail.startswith("step 300/300, ")
    assert " dB, " in reports[-1].detail
    assert reports[-1].detail.endswith(" Gaussians")
    assert [report.fraction for report in reports] == sorted(report.fraction for report in reports)


@pytest.mark.parametrize("kept", [0, 1])
def test_too_few_views_are_refused(scene: TrainingScene, backend: Rasterizer, kept: int) -> None:
    few = replace(scene, views=scene.views[:kept], pixels=scene.pixels[:kept])
    with pytest.raises(InputError, match=f"{kept} of {kept} views"):
        run_training(few, SETTINGS, backend)


@pytest.mark.parametrize("kept", [0, 2])
def test_too_few_points_are_refused(scene: TrainingScene, backend: Rasterizer, kept: int) -> None:
    few = replace(
        scene,
        points=scene.points[:kept],
        colors=scene.colors[:kept],
        point_errors=scene.point_errors[:kept],
        track_lengths=scene.track_lengths[:kept],
    )
    with pytest.raises(InputError, match="sparse points") as caught:
        run_training(few, SETTINGS, backend)
    assert caught.value.advice


def test_a_scene_without_test_views_trains(scene: TrainingScene, backend: Rasterizer) -> None:
    views = tuple(replace(view, split="train") for view in scene.views)
    result = run_training(replace(scene, views=views), replace(SETTINGS, iterations=20), backend)
    assert result.history[-1].psnr_heldout is None
