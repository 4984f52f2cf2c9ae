"""Training: from views with poses and sparse points to Gaussians. One loop for CPU and GPU, over the Rasterizer port.

    picture pyramid 1/4 -> 1/2 -> 1/1, SH degree rising, learning rates falling   schedule.py, targets.py
    first Gaussians                                                               initialise.py, plane_sweep.py
    adding and removing Gaussians                                                 densify.py
    exposure of each training picture, where it drifts                            exposure.py
    what is saved, restored and rolled back to                                    state.py

Which state is kept: the last one that is finite. Choosing the state with the best held-out PSNR would be choosing by
the test views, and the number reported for them would no longer be honest.

A step reads nothing back from the device: losses are looked at every CHECK_STEPS steps, so a GPU never waits for it.
"""

from __future__ import annotations

import hashlib
import logging
import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from runner.quality.evaluate import mean_psnr
from runner.raster import parameters
from runner.raster.port import Rasterizer
from runner.scene.gaussians import Gaussians
from runner.scene.progress import Progress
from runner.scene.views import TrainingScene
from runner.training import exposure, optimiser, plane_sweep, schedule
from runner.training import state as training_state
from runner.training.densify import densifier
from runner.training.exposure import Drift, Exposures
from runner.training.initialise import initial_gaussians, scene_extent
from runner.training.loss import photometric_loss
from runner.training.schedule import Plan, Recipe
from runner.training.settings import TrainSettings
from runner.training.state import Measurement, TrainingState
from runner.training.targets import Pictures
from scenejobs.errors import Code, InputError, Interrupted, RunnerError

STAGE = "training"
MIN_TRAIN_VIEWS = 2
CHECK_STEPS = 10  # between two looks at the stop flag, the clock and the parameters
REPORT_S = 1.0  # between two reports of progress
SNAPSHOT_SHARE = 0.05  # of the plan, or of its time, between two states to roll back to
SAVE_S = 60.0  # between two saves of the whole state, where a folder is given
MAX_ROLLBACKS = 2
ROLLBACK_RATE = 0.3  # learning rates after a rollback / before
BUDGET_MARGIN = 0.97  # the part of the time budget that the plan may fill
SPEED_SAMPLES, SPEED_SAMPLES_MIN = 20, 5  # checks that the speed is measured over
PACE_CHANGE = 0.03  # smaller corrections of the plan are not worth one
LOSS_WEIGHT = 0.05  # of the newest loss in the smoothed one

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Trained:
    """The result of a training that ended by itself."""

    gaussians: Gaussians
    steps: int
    stopped: str  # "plan": all steps done | "budget": the time ended, or shortened the plan | "plateau": no progress
    wall_s: float  # on the clock of the training, earlier attempts included
    history: tuple[Measurement, ...]
    rollbacks: int  # how often NaN or infinite values were met and left behind
    resumed_at: tuple[int, ...] = ()  # the steps at which earlier attempts were continued, oldest first
    exposure_spread: float = 0.0  # Drift.spread of the training pictures
    exposure_contradiction: float = 0.0  # Drift.contradiction: what decides whether exposures are compensated
    exposure_compensated: bool = False  # every training picture had a gain and a bias of its own


@dataclass(frozen=True)
class _Run:
    """What stays the same during a training."""

    scene: TrainingScene
    settings: TrainSettings
    recipe: Recipe
    rasterizer: Rasterizer
    progress: Progress
    pictures: Pictures
    train_views: list[int]
    extent: float  # radius of the training cameras' positions, world units
    background: Tensor  # [3]
    drift: Drift
    folder: Path | None
    save_s: float
    clock: Callable[[], float]  # seconds
    fingerprint: str


