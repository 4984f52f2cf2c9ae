"""Growing and pruning: never beyond the cap, largest gradients first; MCMC's formulas against their definitions."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from gsplat.cuda._torch_impl import _quat_scale_to_covar_preci
from gsplat.strategy import DefaultStrategy

from runner.raster import parameters
from runner.training.densify import CappedDefaultStrategy, DefaultDensifier
from runner.training.mcmc import McmcDensifier, TorchMcmcStrategy, add_position_noise, by_covariance, relocation
from runner.training.schedule import MCMC, Plan, Recipe
from tests.device_trainings import after_one_step, check_consistent, screen_info, small_gaussians

CPU = torch.device("cpu")


def test_default_strategy_grows_the_largest_gradients_up_to_the_cap() -> None:
    params, optimizers = after_one_step(10, CPU)
    strategy = CappedDefaultStrategy(
        refine_start_iter=0, refine_every=5, reset_every=10**9, grow_grad2d=0.5, prune_opa=0.0
    )
    strategy.cap = 13
    state = strategy.initialize_state(scene_scale=1.0)
    before = params["means"].detach().clone()
    strategy.step_post_backward(params, optimizers, state, 5, screen_info(10, CPU))
    assert len(params["means"]) == 13
    assert torch.equal(params["means"][10:], before[7:])  # small ones are cloned: the three of largest gradient
    assert strategy.grow_grad2d == 0.5
    check_consistent(params, optimizers, len(params["means"]))
    strategy.step_post_backward(params, optimizers, state, 10, screen_info(13, CPU))
    assert len(params["means"]) == 13


def test_default_strategy_below_the_cap_grows_all_above_the_threshold() -> None:
    params, optimizers = after_one_step(10, CPU)
    strategy = CappedDefaultStrategy(refine_start_iter=0, refine_every=5, reset_every=10**9, grow_grad2d=6.5)
    strategy.cap = 1000
    state = strategy.initialize_state(scene_scale=1.0)
    strategy.step_post_backward(params, optimizers, state, 5, screen_info(10, CPU))
    assert len(params["means"]) == 13  # gradients 7, 8, 9


def test_mcmc_moves_the_dead_onto_the_living_and_grows_to_the_cap() -> None:
    torch.manual_seed(0)
    params, optimizers = after_one_step(100, CPU)
    with torch.no_grad():
        params["opacities"][:20] = -20.0
    strategy = TorchMcmcStrategy(cap_max=103, refine_start_iter=0, refine_every=5, noise_lr=0.0)
    state = strategy.initialize_state()
    living = params["means"].detach()[20:].clone()
    strategy.step_post_backward(params, optimizers, state, 5, {}, lr=0.0)
    assert len(params["means"]) == 103  # 5 % more would be 105
    assert float(torch.sigmoid(params["opacities"].detach()).min()) >= strategy.min_opacity * 0.999
    places = {tuple(mean) for mean in living.tolist()}
    assert {tuple(mean) for mean in params["means"].tolist()} == places  # all sit where living ones were
    check_consistent(params, optimizers, len(params["means"]))


@pytest.mark.parametrize("copies", [1, 2, 5, 20])
def test_relocated_copies_together_cover_as_much_as_the_one_before(copies: int) -> None:
    """The definition behind equation 9: the line integral of N blended copies equals that of the original."""
    opacity, scale = 0.7, 0.3
    binomials = torch.tensor([[math.comb(n, k) for k in range(51)] for n in range(51)], dtype=torch.float64)
    new_opacity, new_scales = relocation(
        torch.tensor([opacity]), torch.full((1, 3), scale), torch.tensor([copies]), binomials
    )
    x = np.linspace(-10, 10, 200_001)
    before = opacity * np.exp(-(x**2) / (2 * scale**2))
    after = 1 - (1 - float(new_opacity) * np.exp(-(x**2) / (2 * float(new_scales[0, 0]) ** 2))) ** copies
    assert np.trapezoid(after, x) == pytest.approx(np.trapezoid(before, x), rel=1e-4)
    assert after.max() == pytest.approx(opacity, rel=1e-5)  # and the centre is as opaque as before


def test_noise_moves_only_the_transparent_and_along_their_shape() -> None:
    torch.manual_seed(0)
    params = parameters.parameters(small_gaussians(2000), torch.device("cpu"))
    with torch.no_grad():
        params["means"].zero_()
        params["quats"][:] = torch.tensor([1.0, 0.0, 0.0, 0.0])
        params["scales"][:] = torch.log(torch.tensor([1.0, 0.1, 0.1]))
        params["opacities"][:1000] = 5.0
        params["opacities"][1000:] = -12.0
    add_position_noise(params, scale=1.0)
    moved = params["means"].detach()
    assert float(moved[:1000].abs().max()) < 1e-6
    deviation = moved[1000:].std(dim=0) / torch.sigmoid(torch.tensor(100 * 0.005))  # the weight at opacity 0
    # covariance times unit noise: variances 1, 0.01, 0.01 become the standard deviations
    assert deviation.tolist() == pytest.approx([1.0, 0.01, 0.01], rel=0.1)


def test_noise_is_turned_as_by_the_covariance_matrix() -> None:
    """Quaternions on vectors against gsplat's own covariances and a product of matrices, in float64."""
    generator = torch.Generator().manual_seed(0)
    quats, log_scales, vectors = (
        torch.randn(200, width, generator=generator, dtype=torch.float64) for width in (4, 3, 3)
    )
    covariances, _ = _quat_scale_to_covar_preci(quats, torch.exp(log_scales), compute_preci=False)
    expected = torch.einsum("bij,bj->bi", covariances, vectors)
    torch.testing.assert_close(by_covariance(quats, log_scales, vectors), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("steps", "interval", "growth"), [(30_000, 100, 1.05), (7_000, 100, 1.05 ** (30 / 7))])
