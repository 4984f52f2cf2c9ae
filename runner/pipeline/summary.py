"""What the log and the report say of a finished training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING

from runner.pipeline.settings import JobSettings
from runner.report import documents
from runner.scene.frames import FrameSet
from runner.scene.pose_report import PoseReport

if TYPE_CHECKING:
    from runner.postprocess.floaters import CleanReport
    from runner.postprocess.upright import Orientation
    from runner.quality.evaluate import Evaluation
    from runner.training.loop import Trained


def smaller(settings: JobSettings) -> tuple[str, ...]:
    return (f"made with {settings.smaller}: an earlier attempt ran out of memory",) if settings.smaller else ()


def clip_warnings(frames: FrameSet) -> tuple[str, ...]:
    """What the user should know about single clips: a result may hide that one of them is not in it."""
    left_out = [f"{clip.name} is not used: {clip.failure.cause}" for clip in frames.refused]
    return (
        *left_out,
        *frames.warnings,
        *(f"{clip.name}: {warning}" for clip in frames.clips for warning in clip.warnings),
    )


def training_summary(
    settings: JobSettings,
    trained: Trained,
    scores: Evaluation,
    pictures: Mapping[str, str],
    warnings: tuple[str, ...],
    cleaning: CleanReport,
    orientation: Orientation,
) -> documents.TrainingSummary:
    return documents.TrainingSummary(
        backend=settings.backend,
        n_gaussians=trained.gaussians.count,
        steps=trained.steps,
        psnr_heldout=scores.test.psnr,
        ssim_heldout=scores.test.ssim,
        psnr_train=scores.train.psnr,
        psnr_heldout_corrected=scores.test.psnr_corrected,
        lpips_heldout=scores.test.lpips,
        history=tuple(asdict(measurement) for measurement in trained.history),
        details={
            "loss": trained.history[-1].loss if trained.history else None,
            "stopped": trained.stopped,
            "wall_s": trained.wall_s,
            "rollbacks": trained.rollbacks,
            "ssim_train": scores.train.ssim,
            "lpips_train": scores.train.lpips,
            "psnr_train_exposure_corrected": scores.train.psnr_corrected,
            "gap_db": scores.gap_db,
            "exposure": {
                "spread": trained.exposure_spread,
                "contradiction": trained.exposure_contradiction,
                "compensated": trained.exposure_compensated,
                "correction": "a gain and a bias per channel, fitted to each scored picture itself",
            },
            "settings": asdict(settings.preset.train),
            "worst_views": [{**asdict(view), "picture": pictures[view.image]} for view in scores.test.worst()],
        },
        warnings=warnings,
        cleaning=cleaning.to_json(),
        orientation=orientation.to_json(),
    )


def note(poses: PoseReport, trained: Trained, scores: Evaluation) -> str:
    quality = f", {scores.test.psnr:.1f} dB on held-out frames" if scores.test.psnr is not None else ""
    return f"{trained.gaussians.count:,} Gaussians from {poses.images_registered} frames{quality}"