def train(
    scene: TrainingScene,
    settings: TrainSettings,
    rasterizer: Rasterizer,
    progress: Progress,
    resume_dir: Path | None = None,
    recipe: Recipe | None = None,
    save_s: float = SAVE_S,
    clock: Callable[[], float] = time.monotonic,
) -> Trained:
    """Train Gaussians on the views of the split "train".

    resume_dir: where the whole state is saved every `save_s` seconds, at the end and when interrupted, and found again
    by the same training (same views, points, settings), on this machine or another. The same seed gives the same bytes
    on the CPU, resumed or not, as long as the time budget does not shorten the plan. The budget counts the time of
    earlier attempts.
    clock: seconds for the budget, the history and the saves.
    Raises InputError for a scene that cannot be trained on, RunnerError(TRAINING_DIVERGED) when values stay NaN or
    infinite, Interrupted when a stop was asked for.
    """
    recipe = recipe or schedule.recipe_for(settings.strategy)
    run = _prepare(scene, settings, rasterizer, progress, resume_dir, save_s, recipe, clock)
    cuda = [rasterizer.device] if rasterizer.device.type == "cuda" else []
    with torch.random.fork_rng(devices=cuda):  # gsplat's strategies draw from the global generator
        torch.manual_seed(settings.seed)
        state = _begin(run)
        stopped = _loop(run, state)
    return Trained(
        parameters.to_gaussians(state.params), state.step, stopped, state.seconds, tuple(state.history),
        state.rollbacks, tuple(state.resumed_at), run.drift.spread, run.drift.contradiction,
        state.exposures is not None,
    )  # fmt: skip


def _prepare(
    scene: TrainingScene,
    settings: TrainSettings,
    rasterizer: Rasterizer,
    progress: Progress,
    folder: Path | None,
    save_s: float,
    recipe: Recipe,
    clock: Callable[[], float],
) -> _Run:
    train_views = scene.subset("train")
    if len(train_views) < MIN_TRAIN_VIEWS:
        raise InputError(
            f"{len(train_views)} of {len(scene.views)} views are for training; {MIN_TRAIN_VIEWS} are needed",
            code=Code.TOO_FEW_REGISTERED,
            stage=STAGE,
            advice="film longer, with more overlap between neighbouring pictures",
        )
    return _Run(
        scene=scene,
        settings=settings,
        recipe=recipe,
        rasterizer=rasterizer,
        progress=progress,
        pictures=Pictures(scene, rasterizer.device),
        train_views=train_views,
        extent=scene_extent([scene.views[i] for i in train_views]),
        background=torch.zeros(3, device=rasterizer.device),
        drift=exposure.measured(scene),
        folder=folder,
        save_s=save_s,
        clock=clock,
        fingerprint=_fingerprint(scene, settings, recipe),
    )


def _begin(run: _Run) -> TrainingState:
    """The state before the first step, or the saved one of an earlier attempt."""
    state = _fresh(run, None)
    log.info(
        "exposure drifts by %.1f %% (%s)", 100 * run.drift.spread, "compensated" if state.exposures else "left alone"
    )
    if run.folder and training_state.resume(state, run.folder, run.fingerprint):
        log.info("resumed at step %d of %d, after %.0f s of training", state.step, state.plan.steps, state.seconds)
        _report(run, state)
        return state
    settings = run.settings
    if run.recipe.dense_share and plane_sweep.pays(run.scene, settings.iterations, settings.budget_s):
        begin_s = run.clock()
        dense = plane_sweep.dense_points(run.scene, run.progress)
        state = _fresh(run, dense)
        state.seconds = run.clock() - begin_s
        log.info("%d dense points confirm %.0f %% of the sparse ones", len(dense.points), 100 * dense.confirmed)
    return state


def _fresh(run: _Run, dense: plane_sweep.DensePoints | None) -> TrainingState:
    settings, recipe = run.settings, run.recipe
    gaussians = initial_gaussians(
        run.scene,
        cap=settings.cap,
        sh_degree=settings.sh_degree,
        opacity=recipe.initial_opacity,
        scale=recipe.initial_scale,
        seed=settings.seed,
        dense=dense,
        dense_share=recipe.dense_share,
    )
    params = parameters.parameters(gaussians, run.rasterizer.device)
    optimizers = optimiser.optimizers(params)
    plan = Plan(settings.iterations)
    grower = densifier(
        settings.strategy, params, optimizers, plan=plan, recipe=recipe, cap=settings.cap, extent=run.extent
    )
    compensates = exposure.compensates(settings.exposure, run.drift)
    exposures = Exposures(run.drift, run.rasterizer.device) if compensates else None
    return TrainingState(params, optimizers, grower, plan, exposures=exposures)


