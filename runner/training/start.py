"""What a training starts from: the inputs that stay the same during it, and its first or its resumed state."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from runner.context import StageContext
from runner.raster import parameters
from runner.raster.port import Rasterizer
from runner.scene.views import TrainingScene
from runner.training import optimiser, resume
from runner.training.cameras.refinement import RefinedCameras
from runner.training.densify import DefaultDensifier
from runner.training.exposure.drift import ExposureDrift, measure_drift
from runner.training.exposure.evidence import Decision, ShortTraining, decide
from runner.training.exposure.model import Exposures
from runner.training.initialise import CONFIRMED_MIN, initial_gaussians, scene_extent
from runner.training.mcmc import McmcDensifier
from runner.training.optimiser import Optimizers
from runner.training.schedule import JUDGED_STEPS, Plan, Recipe, downscale, view_of
from runner.training.settings import TrainSettings
from runner.training.state import TrainingState
from runner.training.stereo import plane_sweep
from runner.training.stereo.plane_sweep import DensePoints
from runner.training.stereo.swept_depths import FEW_VIEWS, SweptDepths
from runner.training.strategy import Densifier
from runner.training.targets import TrainingImages
from scenejobs.errors import Code, InputError
from scenejobs.filming import SLOWER

STAGE = "training"
MIN_TRAIN_VIEWS = 2

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Run:
    """What stays the same during a training."""

    scene: TrainingScene
    context: StageContext
    settings: TrainSettings
    recipe: Recipe
    rasterizer: Rasterizer
    images: TrainingImages
    train_views: list[int]  # indices of the views of split "train"
    extent: float  # radius of the training cameras' positions, world units
    drift: ExposureDrift
    save_s: float | None  # between two saves; None: nothing is saved or resumed
    clock: Callable[[], float]  # seconds

    @property
    def folder(self) -> Path:
        """Where the state is saved."""
        return self.context.workspace / "training"

    def shown(self, step: int, share: float) -> tuple[int, int]:
        """The view that a step is for, and the divisor of its size. share: of the plan, where the step is."""
        return view_of(step, self.train_views, self.settings.seed), downscale(share, self.recipe)

    @cached_property
    def background(self) -> Tensor:
        """[3] black, on the device of the training."""
        return torch.zeros(3, device=self.rasterizer.device)

    @cached_property
    def fingerprint(self) -> str:
        """Digest of all that must be the same for a saved state to be resumed from; not of the time budget."""
        digest = hashlib.sha256(repr((replace(self.settings, budget_s=0.0, threads=0), self.recipe)).encode())
        for view in self.scene.views:
            digest.update(f"{view.image} {view.width}x{view.height} {view.split}".encode())
            digest.update(view.K.tobytes() + view.world_to_camera.tobytes())
        digest.update(self.scene.points.tobytes() + self.scene.sightings.tobytes() + self.scene.seen_at.tobytes())
        for index, mask in enumerate(self.scene.masks):
            digest.update(b"" if mask is None else f"{index}".encode() + mask.tobytes())
        return digest.hexdigest()


def prepare(
    scene: TrainingScene,
    context: StageContext,
    settings: TrainSettings,
    rasterizer: Rasterizer,
    recipe: Recipe,
    save_s: float | None,
    clock: Callable[[], float],
) -> Run:
    """Checks the scene and puts its images on the device. Raises InputError(TOO_FEW_REGISTERED)."""
    train_views = scene.subset("train")
    if len(train_views) < MIN_TRAIN_VIEWS:
        raise InputError(
            f"{len(train_views)} of {len(scene.views)} views are for training; {MIN_TRAIN_VIEWS} are needed",
            code=Code.TOO_FEW_REGISTERED,
            stage=STAGE,
            advice=SLOWER,
        )
    return Run(
        scene=scene,
        context=context,
        settings=settings,
        recipe=recipe,
        rasterizer=rasterizer,
        images=TrainingImages(scene, rasterizer.device),
        train_views=train_views,
        extent=scene_extent([scene.views[i] for i in train_views]),
        drift=measure_drift(scene),
        save_s=save_s,
        clock=clock,
    )


def begin(run: Run, short: ShortTraining) -> TrainingState:
    """The state before the first step, or the saved one of an earlier attempt. Raises InputError, Interrupted.

    short: trains and scores for `decide`.
    """
    begin_s = run.clock()
    found = resume.find(run.folder, run.fingerprint) if run.save_s is not None else None
    decision = resume.decision_in(found)
    if decision is None:
        found, decision = None, decide(run.scene, run.settings, run.drift, short, run.clock)
    log.info("exposures are %s: %s", "corrected" if decision.corrected else "left alone", decision.why)
    state = _fresh(run, None, decision)
    if found is not None and resume.resume(state, found):
        if not _is_spoiled(state, run.settings):
            log.info("resumed at step %d of %d, after %.0f s of training", state.step, state.plan.steps, state.seconds)
            return state
        log.info("begun anew: for want of time all schedules were run through in %d steps", state.step)
        state = _fresh(run, None, decision)
    settings = run.settings
    if run.recipe.dense_share and plane_sweep.is_worthwhile(run.scene, settings.iterations, settings.budget_s):
        dense = plane_sweep.dense_points(run.scene, run.context.progress, needed=CONFIRMED_MIN)
        state = _fresh(run, dense, decision)
        log.info("depths confirm %.0f %% of the sparse points: %d dense ones", 100 * dense.confirmed, len(dense.points))
    state.seconds = run.clock() - begin_s
    return state


def _is_spoiled(state: TrainingState, settings: TrainSettings) -> bool:
    """Is it at the end of a plan that was shortened so far that nothing has formed? More time would not help it."""
    return state.plan.steps <= state.step < min(JUDGED_STEPS, settings.iterations)


def _fresh(run: Run, dense: DensePoints | None, decision: Decision) -> TrainingState:
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
    exposures = Exposures(run.scene, run.drift, run.rasterizer.device) if decision.corrected else None
    cameras = RefinedCameras(run.scene, run.rasterizer.device) if settings.pose_refinement == "on" else None
    depths = None
    if recipe.depth_weight and len(run.train_views) <= FEW_VIEWS:
        trusted = dense is not None and dense.confirmed >= CONFIRMED_MIN
        depths = SweptDepths(run.scene, dense.depths if dense and trusted else {}, run.rasterizer.device)
    densifier = _densifier(run, params, optimizers, plan)
    return TrainingState(
        params, optimizers, densifier, plan, decision=decision, exposures=exposures, cameras=cameras, depths=depths
    )


def _densifier(run: Run, params: parameters.Parameters, optimizers: Optimizers, plan: Plan) -> Densifier:
    if run.settings.strategy == "mcmc":
        return McmcDensifier(params, optimizers, plan, run.recipe, run.settings.cap)
    return DefaultDensifier(params, optimizers, plan, run.recipe, run.settings.cap, run.extent)
