"""What must hold of trainings on every device (see tests/device_checks.py): strategies, quality, resuming, memory."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from runner.job.child import unexpected
from runner.quality.evaluate import evaluate, mean_psnr
from runner.raster import Rasterizer, parameters
from runner.scene.gaussians import Gaussians
from runner.scene.progress import Progress
from runner.training import optimiser
from runner.training.densify import DefaultDensifier
from runner.training.initialise import initial_gaussians
from runner.training.mcmc import McmcDensifier, add_position_noise
from runner.training.schedule import MCMC, Plan, Recipe
from runner.training.settings import TrainSettings
from scenejobs.errors import Code, Interrupted
from tests.tiny_scene import tiny_scene
from tests.trainings import SETTINGS, Spoiled, run_training, step_of, stopping_after

BUFFER = 1 << 60  # bytes: more than any machine has


# ---- adding and removing Gaussians -----------------------------------------------------------------------------------


def small_gaussians(count: int) -> Gaussians:
    rng = np.random.default_rng(0)
    return Gaussians(
        means=rng.standard_normal((count, 3)).astype(np.float32),
        quats=rng.standard_normal((count, 4)).astype(np.float32),
        log_scales=np.full((count, 3), -5.0, np.float32),
        opacity_logits=rng.standard_normal(count).astype(np.float32),
        sh0=rng.standard_normal((count, 3)).astype(np.float32),
        sh_rest=np.zeros((count, 3, 3), np.float32),
    )


def after_one_step(count: int, device: torch.device) -> tuple[parameters.Parameters, optimiser.Optimizers]:
    """Parameters whose optimisers have moments."""
    params = parameters.parameters(small_gaussians(count), device)
    optimizers = optimiser.optimizers(params)
    for value in params.values():
        value.grad = torch.ones_like(value)
    optimiser.step(optimizers)
    return params, optimizers


def check_consistent(params: parameters.Parameters, optimizers: optimiser.Optimizers, count: int) -> None:
    """Every optimiser holds the parameter itself, with moments of its shape."""
    for name, optimizer in optimizers.items():
        (parameter,) = optimizer.param_groups[0]["params"]
        assert parameter is params[name]
        assert len(parameter) == count
        for moment in ("exp_avg", "exp_avg_sq"):
            assert optimizer.state[parameter][moment].shape == parameter.shape


class Screen:
    """Stands for means2d after backward: Gaussian i has a gradient of i."""

    def __init__(self, count: int, device: torch.device) -> None:
        ramp = torch.arange(count, dtype=torch.float32, device=device)
        self.grad = self.absgrad = torch.stack([ramp, torch.zeros_like(ramp)], dim=-1)[None]

    def retain_grad(self) -> None:
        """As CpuRasterizer's."""


def screen_info(count: int, device: torch.device) -> dict[str, Any]:
    return {
        "means2d": Screen(count, device), "radii": torch.ones(1, count, 2, dtype=torch.int32, device=device),
        "width": 2, "height": 2, "n_cameras": 1, "gaussian_ids": None,
    }  # fmt: skip


REFINED = Plan(600)  # is refined every 20 steps


def refine(densifier: DefaultDensifier | McmcDensifier, count: int, device: torch.device) -> None:
    """Through the first refinement of the plan."""
    step = next(step for step in range(1, 600) if densifier.refines_at(step))
    info = screen_info(count, device)
    densifier.before_backward(step, info)
    densifier.after_step(step, info, 0.0)


def check_default_growth(device: torch.device) -> None:
    """Small Gaussians of the largest gradients are cloned, up to the cap; their optimisers follow."""
    params, optimizers = after_one_step(10, device)
    before = params["means"].detach().clone()
    recipe = Recipe(grow_gradient=0.5, prune_opacity=0.0)
    densifier = DefaultDensifier(params, optimizers, REFINED, recipe, cap=13, extent=1.0)
    refine(densifier, 10, device)
    check_consistent(params, optimizers, 13)
    assert torch.equal(params["means"][10:], before[7:])


def check_default_pruning(device: torch.device) -> None:
    """Transparent Gaussians go."""
    params, optimizers = after_one_step(10, device)
    with torch.no_grad():
        params["opacities"][:4] = -20.0
        params["opacities"][4:] = 1.0
    kept = params["means"].detach()[4:].clone()
    densifier = DefaultDensifier(params, optimizers, REFINED, Recipe(grow_gradient=1e9), cap=13, extent=1.0)
    refine(densifier, 10, device)
    check_consistent(params, optimizers, 6)
    assert torch.equal(params["means"], kept)


def check_mcmc_refinement(device: torch.device) -> None:
    """The dead move onto the living, and the count grows by 5 % up to the cap."""
    torch.manual_seed(0)
    params, optimizers = after_one_step(100, device)
    with torch.no_grad():
        params["opacities"][:20] = -20.0
    places = {tuple(mean) for mean in params["means"].detach()[20:].tolist()}
    densifier = McmcDensifier(params, optimizers, REFINED, replace(MCMC, noise_lr=0.0), cap=103)
    refine(densifier, 100, device)
    check_consistent(params, optimizers, 103)
    assert {tuple(mean) for mean in params["means"].tolist()} == places
    assert float(torch.sigmoid(params["opacities"].detach()).min()) >= MCMC.prune_opacity * 0.999


def binomials() -> Tensor:
    """[51, 51] n choose k, as the MCMC strategies keep it."""
    return torch.tensor([[math.comb(n, k) for k in range(51)] for n in range(51)], dtype=torch.float64)