def test_mcmc_refines_every_hundred_steps_and_grows_by_its_share_of_the_plan(
    steps: int, interval: int, growth: float
) -> None:
    """gsplat's 5 % at each of 245 refinements of 30,000 steps; a shorter plan has fewer, so each adds more."""
    params, optimizers = after_one_step(1000, CPU)
    with torch.no_grad():
        params["opacities"][:] = 1.0
    densifier = McmcDensifier(params, optimizers, Plan(steps), replace(MCMC, noise_lr=0.0), cap=10_000)
    refined = [step for step in range(1, steps) if densifier.refines_at(step)]
    assert {later - step for step, later in itertools.pairwise(refined)} == {interval}
    densifier.after_step(refined[0], {}, 0.0)
    assert len(params["means"]) == int(1000 * growth)


def test_mcmc_hands_no_memory_back_and_asks_for_no_sums_of_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    emptied = []
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: emptied.append(True))
    params, optimizers = after_one_step(100, CPU)
    densifier = McmcDensifier(params, optimizers, Plan(600), MCMC, cap=200)
    assert not densifier.reads_absgrad(1)
    for step in range(1, 100):
        densifier.after_step(step, {}, 1e-4)
    assert len(params["means"]) > 100
    assert emptied == []


def test_default_reads_absolute_gradients_until_its_last_refinement_and_not_after() -> None:
    """Where it says that it does not, it works without them."""
    params, optimizers = after_one_step(100, CPU)
    densifier = DefaultDensifier(params, optimizers, Plan(200), Recipe(), cap=200, extent=1.0)
    read = [step for step in range(1, 200) if densifier.reads_absgrad(step)]
    assert read == list(range(1, round(200 * Recipe().refine_until)))
    screen = SimpleNamespace(grad=torch.zeros(1, 100, 2), absgrad=None, retain_grad=lambda: None)
    info = {
        "means2d": screen,
        "width": 8,
        "height": 8,
        "n_cameras": 1,
        "radii": torch.ones(1, 100, 2),
        "gaussian_ids": None,
    }
    for step in range(len(read) + 1, 200):
        densifier.before_backward(step, info)
        densifier.after_step(step, info, 1e-4)
    with pytest.raises(AttributeError):
        densifier.after_step(len(read), info, 1e-4)
    assert not DefaultDensifier(
        params, optimizers, Plan(200), replace(Recipe(), absgrad=False), 200, 1.0
    ).reads_absgrad(1)


def test_the_sums_of_gradients_are_gsplats_own() -> None:
    """Ours never asks the device which Gaussians were seen; the numbers are the same."""
    generator = torch.Generator().manual_seed(0)
    params, _ = after_one_step(50, CPU)
    states = [strategy(absgrad=True).initialize_state() for strategy in (DefaultStrategy, CappedDefaultStrategy)]
    for _ in range(3):
        info = screen_info(50, CPU)
        info["means2d"].grad = info["means2d"].absgrad = torch.randn(1, 50, 2, generator=generator)
        info["radii"] = torch.randint(0, 3, (1, 50, 2), generator=generator, dtype=torch.int32)
        for strategy, state in zip((DefaultStrategy, CappedDefaultStrategy), states, strict=True):
            strategy(absgrad=True)._update_state(params, state, info)
    assert torch.equal(states[0]["count"], states[1]["count"])
    assert torch.equal(states[0]["grad2d"], states[1]["grad2d"])
