"""What the documents of a finished job are made of, put together from what its stages returned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from runner.dataset.holdout import SMALLEST
from runner.pipeline.settings import JobSettings
from runner.pipeline.splats import FinishedSplats
from runner.pipeline.stages import JobContext
from runner.pipeline.training_time import cut_short
from runner.poses.colmap.lenses.intrinsics import intrinsics
from runner.report.documents import Results, TrainingSummary
from runner.scene.frames import FrameSet
from runner.training.cameras.result import moved


def results(context: JobContext, splats: FinishedSplats, exports: Mapping[str, Mapping[str, Any]]) -> Results:
    """exports: by format, its ExportReport and what was measured on the file read back."""
    frames = splats.posed.frames
    by_clip, lenses = intrinsics(splats.posed.workspace, frames)
    return Results(
        name=context.name,
        frames=frames,
        poses=splats.posed.poses,
        views=splats.scene.views,
        training=_training(context.settings, splats),
        exports=exports,
        intrinsics=by_clip,
        lenses=lenses,
        resumed_at=splats.trained.resumed_at,
        reused=splats.posed.reused,
        doubts=splats.doubts,
        points=splats.scene.points,
    )


def _training(settings: JobSettings, splats: FinishedSplats) -> TrainingSummary:
    trained, scores = splats.trained, splats.scores
    hurried = cut_short(trained, settings.preset.train)
    return TrainingSummary(
        backend=settings.backend,
        n_gaussians=trained.gaussians.count,
        steps=trained.steps,
        psnr_heldout=scores.test.psnr,
        ssim_heldout=scores.test.ssim,
        psnr_train=scores.train.psnr,
        psnr_heldout_corrected=scores.test.psnr_corrected,
        psnr_heldout_refined=splats.refined.psnr if splats.refined else None,
        lpips_heldout=scores.test.lpips,
        history=tuple(asdict(measurement) for measurement in trained.history),
        details={
            "loss": trained.history[-1].loss if trained.history else None,
            "stopped": trained.stopped,
            "cut_short": trained.stopped == "budget" and bool(hurried),
            "wall_s": trained.wall_s,
            "rollbacks": trained.rollbacks,
            "ssim_train": scores.train.ssim,
            "lpips_train": scores.train.lpips,
            "psnr_train_exposure_corrected": scores.train.psnr_corrected,
            "gap_db": scores.gap_db,
            "witness": splats.witness.to_json(),
            "exposure": trained.exposure.to_json(),
            "moving_share": trained.moving_share,
            "pose_refinement": moved(splats.posed.scene, trained.cameras),
            "settings": asdict(settings.preset.train),
            "heldout_views": [asdict(view) for view in scores.test.views],
            "worst_views": [{**asdict(view), "picture": splats.pictures[view.image]} for view in scores.test.worst()],
        },
        warnings=(
            *_warnings(settings, splats.posed.frames),
            *_no_score(splats),
            *splats.place.warnings,
            *hurried,
            *_twins(splats.scene.twins),
            *trained.warnings,
        ),
        cleaning=splats.cleaning.to_json(),
        orientation={**splats.orientation.to_json(), "scale": splats.place.to_json(publish=settings.publish_geo)},
    )


def _twins(count: int) -> tuple[str, ...]:
    """Copies that only their cameras have told: cropped, stamped, or played at another speed."""
    if not count:
        return ()
    what = "1 picture shows" if count == 1 else f"{count} pictures show"
    return (
        f"{what} the same as pictures of another file, from the same place, as a cropped or stamped copy does: held "
        "out of training together with these; without such copies there is room for other pictures",
    )


def _no_score(splats: FinishedSplats) -> tuple[str, ...]:
    """Why there is no held-out score."""
    views = splats.scene.views
    if any(view.split == "test" for view in views):
        return ()
    why = (
        f"{len(views)} of them are all needed" if len(views) < SMALLEST else "no clip or set of photos has room for it"
    )
    return (f"there is no held-out score: no picture was kept from training, {why}",)


def _warnings(settings: JobSettings, frames: FrameSet) -> tuple[str, ...]:
    """What the user should know, single clips included: a result may hide that one of them is not in it."""
    smaller = f"made with {settings.smaller}: an earlier attempt ran out of memory"
    return (
        *([smaller] if settings.smaller else []),
        *settings.warnings,
        *(f"{clip.name} is not used: {clip.failure.cause}" for clip in frames.refused),
        *frames.warnings,
        *(f"{clip.name}: {warning}" for clip in frames.clips for warning in clip.warnings),
    )
