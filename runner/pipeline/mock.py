"""`BACKEND=mock`: every file of a result in a second, from any bytes. For tests and for trying the cloud side.

It reconstructs nothing and says so: `"mock": true` in every document, backend and preset "mock". It is never chosen by
"auto". Like the real stages it refuses an empty file, so that the way of a dead letter can be walked with it.
"""

from __future__ import annotations

import os
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from runner.export.ply import write_ply
from runner.export.splat import write_splat
from runner.files.array_file import StateFile, read_state, write_state
from runner.files.atomic import write_atomically
from runner.files.marker import file_fingerprint, fingerprint
from runner.pipeline.settings import JobSettings
from runner.pipeline.stages import Stages, require_clips
from runner.poses.gates import gate_results
from runner.report.documents import TrainingSummary, intrinsics_of
from runner.scene.frames import Clip, ClipInfo, Frame, FrameSet
from runner.scene.gaussians import Gaussians
from runner.scene.pose_files import split
from runner.scene.pose_report import Health, PoseReport
from runner.scene.progress import Progress
from runner.scene.stages import RESUME_FILES
from runner.scene.views import TrainingScene, View
from scenejobs.errors import Code, ConfigurationError, InputError

COUNT = 8  # Gaussians
POLL_S = 0.1


def reconstruct_mock(
    clips: list[Clip], workspace: Path, out: Path, name: str, settings: JobSettings, progress: Progress
) -> dict[str, Any]:
    """Same contract as `pipeline.reconstruct`. MOCK_SECONDS (default 0) is the time the "training" takes.

    It leaves the files of the real stages on its way, with nothing in them, and goes on from those it finds.
    """
    if settings.backend != "mock":
        raise ConfigurationError("the mock must be asked for by name", advice="set BACKEND=mock", stage="validation")
    stages = Stages(out, settings, progress, mock=True)
    with stages.stage("validation"):
        clips, _ = split(clips)
        require_clips(clips)
    with stages.stage("frame_extraction"):
        for clip in clips:
            if clip.path.stat().st_size == 0:
                raise InputError(
                    f"{clip.name} is empty", code=Code.EMPTY_FILE, advice="upload it again; the transfer was cut off"
                )
        frames = _frames(clips)
        _leave(workspace, "frame_extraction", stages)
    with stages.stage("colmap_reconstruction"):
        poses = _poses(len(clips))
        _leave(workspace, "colmap_reconstruction", stages)
    with stages.stage("training"):
        seconds = float(os.environ.get("MOCK_SECONDS") or 0)
        stages.resumed_at = _wait(seconds, workspace, clips, settings.save_s, stages.progress)
    gaussians = _cube()
    with stages.stage("ply_export"):
        ply = write_ply(gaussians, out / f"{name}.ply")
    with stages.stage("splat_export"):
        splat = write_splat(gaussians, out / f"{name}.splat")
    scene = _scene(clips)
    warnings = ("mock: not a reconstruction", *settings.warnings)
    training = TrainingSummary("mock", gaussians.count, 0, None, None, None, warnings=warnings)
    exports = {"ply": asdict(ply), "splat": asdict(splat)}
    return stages.write_documents(name, frames, poses, scene, training, exports, intrinsics_of(scene.views, clips))


def _leave(workspace: Path, stage: str, stages: Stages) -> None:
    """The files of a finished stage, the marker last."""
    marker, *others = (workspace / file for file in RESUME_FILES[stage])
    with stages.noticing(marker):
        if not marker.is_file():
            for path in (*others, marker):
                path.parent.mkdir(parents=True, exist_ok=True)
                write_atomically(path, [f"mock {path.name}".encode()])


def _wait(seconds: float, workspace: Path, clips: list[Clip], save_s: float, progress: Progress) -> tuple[int, ...]:
    """A "training" of one step per POLL_S. Returns the steps at which earlier attempts were continued."""
    file = workspace / RESUME_FILES["training"][0]
    made_from = fingerprint([[clip.name, file_fingerprint(clip.path)] for clip in clips])
    step, steps, resumed_at = 0, round(seconds / POLL_S), []
    if (found := read_state(file, made_from)) is not None:
        step = found.values["step"]
        resumed_at = [*found.values["resumed_at"], step]
    resumed = f" (resumed at step {step})" if resumed_at else ""

    def save() -> None:
        write_state(file, StateFile({"step": step, "resumed_at": resumed_at}, {}), made_from)

    saved_at = time.monotonic()
    try:
        while step < steps:
            progress.check("training")
            progress.report("training", step / steps, f"mock step {step}/{steps}{resumed}", (steps - step) * POLL_S)
            time.sleep(POLL_S)
            step += 1
            if time.monotonic() - saved_at >= save_s:
                saved_at = time.monotonic()
                save()
    finally:
        save()
    return tuple(resumed_at)


def _cube() -> Gaussians:
    """The corners of a cube."""
    corners = np.array(np.meshgrid([-1, 1], [-1, 1], [-1, 1])).reshape(3, COUNT).T.astype(np.float32)
    return Gaussians(
        means=corners,
        quats=np.tile(np.array([1, 0, 0, 0], np.float32), (COUNT, 1)),
        log_scales=np.full((COUNT, 3), -2, np.float32),
        opacity_logits=np.full(COUNT, 2, np.float32),
        sh0=corners.copy(),
        sh_rest=np.zeros((COUNT, 0, 3), np.float32),
    )


def _frames(clips: list[Clip]) -> FrameSet:
    infos = tuple(ClipInfo(clip.name, f"clip{i}", 1, 2, 2, 1.0, 1.0, "mock", 0) for i, clip in enumerate(clips))
    return FrameSet(infos, tuple(Frame(f"{info.folder}/000000.png", info.name, 0, 0.0, 0.0) for info in infos))


def _poses(count: int) -> PoseReport:
    nothing = float("nan")  # becomes null: not measured
    health = Health(nothing, nothing, nothing, nothing, nothing, nothing)
    gates = gate_results(health)
    return PoseReport(count, count, 0, nothing, nothing, health, "mock", ("mock",), (), gates=gates)


def _scene(clips: list[Clip]) -> TrainingScene:
    intrinsics = np.array([[2.0, 0, 1], [0, 2, 1], [0, 0, 1]])
    views = tuple(
        View(f"clip{i}/000000.png", clip.name, 0.0, 2, 2, intrinsics, np.eye(4), "train")
        for i, clip in enumerate(clips)
    )
    empty = np.zeros((0, 3))
    return TrainingScene(
        views,
        tuple(np.zeros((2, 2, 3), np.uint8) for _ in views),
        empty.astype(np.float32),
        empty.astype(np.uint8),
        np.zeros(0, np.float32),
        np.zeros(0, np.int32),
    )
