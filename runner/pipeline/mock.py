"""`BACKEND=mock`: the main files of a result in a second, from any bytes. For tests and for trying the cloud side.

It reconstructs nothing and says so: `"mock": true` in every document, backend and preset "mock". It is never chosen by
"auto". Like the real stages it refuses an empty file, so that dead letters can be tried with it.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from runner.export.ply import write_ply
from runner.export.splat import write_splat
from runner.files.array_file import StateFile, read_state, write_state
from runner.files.atomic import write_atomically
from runner.files.marker import file_fingerprint, fingerprint
from runner.files.packed import UNPACK, packed_file
from runner.pipeline.settings import JobSettings
from runner.pipeline.stages import JobContext, Stages, require_clips
from runner.poses.gates import gate_results
from runner.report.documents import Results, TrainingSummary, intrinsics_of
from runner.scene.frames import Clip, ClipInfo, Frame, FrameSet
from runner.scene.gaussians import Gaussians
from runner.scene.inputs.pose_files import split
from runner.scene.inputs.sidecars import attached
from runner.scene.pose_report import Health, PoseReport
from runner.scene.progress import Progress
from runner.scene.stages import RESUME_FILES, Stage
from runner.scene.views import View
from scenejobs.errors import Code, ConfigurationError, InputError
from scenejobs.names import PREVIEW_FILES, PREVIEW_FOLDER

COUNT = 8  # Gaussians
POLL_S = 0.1


def reconstruct_mock(
    clips: list[Clip], workspace: Path, out: Path, name: str, settings: JobSettings, progress: Progress
) -> dict[str, Any]:
    """Same contract as `reconstruct`. MOCK_SECONDS (default 0) is the length of its "training"; MOCK_DOUBT makes its
    result suspect, for that reason.

    It writes the files of the real stages, with nothing in them, and resumes from those it finds.
    """
    if settings.backend != "mock":
        raise ConfigurationError("the mock must be asked for by name", advice="set BACKEND=mock", stage="validation")
    stages = Stages(JobContext(workspace, progress, out=out, name=name, settings=settings, mock=True))
    with stages.stage(Stage.VALIDATION):
        clips, _ = split(attached(clips)[0])
        require_clips(clips)
    with stages.noting("frames.json"), stages.stage(Stage.FRAMES):
        for clip in clips:
            if clip.path.stat().st_size == 0:
                raise InputError(
                    f"{clip.name} is empty", code=Code.EMPTY_FILE, advice="upload it again; the transfer was cut off",
                    files=(clip.name,),
                )  # fmt: skip
            if packed := packed_file(clip.path):
                raise InputError(
                    f"{clip.name} is not a video, but something packed ({packed})", code=Code.NOT_A_VIDEO,
                    advice=UNPACK, files=(clip.name,),
                )  # fmt: skip
        _leave(workspace, Stage.FRAMES)
    with stages.noting("sparse.json"), stages.stage(Stage.POSES):
        _leave(workspace, Stage.POSES)
    with stages.stage(Stage.TRAINING):
        resumed_at = _wait(stages.context, clips)
    gaussians, exports = _cube(), {}
    for stage, suffix, write in ((Stage.PLY, "ply", write_ply), (Stage.SPLAT, "splat", write_splat)):
        with stages.stage(stage):
            if suffix not in settings.formats:
                continue
            exports[suffix] = asdict(write(gaussians, out / f"{name}.{suffix}"))
    warnings = ("mock: not a reconstruction", *settings.warnings)
    views = _views(clips)
    return stages.write_documents(
        Results(
            name=name,
            frames=replace(_frames(clips), refused=settings.refused, unused=settings.unused),
            poses=_poses(len(clips)),
            views=views,
            training=TrainingSummary("mock", gaussians.count, 0, None, None, None, warnings=warnings),
            exports=exports,
            intrinsics=intrinsics_of(views, clips),
            resumed_at=resumed_at,
            doubts=tuple(filter(None, [os.environ.get("MOCK_DOUBT")])),
        )
    )


def _leave(workspace: Path, stage: Stage) -> None:
    """The files of a finished stage, the marker last."""
    marker, *others = (workspace / file for file in RESUME_FILES[stage])
    if not marker.is_file():
        for path in (*others, marker):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, [f"mock {path.name}".encode()])


def _wait(context: JobContext, clips: list[Clip]) -> tuple[int, ...]:
    """A "training" of one step per POLL_S. Returns the steps at which earlier attempts were continued."""
    progress, seconds = context.progress, float(os.environ.get("MOCK_SECONDS") or 0)
    file = context.workspace / RESUME_FILES[Stage.TRAINING][0]
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
            progress.check(Stage.TRAINING)
            progress.report(Stage.TRAINING, step / steps, f"mock step {step}/{steps}{resumed}", (steps - step) * POLL_S)
            time.sleep(POLL_S)
            step += 1
            _first_look(context.workspace, step, steps)
            if time.monotonic() - saved_at >= context.settings.save_s:
                saved_at = time.monotonic()
                save()
    finally:
        save()
    return tuple(resumed_at)


def _first_look(workspace: Path, step: int, steps: int) -> None:
    """After a tenth of the steps, with nothing in it; the file that tells of it last."""
    folder = workspace / PREVIEW_FOLDER
    if step >= steps / 10 and not (folder / PREVIEW_FILES[-1]).is_file():
        folder.mkdir(exist_ok=True)
        for name in PREVIEW_FILES:
            told = {"preview": True, "mock": True, "step": step, "steps": steps, "since_last_upload_s": None}
            write_atomically(folder / name, [json.dumps(told).encode()])


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


def _views(clips: list[Clip]) -> tuple[View, ...]:
    intrinsics = np.array([[2.0, 0, 1], [0, 2, 1], [0, 0, 1]])
    return tuple(
        View(f"clip{i}/000000.png", clip.name, 0.0, 2, 2, intrinsics, np.eye(4), "train")
        for i, clip in enumerate(clips)
    )
