"""What changes over a training, as pure functions of how far the plan has come; and a plan that keeps to its budget.

Everything is a share of the plan, never a step number, so a plan of 500 steps and one of 30,000 go through the same
stages: coarse images to full ones, plain colour to view-dependent colour, growing to refining.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from runner.training.settings import WINDOWS, TrainSettings

BUDGET_MARGIN = 0.97  # the part of the time budget that the plan may fill
SPEED_SAMPLES, SPEED_SAMPLES_MIN = 20, 5  # checks that the speed is measured over
PACE_CHANGE = 0.03  # smaller corrections of the plan are not worth one
JUDGED_STEPS = 250  # half of the plan that set the limits of the witnesses: after fewer nothing has formed
REFINE_STEPS_MIN = 20  # fewer steps than this between two refinements see too few views to judge a Gaussian by


@dataclass(frozen=True)
class Recipe:
    """The numbers of the training, tuned in benchmarks/training.py. Shares are of the plan, 0..1."""

    quarter_until: float = 0.15  # train on images of a quarter of the size until here ...
    half_until: float = 0.40  # ... and of half the size until here; full size after
    sh_from: tuple[float, ...] = (0.125, 0.25, 0.375)  # share at which SH degree 1, 2, 3 begin

    lr_means: float = 4.8e-4  # times the scene's extent
    lr_means_final: float = 0.01  # of lr_means, reached exponentially at the end
    lr_quats: float = 6e-3
    lr_scales: float = 3e-2
    lr_opacities: float = 7.5e-2
    lr_sh0: float = 3.75e-3
    lr_sh_rest: float = 3.75e-3 / 20

    refine_from: float = WINDOWS["default"][0]  # densification window
    refine_until: float = WINDOWS["default"][1]
    refine_share: float = 1 / 30  # one refinement per this share of the plan ...
    refine_steps_max: int = 1_000_000  # ... and at least every so many steps
    grow_gradient: float = 6e-4  # in units of half the image; "default" strategy
    absgrad: bool = True  # AbsGS: sum of |gradient| over the pixels
    prune_opacity: float = 0.005
    initial_opacity: float = 0.1
    initial_scale: float = 1.0  # times the mean distance to the three nearest points
    dense_share: float = 0.3  # of the cap: Gaussians to begin with, at least, from dense points; 0: none are looked for
    opacity_penalty: float = 0.0
    scale_penalty: float = 0.0
    depth_weight: float = 2.0  # of the measured depths where views are few (swept_depths.py) ...
    depth_weight_final: float = 0.01  # ... of it, reached exponentially at the end
    noise_lr: float = 5e5  # "mcmc" strategy
    averaged: bool = True  # the training gives the mean of its last steps (average.py)


# gsplat's example trainer (v1.5.3, examples/simple_trainer.py, "mcmc"), its 30,000 steps turned into shares. Refined
# every 100 steps, as there, in every plan of 6,000 steps and more; the growth of a refinement follows (mcmc.py).
MCMC = Recipe(
    lr_means=1.6e-4,
    lr_quats=1e-3,
    lr_scales=5e-3,
    lr_opacities=5e-2,
    lr_sh0=2.5e-3,
    lr_sh_rest=2.5e-3 / 20,
    refine_from=WINDOWS["mcmc"][0],
    refine_until=WINDOWS["mcmc"][1],
    refine_share=1 / 60,
    refine_steps_max=100,
    initial_opacity=0.5,
    initial_scale=0.1,
    opacity_penalty=0.01,
    scale_penalty=0.01,
    depth_weight=0.0,  # it gained nothing that could be told from chance (benchmarks/results/training.md)
    averaged=False,  # at these rates the mean of the last steps is no better, and it is a quarter more memory
)
GSPLAT_STEPS = 30_000  # the plan that the rates of MCMC are for
SHORT_STEPS = 7_000  # the plan, and those shorter, that the rates of SHORT_MCMC are for
LEARNING_RATES = ("lr_means", "lr_quats", "lr_scales", "lr_opacities", "lr_sh0", "lr_sh_rest")
RATES = (*LEARNING_RATES, "noise_lr")
SHORT_MCMC = replace(
    MCMC,
    **{name: getattr(Recipe, name) for name in LEARNING_RATES},  # those of strategy "default"
    noise_lr=MCMC.noise_lr * MCMC.lr_means / Recipe.lr_means,  # it is multiplied with the rate of the means: it stays
    averaged=True,
)


@dataclass(frozen=True)
class Plan:
    """How many steps, and which share of the schedules each step is at.

    A plan that turns out too long for the time budget changes its pace: the rest of the schedules is spread over fewer
    steps, so that they still end (small learning rates last) instead of being cut off in the middle.
    """

    pace: float  # steps for the whole of the schedules, 0..1
    from_step: int = 0  # where this pace began
    from_share: float = 0.0

    @property
    def steps(self) -> int:
        """The step at which the plan ends."""
        return self.step_at(1.0)

    def share(self, step: int) -> float:
        """How far `step` is, 0..1."""
        return min(1.0, self.from_share + (step - self.from_step) / self.pace)

    def step_at(self, share: float) -> int:
        """The step nearest to `share`; for shares before this pace began, the step where it began."""
        return self.from_step + max(0, round((share - self.from_share) * self.pace))

    def with_pace(self, pace: float, step: int) -> Plan:
        """The same schedules, at another pace from `step` on."""
        return Plan(pace, step, self.share(step))


# What a step costs by divisor of the image size, in units of a full-size step; measured on the CPU kernels, 480 px.
STEP_COST = {1: 1.0, 2: 0.55, 4: 0.4}


def cost_left(share: float, recipe: Recipe) -> float:
    """Cost of the schedules from `share` to the end, in units of a whole plan of full-size steps."""
    edges = [(0.0, recipe.quarter_until, 4), (recipe.quarter_until, recipe.half_until, 2), (recipe.half_until, 1.0, 1)]
    return sum(STEP_COST[divisor] * max(0.0, end - max(begin, share)) for begin, end, divisor in edges)


def downscale(share: float, recipe: Recipe) -> int:
    """Divisor of the image size: 4, 2 or 1."""
    if share < recipe.quarter_until:
        return 4
    return 2 if share < recipe.half_until else 1


def active_sh_degree(share: float, recipe: Recipe, most: int) -> int:
    """Degree of the spherical harmonics in use, at most `most`."""
    return min(most, sum(share >= begin for begin in recipe.sh_from))


def learning_rates(share: float, recipe: Recipe, extent: float) -> dict[str, float]:
    """Learning rate by parameter name. `extent`: radius of the camera positions, world units."""
    return {
        "means": recipe.lr_means * extent * recipe.lr_means_final**share,
        "quats": recipe.lr_quats,
        "scales": recipe.lr_scales,
        "opacities": recipe.lr_opacities,
        "sh0": recipe.lr_sh0,
        "shN": recipe.lr_sh_rest,
    }


def recipe_for(strategy: str, steps: int) -> Recipe:
    """The recipe of a densification strategy, "default" or "mcmc", for a plan of so many steps.

    Fewer steps have to be larger ones. Between SHORT_STEPS and GSPLAT_STEPS the rates go from one end to the other as
    powers of the number of steps.
    """
    if strategy != "mcmc":
        return Recipe()
    share = math.log(steps / SHORT_STEPS) / math.log(GSPLAT_STEPS / SHORT_STEPS) if steps > 0 else 0.0
    if share >= 1.0:
        return MCMC
    between = {
        name: getattr(SHORT_MCMC, name) ** (1 - share) * getattr(MCMC, name) ** share for name in RATES if share > 0
    }
    return replace(SHORT_MCMC, **between)


def recipe_of(settings: TrainSettings) -> Recipe:
    """The recipe of the settings' strategy and steps, with what they set instead."""
    recipe, factor = recipe_for(settings.strategy, settings.iterations), settings.rate_factor
    return replace(
        recipe,
        refine_from=settings.window[0],
        refine_until=settings.window[1],
        grow_gradient=settings.densify_gradient or recipe.grow_gradient,
        prune_opacity=settings.prune_opacity or recipe.prune_opacity,
        **{name: getattr(recipe, name) * factor for name in LEARNING_RATES},
    )


