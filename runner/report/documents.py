"""The JSON files beside a result: what they say is decided here, by pure functions, and written strictly.

manifest.json   what went in, what came out, how it was made; written last, validated by manifest.schema.json
metrics.json    the numbers of the run: quality, sizes, times
report.html     the same for people (runner/report/html.py)
cameras.json    one entry per registered image: intrinsics and pose
orientation.json  where up is, and the transform from the sparse model's world to that of the exported files
error.json      why a scene failed
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runner.files.atomic import WrittenFile
from runner.files.json_file import utc
from runner.report.unplaced import not_used
from runner.scene.cameras import CameraIntrinsics
from runner.scene.frames import Clip, ClipInfo, Frame, FrameSet
from runner.scene.inputs.file_use import uses
from runner.scene.pose_report import PoseReport
from runner.scene.views import View
from scenejobs.errors import REMEDIES, Code, Failure
from scenejobs.names import is_photo

SCHEMA_VERSION = 1
SHOWN_SHARE = (
    0.1  # of a clip's frames: with fewer registered it is not in the scene, as for the gates (poses/coverage.py)
)
SCHEMA_FILE = Path(__file__).with_name("manifest.schema.json")


@dataclass(frozen=True)
class TrainingSummary:
    """What training and evaluation say about themselves. None: not measured."""

    backend: str  # "gsplat", "cpu", "mock", ...
    n_gaussians: int
    steps: int
    psnr_heldout: float | None  # dB, mean over the held-out views
    ssim_heldout: float | None
    psnr_train: float | None  # dB, mean over training views
    history: tuple[Mapping[str, Any], ...] = ()  # one entry per evaluation: step, seconds, psnr, ...
    details: Mapping[str, Any] = field(default_factory=dict)  # further numbers of the backend
    warnings: tuple[str, ...] = ()
    cleaning: Mapping[str, Any] | None = None  # clean.CleanReport
    orientation: Mapping[str, Any] | None = None  # upright.Orientation, as in orientation.json
    psnr_heldout_corrected: float | None = None  # dB, after a gain and bias per channel fitted to each view itself
    psnr_heldout_refined: float | None = None  # dB, each held-out camera refined on its own picture; no held-out score
    lpips_heldout: float | None = None  # mean over the held-out views; also None without weights


@dataclass(frozen=True)
class RunInfo:
    """What all documents of one run share."""

    job_id: str
    processed_at: datetime  # aware
    preset: str
    seeds: Mapping[str, int]  # by stage
    versions: Mapping[str, str]  # by package
    stage_seconds: Mapping[str, float]  # by stage, wall clock
    mock: bool = False  # True: no real reconstruction; every document says so
    found: tuple[str, ...] = ()  # what earlier attempts had finished: "frames", "sparse"
    asked: Mapping[str, Any] | None = None  # by the scene's scene.yaml: settings, notify, what was not given
    publish_geo: bool = False  # coordinates may stand in the documents
    first_look: Mapping[str, Any] | None = None  # when there was something to look at (pipeline/first_look.py)
    estimate: Mapping[str, Any] | None = None  # what it should take, and took (pipeline/fitting.py)
    generations: Mapping[str, int] = field(default_factory=dict)  # which one brought a file of the scene, by its name


@dataclass(frozen=True)
class Results:
    """What a job found and made; each document tells a part of it."""

    name: str  # of the scene: stem of the result files
    frames: FrameSet
    poses: PoseReport
    views: Sequence[View]  # cameras of the undistorted images, in the world of the exported scene
    training: TrainingSummary
    exports: Mapping[str, Mapping[str, Any]]  # by format: its ExportReport, and what was measured on the file
    intrinsics: Sequence[CameraIntrinsics] = ()  # one per clip with registered frames
    lenses: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # by image: its camera before undistortion
    resumed_at: tuple[int, ...] = ()  # the steps at which the training of earlier attempts was continued
    reused: Mapping[str, int] = field(default_factory=dict)  # what earlier runs had found: how many of what
    doubts: tuple[str, ...] = ()  # sentences that say why the result may be wrong; not empty: it is suspect
    points: NDArray[np.float32] | None = None  # [N, 3] sparse points in the world of the views, for the maps


def metrics(run: RunInfo, results: Results) -> dict[str, Any]:
    """metrics.json: the numbers of the run."""
    poses, training = results.poses, results.training
    return {
        "job_id": run.job_id,
        "run_id": run.job_id,
        "mock": run.mock,
        "suspect": bool(results.doubts),
        "doubt": doubt(results),
        "preset": run.preset,
        "backend": training.backend,
        "psnr_heldout": training.psnr_heldout,
        "psnr_heldout_exposure_corrected": training.psnr_heldout_corrected,
        "psnr_heldout_cameras_refined": training.psnr_heldout_refined,
        "ssim_heldout": training.ssim_heldout,
        "lpips_heldout": training.lpips_heldout,
        "psnr_train": training.psnr_train,
        "n_gaussians": training.n_gaussians,
        "steps": training.steps,
        "training": training.details,
        "cleaning": training.cleaning,
        "orientation": training.orientation,
        "resumed": _resumed(run, results),
        "reused": dict(results.reused) or None,
        **_pose_numbers(poses),
        "health": asdict(poses.health),
        "supplied": poses.supplied,
        "rung": poses.rung,
        "rung_why": poses.why,
        "attempts": poses.attempts,
        "attempt_seconds": poses.attempt_s,
        "joined": poses.joined,
        "left_out": poses.left_out,
        "unregistered": poses.unregistered,
        "clips_shown": clips_shown(results),
        "unused": [asdict(each) for each in not_used(results.frames, set(poses.unregistered))],
        "warnings": [*poses.warnings, *training.warnings],
        "stage_seconds": run.stage_seconds,
        "estimate": run.estimate,
        "first_look": run.first_look,
        "exports": results.exports,
        "seeds": run.seeds,
        "versions": run.versions,
        "history": training.history,
    }


def doubt(results: Results) -> dict[str, Any] | None:
    """Why a suspect result may be wrong, and what to do; None: it is not in doubt."""
    if not results.doubts:
        return None
    code = Code.POSES_SUSPECT
    return {"code": str(code), "reasons": list(results.doubts), "advice": REMEDIES[code]}


def clips_shown(results: Results) -> list[str]:
    """Clips of which the result has registered frames, and not only a few of many; "photos" stands for all photos."""
    chosen = Counter(frame.video for frame in results.frames.frames)
    registered = Counter(view.video for view in results.views)
    photos = {frame.video for frame in results.frames.frames if frame.photo is not None}
    sources = {clip.name: clip.source or clip.name for clip in results.frames.clips}
    shown = {name for name, count in registered.items() if count >= max(SHOWN_SHARE * chosen[name], 1)}
    found = {"photos" if name in photos else sources.get(name, name) for name in shown}
    # What a file shows that is left out for another is in the result as much as that one, which may be left out itself.
    for _ in results.frames.unused:
        for each in results.frames.unused:
            if each.same_as in found or (is_photo(each.same_as) and "photos" in found):
                found.add("photos" if is_photo(each.name) else each.name)
    return sorted(found)


def cameras(results: Results) -> list[dict[str, Any]]:
    """cameras.json. OpenCV axes; K in pixels of the undistorted image; `world_to_camera` from the exported world.

    With COLMAP's model of the image before it was undistorted, and the name of the photo, the file can be supplied to a
    later run (runner/poses/supplied/read.py).
    """
    photos = {frame.image: frame.photo for frame in results.frames.frames}
    return [
        {
            "image": view.image,
            "video": view.video,
            "timestamp_s": view.timestamp_s,
            "split": view.split,
            "width": view.width,
            "height": view.height,
            "K": view.K,
            "world_to_camera": view.world_to_camera,
            "lens": results.lenses.get(view.image),
            "photo": photos.get(view.image),
        }
        for view in results.views
    ]


def manifest(run: RunInfo, results: Results, outputs: Mapping[str, WrittenFile]) -> dict[str, Any]:
    """manifest.json, after manifest.schema.json. outputs: the files of the result, by name.

    The camera with the most chosen frames stands for the scene in `camera_intrinsics`; all are listed below it.
    """
    frames, poses, training, intrinsics = results.frames, results.poses, results.training, results.intrinsics
    chosen = [frame.video for frame in frames.frames]
    main = max(intrinsics, key=lambda camera: chosen.count(camera.video), default=None)
    shared = ("model", "fx", "fy", "cx", "cy", "k1", "k2", "p1", "p2")
    return {
        "schema_version": SCHEMA_VERSION,
        "job_id": run.job_id,
        "run_id": run.job_id,
        "processing_timestamp": utc(run.processed_at),
        "mock": run.mock,
        "suspect": bool(results.doubts),
        "doubt": doubt(results),
        "preset": run.preset,
        "backend": training.backend,
        "videos": [_video(clip, frames, run.publish_geo) for clip in frames.clips],
        "files": [{"filename": name, "generation": number} for name, number in sorted(run.generations.items())],
        "refused_videos": [{"filename": clip.name, "reason": clip.failure.to_json()} for clip in frames.refused],
        "camera_intrinsics": {name: getattr(main, name) for name in shared} if main else None,
        "cameras": [camera.to_json() for camera in intrinsics],
        "reconstruction": {
            **_pose_numbers(poses),
            "health": asdict(poses.health),
            "rung": poses.rung,
            "supplied": poses.supplied,
        },
        "resumed": _resumed(run, results),
        "reused": dict(results.reused) or None,
        "asked": run.asked,
        "training": {
            **training.details,
            "steps": training.steps,
            "n_gaussians": training.n_gaussians,
            "psnr_heldout": training.psnr_heldout,
            "ssim_heldout": training.ssim_heldout,
            "lpips_heldout": training.lpips_heldout,
            "psnr_train": training.psnr_train,
        },
        "stage_seconds": run.stage_seconds,
        "seeds": run.seeds,
        "versions": run.versions,
        "outputs": [{"name": name, **asdict(output)} for name, output in outputs.items()],
    }


def error(
    job_id: str, failure: Failure, *, attempts: int, failed_at: datetime, inputs: Sequence[str], log: str | None = None
) -> dict[str, Any]:
    """`inputs`: names of the files; `log`: the name of the log file beside it, when there is one."""
    return {
        "job_id": job_id,
        "run_id": job_id,
        "failed_at": utc(failed_at),
        **replace(failure, unused=None).to_json(),
        "attempts": attempts,
        "inputs": [asdict(each) for each in uses(inputs, failure)],
        "log": log,
    }


def intrinsics_of(views: Sequence[View], clips: Sequence[Clip | ClipInfo]) -> tuple[CameraIntrinsics, ...]:
    """Pinhole cameras of the undistorted views, one per clip that has views, for runs without a COLMAP model."""
    first = {view.video: view for view in reversed(views)}
    return tuple(
        CameraIntrinsics(clip.name, "PINHOLE", v.width, v.height, *map(float, (v.K[0, 0], v.K[1, 1], *v.K[:2, 2])))
        for clip in clips
        if (v := first.get(clip.name)) is not None
    )


def _resumed(run: RunInfo, results: Results) -> dict[str, Any] | None:
    """What this run took over from earlier attempts; None when it did everything itself."""
    if not (run.found or results.resumed_at):
        return None
    return {"found": run.found, "times": len(results.resumed_at), "at_steps": results.resumed_at}


def _pose_numbers(poses: PoseReport) -> dict[str, Any]:
    return {
        "images_total": poses.images_total,
        "images_registered": poses.images_registered,
        "points": poses.points,
        "mean_track_length": poses.mean_track_length,
        "mean_reprojection_error_px": poses.mean_reprojection_error_px,
    }


def _video(clip: ClipInfo, frames: FrameSet, publish_geo: bool) -> dict[str, Any]:
    return {
        "filename": clip.name,
        "frame_count": clip.frame_count,
        "resolution": f"{clip.width}x{clip.height}",
        "fps": clip.fps,
        "duration_secs": clip.duration_s,
        "codec": clip.codec,
        "recording_timestamp": clip.recorded_at,
        "camera_model": clip.camera_model,
        "gps": _place(clip.gps) if publish_geo else None,
        "orientation": "portrait" if clip.height > clip.width else "landscape",
        "rotation_deg": clip.rotation_deg,
        "warnings": clip.warnings,
        "focal_px_stated": clip.focal_px,
        "frames": [_frame(frame, publish_geo) for frame in frames.frames if frame.video == clip.name],
    }


def _frame(frame: Frame, publish_geo: bool) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "frame_number": frame.index,
        "timestamp_offset": frame.timestamp_s,
        "filename": frame.image,
    }
    if frame.photo is not None:
        place = _place(frame.gps) if publish_geo else None
        entry |= {"photo": frame.photo, "recording_timestamp": frame.recorded_at, "gps": place}
    return entry


def _place(gps: tuple[float, float] | None) -> dict[str, float] | None:
    return {"latitude": gps[0], "longitude": gps[1]} if gps else None
