"""The training loop: from views with poses and sparse points to Gaussians, on CPU and GPU, over the Rasterizer port.

    what a training starts from                                                        start.py
    image pyramid 1/4 -> 1/2 -> 1/1, SH degree rising, learning rates, time budget      schedule.py, targets.py
    first Gaussians                                                                    initialise.py, stereo/
    adding and removing Gaussians                                                      densify.py, mcmc.py
    exposures of the training images, where correcting them helps                      exposure/
    depths of the plane sweep, which hold the Gaussians where views are few            stereo/swept_depths.py
    what it gives: the mean of the last steps                                          average.py
    what is carried from step to step, rolled back to, saved and resumed               state.py, resume.py, saving.py

Which state is kept: the last one that is finite. Choosing the state with the best held-out PSNR would be choosing by
the test views, and the number reported for them would no longer be honest.

A step reads nothing back from the device: losses are looked at every CHECK_STEPS steps, so a GPU never waits for it.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from runner.context import StageContext
from runner.quality.evaluate import mean_psnr, score_split
from runner.raster import parameters
from runner.raster.port import Rasterizer
from runner.scene.gaussians import Gaussians
from runner.scene.progress import Progress
from runner.scene.views import TrainingScene
from runner.training import average, moving_masks, optimiser, resume, schedule
from runner.training import state as training_state
from runner.training.exposure.evidence import PARTS, ShortScores
from runner.training.exposure.fold import fold
from runner.training.exposure.result import NOTHING_CORRECTED, ExposureResult, exposure_result
from runner.training.loss import photometric_loss
from runner.training.saving import StateWriter
from runner.training.schedule import Recipe
from runner.training.settings import TrainSettings
from runner.training.start import STAGE, Run, begin, prepare
from runner.training.state import Measurement, TrainingState
from scenejobs.errors import Interrupted

CHECK_STEPS = 10  # between two looks at the stop flag, the clock and the parameters
REPORT_S = 1.0  # between two reports of progress
SAVE_S = 60.0  # between two saves of the whole state
FIRST_LOOK = 0.1  # share of the plan after which there is something to look at
LOSS_WEIGHT = 0.05  # of the newest loss in the smoothed one


FirstLook = Callable[[Gaussians, int], None]


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
    exposure: ExposureResult = NOTHING_CORRECTED  # what was measured, decided and learned of the exposures
    cameras: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    """World to camera [4, 4] of the training views whose cameras were refined, by image; the Gaussians fit these."""
    moving_share: float = 0.0  # of the training images: left out at the end, because it moved while it was filmed

    @property
    def can_be_judged(self) -> bool:
        """Whether how the scene looks says anything about where its cameras are."""
        return self.steps >= schedule.JUDGED_STEPS

    def scene_of(self, scene: TrainingScene) -> TrainingScene:
        """The scene that was trained on, with the cameras that fit the Gaussians."""
        views = (
            replace(view, world_to_camera=self.cameras.get(view.image, view.world_to_camera)) for view in scene.views
        )
        return replace(scene, views=tuple(views)) if self.cameras else scene

    @property
    def warnings(self) -> tuple[str, ...]:
        """What whoever films should know."""
        return moving_masks.warnings(self.moving_share)


def train(
    scene: TrainingScene,
    context: StageContext,
    settings: TrainSettings,
    rasterizer: Rasterizer,
    *,
    recipe: Recipe | None = None,
    save_s: float | None = SAVE_S,
    first_look: FirstLook | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Trained:
    """Train Gaussians on the views of the split "train".

    recipe: None for that of the settings (`schedule.recipe_of`).
    save_s: seconds between two saves of the whole state into `training/` of the workspace; it is also saved at the end
    and when interrupted. The same training (same views, points, settings) resumes from it, on this machine or another.
    None: nothing is saved, nor resumed. The same seed gives the same bytes on the CPU, resumed or not, as long as the
    time budget does not shorten the plan. The budget counts the time of earlier attempts.
    first_look: gets the Gaussians once, after a tenth of the plan, and the step they are of.
    clock: seconds for the budget, the history and the saves.
    Raises InputError for a scene that cannot be trained on, RunnerError(TRAINING_DIVERGED) when values stay NaN or
    infinite, Interrupted when a stop was asked for, ResourceError when the disk is full.
    """
    recipe = recipe or schedule.recipe_of(settings)
    run = prepare(scene, context, settings, rasterizer, recipe, save_s, clock)
    cuda = [rasterizer.device] if rasterizer.device.type == "cuda" else []
    with torch.random.fork_rng(devices=cuda):  # gsplat's strategies draw from the global generator
        torch.manual_seed(settings.seed)
        state = begin(run, partial(_short_training, run))
        if state.resumed_at:
            _report(run, state)
        stopped = take_steps(run, state, first_look)
    gaussians = _folded(run, state, state.decision.part)
    return Trained(
        gaussians, state.step, stopped, state.seconds, tuple(state.history), state.rollbacks, tuple(state.resumed_at),
        exposure_result(run.scene, run.drift, state.decision, state.exposures),
        state.cameras.poses() if state.cameras else {}, moving_masks.share(run, state),
    )  # fmt: skip


def _folded(run: Run, state: TrainingState, part: float) -> Gaussians:
    """The scene as it is, following this part of the exposures where they depend on the place."""
    gaussians = parameters.to_gaussians(state.settled)
    if state.exposures is None or not part:
        return gaussians
    views = [run.scene.views[index] for index in run.train_views]
    return fold(gaussians, views, state.exposures.log_gains(), part, run.rasterizer.device)


def _short_training(run: Run, scene: TrainingScene, settings: TrainSettings) -> ShortScores:
    """Trains on other views of the same place, in silence, and scores the held-out ones of them.

    Empty where its time cut it short.
    """
    quiet = Progress(emit=lambda _: None, stop_requested=run.context.progress.stop_requested)
    context = StageContext(run.context.workspace, quiet)
    recipe = replace(schedule.recipe_for(settings.strategy, settings.iterations), dense_share=0.0)
    inner = prepare(scene, context, settings, run.rasterizer, recipe, None, run.clock)
    cuda = [run.rasterizer.device] if run.rasterizer.device.type == "cuda" else []
    with torch.random.fork_rng(devices=cuda):
        torch.manual_seed(settings.seed)
        state = begin(inner, partial(_short_training, inner))
        if take_steps(inner, state) == "budget":
            return {}
    scores = {0.0: score_split(state.settled, scene, run.rasterizer, "test")}
    for part in PARTS[1:] if state.exposures else ():
        folded = parameters.parameters(_folded(inner, state, part), run.rasterizer.device)
        scores[part] = score_split(folded, scene, run.rasterizer, "test")
    return scores


def take_steps(run: Run, state: TrainingState, first_look: FirstLook | None = None) -> str:
    """Steps from this state until the plan, the budget or the progress ends; returns which, as in Trained.stopped.

    `train` begins the state from points, or resumes it; whoever brings another one seeds torch's generator.
    """
    with StateWriter(lambda snapshot: resume.save(snapshot, run.folder, run.fingerprint)) as writer:
        return _steps(run, state, writer, first_look)


def _steps(run: Run, state: TrainingState, writer: StateWriter, first_look: FirstLook | None) -> str:
    begin_s = run.clock() - state.seconds
    good = training_state.state_dict(state)  # the last state known to be finite, to roll back to
    reported_s = saved_s = state.seconds
    full_step_s: deque[float] = deque(maxlen=schedule.SPEED_SAMPLES)  # recent seconds per step, as if of full size
    stopped = _stop_reason(run, state)
    moving_masks.leave_out(run, state)
    looked = state.step
    while not stopped:
        finite = _step(run, state)
        if finite and state.step % CHECK_STEPS and state.step < state.plan.steps:
            continue
        state.seconds, before_s = run.clock() - begin_s, state.seconds
        if not (finite and _read_losses(run, state) and training_state.is_finite(state)):
            good = training_state.roll_back(state, good)
            moving_masks.leave_out(run, state)
            continue
        step_cost = schedule.STEP_COST[schedule.downscale(state.plan.share(state.step - 1), run.recipe)]
        full_step_s.append((state.seconds - before_s) / CHECK_STEPS / step_cost)
        if moving_masks.is_due(run, state, looked):
            moving_masks.look(run, state)
            state.seconds = run.clock() - begin_s  # what a look takes says nothing about the speed of the steps
        looked = state.step
        stopped = _stop_reason(run, state)
        if first_look and state.plan.share(state.step) >= FIRST_LOOK:
            first_look(parameters.to_gaussians(state.params), state.step)
            first_look = None
            state.seconds = run.clock() - begin_s
        if stopped or int(state.plan.share(state.step) * run.settings.evaluations) > len(state.history):
            _measure(run, state)
        if stopped or state.seconds - reported_s >= REPORT_S:
            reported_s = state.seconds
            _report(run, state)
        if training_state.is_snapshot_due(state, good, run.settings.budget_s):
            good = training_state.state_dict(state)
            plan = schedule.within_budget(
                state.plan, state.step, state.seconds, full_step_s, settings=run.settings, recipe=run.recipe
            )
            if plan != state.plan:
                state.plan = plan
                state.densifier.replan(plan)
        if run.save_s is not None and (stopped or (state.seconds - saved_s >= run.save_s and not writer.busy)):
            saved_s = state.seconds
            writer.begin(training_state.state_dict(state))  # at the end too: what comes after may be repeated
        _check_stop(run, state, writer)
    return stopped


def _step(run: Run, state: TrainingState) -> bool:
    """One training step. False when a value was seen not to be finite; the state is then worth nothing."""
    settings, recipe, params = run.settings, run.recipe, state.params
    share = state.plan.share(state.step)
    view, divisor = run.shown(state.step, share)
    image = run.images.get(view, divisor)
    cameras = state.cameras if state.cameras and state.cameras.moves(view, share) else None
    pose = cameras.pose(view) if cameras else image.world_to_camera
    rendering = run.rasterizer.render(
        params,
        pose.float(),
        image.K,
        image.width,
        image.height,
        sh_degree=schedule.active_sh_degree(share, recipe, settings.sh_degree),
        background=run.background,
        absgrad=state.densifier.reads_absgrad(state.step + 1),
    )
    rendered = rendering.image
    if state.exposures:
        rendered = state.exposures.apply(rendered, view, image.target.image)
    loss = photometric_loss(image.compared(rendered), image.target, settings.ssim_weight)
    state.losses.append((share, loss.detach()))
    if recipe.opacity_penalty:
        loss = loss + recipe.opacity_penalty * torch.sigmoid(params["opacities"]).mean()
    if recipe.scale_penalty:
        loss = loss + recipe.scale_penalty * torch.exp(params["scales"]).mean() / run.extent
    if state.depths and state.depths.pulls(view, state.step):
        apart = state.depths.loss(params, run.rasterizer, view, image, pose.float(), divisor)
        loss = loss + recipe.depth_weight * recipe.depth_weight_final**share * apart
    if cameras:
        loss = loss + cameras.track_loss(view, pose)
    state.step += 1
    state.densifier.before_backward(state.step, rendering.info)
    loss.backward()
    rates = schedule.learning_rates(share, recipe, run.extent)
    rates = {name: rate * state.rate_factor for name, rate in rates.items()}
    optimiser.set_learning_rates(state.optimizers, rates)
    optimiser.step(state.optimizers)
    if state.exposures:
        state.exposures.step(share, state.rate_factor)
    if cameras:
        cameras.step(share, state.rate_factor)
    if state.densifier.refines_at(state.step) and not training_state.is_finite(state):
        return False  # to copy or to draw by NaN would spread it, or raise
    state.densifier.after_step(state.step, rendering.info, rates["means"])
    if recipe.averaged and state.step % average.EVERY == 0 and share >= max(recipe.half_until, recipe.refine_until):
        average.add(state.average, params)
    return True


def _read_losses(run: Run, state: TrainingState) -> bool:
    """Reads the losses since the last look from the device, in one go. False when one is not finite."""
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


def _stop_reason(run: Run, state: TrainingState) -> str:
    """Why to stop now, or ""."""
    if state.step >= state.plan.steps:
        return "plan" if state.plan.steps >= run.settings.iterations else "budget"
    if state.seconds >= run.settings.budget_s:
        return "budget"
    return "plateau" if state.plateaued else ""


def _measure(run: Run, state: TrainingState) -> None:
    """Adds a line to the history."""
    degree = schedule.active_sh_degree(state.plan.share(state.step), run.recipe, run.settings.sh_degree)
    heldout = mean_psnr(state.settled, run.scene, run.rasterizer, "test", degree)
    state.history.append(Measurement(state.step, state.seconds, heldout, state.count, state.loss))


def _report(run: Run, state: TrainingState) -> None:
    share = state.plan.share(state.step)
    heldout = state.history[-1].psnr_heldout if state.history else None
    quality = f"loss {state.loss:.4f}" if heldout is None else f"{heldout:.1f} dB"
    resumed = f" (resumed at step {state.resumed_at[-1]})" if state.resumed_at else ""
    left = schedule.cost_left(share, run.recipe)
    done = schedule.cost_left(0.0, run.recipe) - left
    run.context.progress.report(
        STAGE,
        share,
        f"step {state.step}/{state.plan.steps}{resumed}, {quality}, {state.count:,} Gaussians",
        min(state.seconds * left / done, max(0.0, run.settings.budget_s - state.seconds)) if done else None,
    )


def _check_stop(run: Run, state: TrainingState, writer: StateWriter) -> None:
    """Raises Interrupted when a stop was asked for; the state is on the disk before."""
    try:
        run.context.progress.check(STAGE)
    except Interrupted:
        if run.save_s is not None:
            writer.begin(training_state.state_dict(state))
            writer.wait()
        raise