def check_relocation(
    relocate: Callable[[Tensor, Tensor, Tensor, Tensor], tuple[Tensor, Tensor]], table: Tensor, device: torch.device
) -> None:
    """The definition behind equation 9 of the MCMC paper: N blended copies have the line integral of the original.

    relocate: from opacities [M], scales [M, 3], copies [M] and `table`, the binomials [n, n] in the type that it wants.
    """
    opacity, scale, x = 0.7, 0.3, np.linspace(-10, 10, 200_001)
    copies = torch.tensor([1, 2, 5, 20], device=device)
    opacities, scales = relocate(
        torch.full((4,), opacity, device=device), torch.full((4, 3), scale, device=device), copies.clone(), table
    )
    before = opacity * np.exp(-(x**2) / (2 * scale**2))
    for number, new_opacity, new_scale in zip(copies.tolist(), opacities.tolist(), scales[:, 0].tolist(), strict=True):
        after = 1 - (1 - new_opacity * np.exp(-(x**2) / (2 * new_scale**2))) ** number
        assert np.trapezoid(after, x) == pytest.approx(np.trapezoid(before, x), rel=1e-3)
        assert after.max() == pytest.approx(opacity, rel=1e-4)


def check_position_noise(device: torch.device) -> None:
    """Only transparent Gaussians move, along their own shape."""
    torch.manual_seed(0)
    params = parameters.parameters(small_gaussians(2000), device)
    with torch.no_grad():
        params["means"].zero_()
        params["quats"][:] = torch.tensor([1.0, 0.0, 0.0, 0.0], device=device)
        params["scales"][:] = torch.log(torch.tensor([1.0, 0.1, 0.1], device=device))
        params["opacities"][:1000] = 5.0
        params["opacities"][1000:] = -12.0
    add_position_noise(params, scale=1.0)
    moved = params["means"].detach().cpu()
    assert float(moved[:1000].abs().max()) < 1e-6
    deviation = moved[1000:].std(dim=0) / torch.sigmoid(torch.tensor(100 * 0.005))  # the weight at opacity 0
    assert deviation.tolist() == pytest.approx([1.0, 0.01, 0.01], rel=0.1)


# ---- trainings -------------------------------------------------------------------------------------------------------


def check_training(backend: Rasterizer, settings: TrainSettings = SETTINGS) -> None:
    """A whole training: held-out views gain more than half the error, the cap holds, every value is finite."""
    scene = tiny_scene(backend)
    first = initial_gaussians(scene, cap=settings.cap, sh_degree=settings.sh_degree, opacity=0.1, scale=1.0, seed=7)
    before = mean_psnr(parameters.parameters(first, backend.device), scene, backend, "test", settings.sh_degree)
    result = run_training(scene, settings, backend)
    after = evaluate(result.gaussians, scene, backend).test.psnr
    assert before is not None
    assert after is not None
    assert after > before + 6
    assert (result.stopped, result.steps, result.rollbacks) == ("plan", settings.iterations, 0)
    assert result.history[-1].psnr_heldout == pytest.approx(after, abs=0.01)
    assert 150 < result.gaussians.count <= settings.cap
    assert all(np.isfinite(array).all() for array in vars(result.gaussians).values())


def check_roll_back(backend: Rasterizer) -> None:
    """One image of NaN is left behind."""
    settings = replace(SETTINGS, iterations=60)
    result = run_training(tiny_scene(backend), settings, Spoiled(backend, lambda call: call == 30))
    assert (result.rollbacks, result.steps) == (1, 60)
    assert all(np.isfinite(array).all() for array in vars(result.gaussians).values())


def check_resumed_elsewhere(first: Rasterizer, second: Rasterizer, folder: Path, settings: TrainSettings) -> None:
    """A training that was stopped on one device goes on on the other, and ends as good as one that was not stopped."""
    scene = tiny_scene(first)
    whole = run_training(scene, settings, first)
    with pytest.raises(Interrupted):
        run_training(scene, settings, first, stopping_after(settings.iterations // 20 - 1), folder)
    steps: list[int] = []
    resumed = run_training(scene, settings, second, Progress(lambda report: steps.append(step_of(report))), folder)
    assert resumed.resumed_at == (steps[0],)
    assert steps[0] == settings.iterations // 2
    assert (resumed.stopped, resumed.steps) == ("plan", settings.iterations)
    assert [line.step for line in resumed.history] == [line.step for line in whole.history]
    scores = [evaluate(result.gaussians, scene, first).test.psnr for result in (whole, resumed)]
    assert scores[0] is not None
    assert scores[1] == pytest.approx(scores[0], abs=1.0)


def too_much(device: torch.device) -> object:
    """Asks for more memory than there is, as torch does on a GPU and numpy on the CPU."""
    if device.type == "cuda":
        return torch.empty(BUFFER, dtype=torch.uint8, device=device)
    return np.empty(BUFFER, np.uint8)


def check_out_of_memory(backend: Rasterizer, folder: Path) -> None:
    """A failed allocation in a step is our OUT_OF_MEMORY, and the same process can train with less afterwards."""
    scene, settings = tiny_scene(backend), replace(SETTINGS, iterations=30)
    full = Spoiled(backend, lambda call: call == 15, lambda: too_much(backend.device))
    with pytest.raises((MemoryError, torch.OutOfMemoryError)) as caught:
        run_training(scene, settings, full, folder=folder)
    error = unexpected(caught.value, caught.value.__traceback__, folder, "training")
    assert (error.code, error.stage) == (Code.OUT_OF_MEMORY, "training")
    assert error.advice
    smaller = run_training(scene, replace(settings, cap=settings.cap // 2), backend)
    assert smaller.steps == 30