def _loop(run: _Run, state: TrainingState) -> str:
    """Steps until the plan, the budget or the progress ends; returns which, as in Trained.stopped."""
    begin_s = run.clock() - state.seconds
    good = training_state.state_dict(state)  # the last state known to be finite, to roll back to
    reported_s = saved_s = state.seconds
    step_s: deque[float] = deque(maxlen=SPEED_SAMPLES)  # recent seconds per step, as if it were a full-size one
    stopped = _stop_reason(run, state)
    while not stopped:
        finite = _step(run, state)
        if finite and state.step % CHECK_STEPS and state.step < state.plan.steps:
            continue
        state.seconds, before_s = run.clock() - begin_s, state.seconds
        if not (finite and _take_losses(run, state) and training_state.is_finite(state)):
            good = _roll_back(state, good)
            continue
        step_cost = schedule.STEP_COST[schedule.downscale(state.plan.share(state.step - 1), run.recipe)]
        step_s.append((state.seconds - before_s) / CHECK_STEPS / step_cost)
        stopped = _stop_reason(run, state)
        if stopped or int(state.plan.share(state.step) * run.settings.evaluations) > len(state.history):
            _measure(run, state)
        if stopped or state.seconds - reported_s >= REPORT_S:
            reported_s = state.seconds
            _report(run, state)
        if _is_due(run, state, good):
            good = training_state.state_dict(state)
            _keep_to_budget(run, state, step_s)
        if stopped or state.seconds - saved_s >= run.save_s:
            saved_s = state.seconds
            _save(run, state)  # at the end too: whoever repeats what comes after training finds it done
        _check_stop(run, state)
    return stopped


def _is_due(run: _Run, state: TrainingState, good: dict[str, Any]) -> bool:
    """Whether a share of the plan, or of the time, has passed since the last state to roll back to."""
    share = state.plan.share(state.step) - state.plan.share(good["step"])
    return max(share, (state.seconds - good["seconds"]) / run.settings.budget_s) >= SNAPSHOT_SHARE


def _step(run: _Run, state: TrainingState) -> bool:
    """One training step. False when a value was seen not to be finite; the state is then worth nothing."""
    settings, recipe, params = run.settings, run.recipe, state.params
    share = state.plan.share(state.step)
    view = _view_of(state.step, run.train_views, settings.seed)
    picture = run.pictures.get(view, schedule.downscale(share, recipe))
    rendering = run.rasterizer.render(
        params,
        picture.world_to_camera,
        picture.K,
        picture.width,
        picture.height,
        sh_degree=schedule.active_sh_degree(share, recipe, settings.sh_degree),
        background=run.background,
    )
    image = state.exposures.applied(rendering.image, view) if state.exposures else rendering.image
    loss = photometric_loss(image, picture.target, settings.ssim_weight)
    state.losses.append((share, loss.detach()))
    if recipe.opacity_penalty:
        loss = loss + recipe.opacity_penalty * torch.sigmoid(params["opacities"]).mean()
    if recipe.scale_penalty:
        loss = loss + recipe.scale_penalty * torch.exp(params["scales"]).mean() / run.extent
    state.step += 1
    state.densifier.before_backward(state.step, rendering.info)
    loss.backward()
    rates = schedule.learning_rates(share, recipe, run.extent)
    rates = {name: rate * state.rate_factor for name, rate in rates.items()}
    optimiser.set_learning_rates(state.optimizers, rates)
    optimiser.step(state.optimizers)
    if state.exposures:
        state.exposures.step(share, state.rate_factor)
    if state.densifier.refines_at(state.step) and not training_state.is_finite(state):
        return False  # to copy or to draw by NaN would spread it, or raise
    state.densifier.after_step(state.step, rendering.info, rates["means"])
    return True


def _take_losses(run: _Run, state: TrainingState) -> bool:
    """Reads the losses since the last look, in one go. False when one is not finite."""
    shares, losses = zip(*state.losses, strict=True)
    state.losses.clear()
    settled = max(run.recipe.half_until, run.recipe.refine_until)
    for share, value in zip(shares, torch.stack(losses).tolist(), strict=True):
        if not math.isfinite(value):
            return False
        state.loss = value if math.isnan(state.loss) else state.loss + LOSS_WEIGHT * (value - state.loss)
        if share >= settled:
            state.plateaued = state.plateau.add(share, value)
    return True


def _view_of(step: int, views: list[int], seed: int) -> int:
    """The view that a step is for. Every epoch goes once through all views, in an order of its own."""
    epoch, place = divmod(step, len(views))
    return views[_order(len(views), seed, epoch)[place]]


