"""The benchmark for a lent GPU runs as a whole without one, tiny, so that it does not break there."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from benchmarks.gpu import goals, gsplat_trainer, parts, poses
from benchmarks.gpu.__main__ import MISSING, OWN_RUNS, PRESETS, plans, sections, toy_scenes
from benchmarks.gpu.goals import NOT_MEASURED, Timed
from runner.raster import rasterizer
from tests.tiny_scene import tiny_scene

ROOT = Path(__file__).parents[3]


def test_the_whole_page_is_written_without_a_gpu(tmp_path: Path) -> None:
    toy_scenes(tmp_path)
    page, _ = sections(tmp_path, toy=True)
    for name in (*PRESETS, *(plan[0] for plan in plans(tmp_path, toy=True))):
        assert f"| tiny | {name} |" in page, name
    for strategy, steps in OWN_RUNS:
        assert f"| tiny | gsplat's own trainer, {strategy} | 8 of 60 x 48 | {steps // 200} |" in page
    assert MISSING in page
    assert page.count(NOT_MEASURED) == 5  # without a GPU no goal is shown
    assert "the numbers mean nothing" in page
    assert "missing" in page.split("## Poses on the GPU")[1].split("##")[0]


@pytest.mark.parametrize("name", ["default", "mcmc"])
def test_gsplats_own_trainer_trains(name: str) -> None:
    """A hundredth of its schedule: the held-out views get better, and the number of Gaussians changes."""
    backend = rasterizer("cpu")
    result = gsplat_trainer.train(tiny_scene(backend), backend, name, 120, whole=300, looks=4)
    first, *_, last = result.psnr_by_step
    assert last[2] > first[2]
    assert [look[0] for look in result.psnr_by_step] == [30, 60, 90, 120]
    assert result.gaussians.count != 150


def test_gsplats_strategies_have_their_own_defaults() -> None:
    device = rasterizer("cpu").device
    default, _ = gsplat_trainer.strategy_of(False, 1.0, 1.0, device)
    assert (default.refine_start_iter, default.refine_stop_iter, default.refine_every) == (500, 15_000, 100)
    assert (default.reset_every, default.grow_grad2d, default.absgrad) == (3_000, 2e-4, False)
    mcmc, _ = gsplat_trainer.strategy_of(True, 1.0, 1.0, device)
    assert (mcmc.cap_max, mcmc.noise_lr, mcmc.refine_every, mcmc.refine_stop_iter) == (1_000_000, 5e5, 100, 25_000)


def test_the_time_to_a_psnr_is_read_from_the_looks() -> None:
    curve = ((10, 1.0, 20.0), (20, 2.0, 24.0), (30, 3.0, 25.0))
    assert goals.seconds_to(curve, 22.0) == pytest.approx(1.5)
    assert goals.seconds_to(curve, 20.0) == pytest.approx(1.0)
    assert goals.seconds_to(curve, 26.0) is None


def test_goals_tell_what_a_run_shows_and_no_more() -> None:
    ours = [
        Timed("fox", "standard", 15_000, 300.0, 30.0, ((7_500, 150.0, 28.0), (15_000, 300.0, 30.0))),
        Timed("fox", "standard, 30,000 steps", 30_000, 600.0, 30.5, ()),
    ]
    theirs = [Timed("fox", "gsplat's own trainer, mcmc", 30_000, 1_200.0, 29.0, ())]
    on_a100 = "\n".join(goals.rows(ours, theirs, "NVIDIA A100 80GB PCIe"))
    assert "fox standard, 30,000 steps: +1.50 dB" in on_a100
    assert "| fox: 0.19 |" in on_a100  # 225 of 1,200 s
    assert "training alone 5.0 min" in on_a100
    assert on_a100.count(NOT_MEASURED) == 2  # a T4, and `draft`
    worse = [Timed("fox", "standard", 15_000, 300.0, 28.0, ((15_000, 300.0, 28.0),))]
    assert "fox: never" in "\n".join(goals.rows(worse, theirs, "NVIDIA H200"))


def test_parts_and_poses_are_measured_on_any_device() -> None:
    rows = parts.measure(rasterizer("cpu"), parts.TOY)
    assert [row.name.split(",")[0] for row in rows] == [
        "L1 + SSIM and gradient", "noise of MCMC", "Adam", "drawing and gradient", "one trial of the clean-up",
        "wait for a saved state",
    ]  # fmt: skip
    assert all(row.before_ms > 0 and row.after_ms > 0 for row in rows)
    assert len(poses.rows(toy=True)) == 2


def test_the_script_runs_dry(tmp_path: Path) -> None:
    """What it would run on a GPU, in its order, without a driver, a compiler and the virtual environment."""
    script = [ROOT / "benchmarks" / "gpu.sh", "--dry-run", tmp_path]
    environment = {name: value for name, value in os.environ.items() if name != "SCENE_FOOTAGE"}
    done = subprocess.run(script, env=environment, capture_output=True, text=True, check=True)
    told = [line.removeprefix("would run: ") for line in done.stdout.splitlines() if line.startswith("would run: ")]
    assert any("pip install" in line for line in told)
    assert any(line.endswith("-m pytest -rs tests/gpu") for line in told)
    assert [line for line in told if "benchmarks.scenes" in line] == [
        f"{tmp_path}/venv/bin/python -m benchmarks.scenes --preset {preset} {tmp_path}/scenes/{preset} courtyard"
        for preset in PRESETS
    ]
    assert told[-1] == f"{tmp_path}/venv/bin/python -m benchmarks.gpu {tmp_path}/scenes"