def refine_interval(pace: float, recipe: Recipe) -> int:
    """Steps between two refinements."""
    return max(REFINE_STEPS_MIN, min(recipe.refine_steps_max, round(pace * recipe.refine_share)))


def view_of(step: int, views: Sequence[int], seed: int) -> int:
    """The view that a step is for. Every epoch goes once through all views, in an order of its own."""
    epoch, place = divmod(step, len(views))
    return views[_order(len(views), seed, epoch)[place]]


@lru_cache(maxsize=1)
def _order(count: int, seed: int, epoch: int) -> list[int]:
    order: list[int] = np.random.default_rng([seed, epoch]).permutation(count).tolist()
    return order


def within_budget(
    plan: Plan, step: int, seconds: float, full_step_s: Sequence[float], *, settings: TrainSettings, recipe: Recipe
) -> Plan:
    """The plan at another pace where the measured speed says that the rest does not fit into the time budget.

    seconds: of training so far. full_step_s: seconds per full-size step, recent ones. The median counts: compiling the
    kernels, and other work on the machine, make single steps slow.
    """
    if len(full_step_s) < SPEED_SAMPLES_MIN:
        return plan
    left = cost_left(plan.share(step), recipe)
    left_s = settings.budget_s * BUDGET_MARGIN - seconds
    if left <= 0 or left_s <= 0:
        return plan
    pace = max(1.0, min(float(settings.iterations), left_s / (float(np.median(full_step_s)) * left)))
    return plan.with_pace(pace, step) if abs(pace - plan.pace) > PACE_CHANGE * plan.pace else plan
