"""The schedules are shares of the plan: short and long plans go through the same stages."""

from __future__ import annotations

import pytest

from runner.training.plateau import Plateau
from runner.training.schedule import (
    RATES,
    REFINE_STEPS_MIN,
    Plan,
    Recipe,
    active_sh_degree,
    cost_left,
    downscale,
    learning_rates,
    recipe_for,
    refine_interval,
)

RECIPE = Recipe(quarter_until=0.1, half_until=0.4, sh_from=(0.2, 0.4, 0.6))


@pytest.mark.parametrize("pace", [100, 5_000, 30_000])
def test_picture_sizes_change_at_the_same_share_of_every_plan(pace: int) -> None:
    plan = Plan(pace)
    sizes = [downscale(plan.share(step), RECIPE) for step in range(plan.steps)]
    assert [sizes.count(divisor) / pace for divisor in (4, 2, 1)] == pytest.approx([0.1, 0.3, 0.6], abs=1.5 / pace)
    assert sizes == sorted(sizes, reverse=True)


def test_sh_degree_rises_to_the_most_allowed() -> None:
    assert [active_sh_degree(share, RECIPE, 3) for share in (0.0, 0.2, 0.39, 0.4, 0.6, 1.0)] == [0, 1, 1, 2, 3, 3]
    assert active_sh_degree(1.0, RECIPE, 1) == 1


def test_the_rate_of_the_means_falls_exponentially_and_scales_with_the_scene() -> None:
    begin, middle, end = (learning_rates(share, RECIPE, extent=2.0)["means"] for share in (0.0, 0.5, 1.0))
    assert begin == pytest.approx(2.0 * RECIPE.lr_means)
    assert end == pytest.approx(begin * RECIPE.lr_means_final)
    assert middle == pytest.approx((begin * end) ** 0.5)


def test_other_rates_stay() -> None:
    first, last = (learning_rates(share, RECIPE, 1.0) for share in (0.0, 1.0))
    for name in ("quats", "scales", "opacities", "sh0", "shN"):
        assert first[name] == last[name] > 0


def test_refinements_keep_their_share_but_never_crowd() -> None:
    recipe = Recipe(refine_share=0.02)
    assert refine_interval(30_000, recipe) == 600
    assert refine_interval(100, recipe) == REFINE_STEPS_MIN


def test_a_changed_pace_continues_at_the_same_share_and_ends_earlier() -> None:
    plan = Plan(1000)
    faster = plan.with_pace(500, step=400)
    assert faster.share(400) == plan.share(400) == pytest.approx(0.4)
    assert faster.steps == 700  # 0.6 of the schedules in 0.6 * 500 steps
    assert faster.share(700) == pytest.approx(1.0)
    assert faster.step_at(faster.share(550)) == 550


def test_the_cost_left_counts_small_pictures_as_cheap() -> None:
    assert cost_left(1.0, RECIPE) == 0.0
    assert cost_left(0.4, RECIPE) == pytest.approx(0.6)  # only full-size steps are left
    assert 0.6 < cost_left(0.0, RECIPE) < 1.0


def test_every_strategy_has_its_recipe() -> None:
    assert recipe_for("mcmc", 30_000).initial_opacity == 0.5  # as in gsplat's example trainer
    assert recipe_for("default", 30_000).initial_opacity == 0.1


def test_few_steps_are_larger_ones_up_to_the_length_that_the_rates_come_from() -> None:
    """And the noise, which is a multiple of the rate of the means, stays what it was."""
    long, between, short = (recipe_for("mcmc", steps) for steps in (30_000, 15_000, 7_000))
    for name in RATES:
        values = [getattr(recipe, name) for recipe in (long, between, short)]
        assert values == sorted(values, reverse=name == "noise_lr")
        assert values[0] != values[1] != values[2]
    for recipe in (between, short):
        assert recipe.noise_lr * recipe.lr_means == pytest.approx(long.noise_lr * long.lr_means)
    assert recipe_for("mcmc", 60_000) == long
    assert recipe_for("mcmc", 500) == short
    assert (long.averaged, between.averaged, short.averaged) == (False, True, True)


def test_a_plateau_is_a_whole_window_without_gain() -> None:
    falling = Plateau()
    assert not any(falling.add(step / 100, 1.0 / (1 + step)) for step in range(100))
    flat = Plateau()
    ends = [step for step in range(100) if flat.add(step / 100, 0.5)]
    assert ends[0] == pytest.approx(30, abs=2)  # two windows of 15 % of the plan have to be seen