@lru_cache(maxsize=1)
def _order(count: int, seed: int, epoch: int) -> list[int]:
    order: list[int] = np.random.default_rng([seed, epoch]).permutation(count).tolist()
    return order


def _roll_back(state: TrainingState, good: dict[str, Any]) -> dict[str, Any]:
    """Back to the last good state, with smaller learning rates. Returns that state, to roll back to again."""
    rollbacks = state.rollbacks + 1
    if rollbacks > MAX_ROLLBACKS:
        raise RunnerError(
            f"training values became NaN or infinite near step {state.step} of {state.plan.steps}, {rollbacks} times, "
            f"at the end with learning rates of {state.rate_factor:.2g} times the usual",
            code=Code.TRAINING_DIVERGED,
            stage=STAGE,
            advice="try another seed or fewer Gaussians; if it happens again, the camera poses are suspect",
        )
    good = {**good, "rollbacks": rollbacks, "rate_factor": state.rate_factor * ROLLBACK_RATE}
    training_state.load_state_dict(state, good)
    state.losses.clear()
    return good


def _stop_reason(run: _Run, state: TrainingState) -> str:
    """Why to stop now, or ""."""
    if state.step >= state.plan.steps:
        return "plan" if state.plan.steps >= run.settings.iterations else "budget"
    if state.seconds >= run.settings.budget_s:
        return "budget"
    return "plateau" if state.plateaued else ""


def _keep_to_budget(run: _Run, state: TrainingState, step_s: Sequence[float]) -> None:
    """Changes the plan's pace when the measured seconds per full-size step say that the rest will not fit.

    The median counts: compiling the kernels, and other work on the machine, make single steps slow.
    """
    if len(step_s) < SPEED_SAMPLES_MIN:
        return
    left = schedule.cost_left(state.plan.share(state.step), run.recipe)
    left_s = run.settings.budget_s * BUDGET_MARGIN - state.seconds
    if left <= 0 or left_s <= 0:
        return
    pace = max(1.0, min(float(run.settings.iterations), left_s / (float(np.median(step_s)) * left)))
    if abs(pace - state.plan.pace) > PACE_CHANGE * state.plan.pace:
        state.plan = state.plan.with_pace(pace, state.step)
        state.densifier.replan(state.plan)


def _measure(run: _Run, state: TrainingState) -> None:
    """Adds a line to the history."""
    degree = schedule.active_sh_degree(state.plan.share(state.step), run.recipe, run.settings.sh_degree)
    heldout = mean_psnr(state.params, run.scene, run.rasterizer, "test", degree)
    state.history.append(Measurement(state.step, state.seconds, heldout, state.count, state.loss))


def _report(run: _Run, state: TrainingState) -> None:
    share = state.plan.share(state.step)
    heldout = state.history[-1].psnr_heldout if state.history else None
    quality = f"loss {state.loss:.4f}" if heldout is None else f"{heldout:.1f} dB"
    resumed = f" (resumed at step {state.resumed_at[-1]})" if state.resumed_at else ""
    left = schedule.cost_left(share, run.recipe)
    done = schedule.cost_left(0.0, run.recipe) - left
    run.progress.report(
        STAGE,
        share,
        f"step {state.step}/{state.plan.steps}{resumed}, {quality}, {state.count:,} Gaussians",
        min(state.seconds * left / done, max(0.0, run.settings.budget_s - state.seconds)) if done else None,
    )


def _check_stop(run: _Run, state: TrainingState) -> None:
    """Raises Interrupted when a stop was asked for; the state is saved before."""
    try:
        run.progress.check(STAGE)
    except Interrupted:
        _save(run, state)
        raise


def _save(run: _Run, state: TrainingState) -> None:
    if run.folder:
        training_state.save(training_state.state_dict(state), run.folder, run.fingerprint)


def _fingerprint(scene: TrainingScene, settings: TrainSettings, recipe: Recipe) -> str:
    """Digest of all that must be the same for a saved state to be continued from; not of the time budget."""
    digest = hashlib.sha256(repr((replace(settings, budget_s=0.0, threads=0), recipe)).encode())
    for view in scene.views:
        digest.update(f"{view.image} {view.width}x{view.height} {view.split}".encode())
        digest.update(view.K.tobytes() + view.world_to_camera.tobytes())
    digest.update(scene.points.tobytes() + scene.sightings.tobytes())
    return digest.hexdigest()
