"""The stages of a job: their order, their log lines and their markers in the workspace."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.cache.provenance import versions
from runner.files import json_file
from runner.files.describe import describe_file
from runner.pipeline import checkpoint
from runner.pipeline.settings import JobSettings
from runner.report import documents
from runner.scene import cameras
from runner.scene.frames import Clip, FrameSet
from runner.scene.pose_report import PoseReport
from runner.scene.progress import Progress, Report
from runner.scene.views import TrainingScene
from scenejobs.errors import Code, InputError, SceneJobError

if TYPE_CHECKING:
    pass


log = logging.getLogger(__name__)

NOT_OUTPUTS = frozenset({"manifest.json", "error.json", "run.log"})
CHECKPOINT_S = 5.0  # between two writes of .checkpoint.json within a stage


def require_clips(clips: list[Clip]) -> None:
    """Raises InputError when there is nothing to look at."""
    if not clips:
        advice = "upload at least one video, or a set of photos"
        raise InputError("the scene holds no video and no photo", code=Code.NO_VIDEO, advice=advice)
    for clip in clips:
        if not clip.path.is_file():
            raise InputError(f"{clip.name} is missing", code=Code.INPUT_GONE, advice="upload it again")


@dataclass
class Stages:
    """What all stages share: their times, the checkpoint file, and the documents at the end."""

    out: Path
    settings: JobSettings
    outer: Progress
    mock: bool = False
    seconds: dict[str, float] = field(default_factory=dict)  # by stage, wall clock
    written_at: float = 0.0  # monotonic, of the checkpoint file
    found: list[str] = field(default_factory=list)  # what earlier attempts had finished: "frames", "sparse"
    resumed_at: tuple[int, ...] = ()  # the steps at which the training of earlier attempts was continued
    reused: dict[str, int] = field(default_factory=dict)  # what was taken from the cache: "poses", "matches of pairs"

    def __post_init__(self) -> None:
        self.out.mkdir(parents=True, exist_ok=True)
        (self.out / "manifest.json").unlink(missing_ok=True)  # of an earlier run: what it names is about to change
        self.checkpoint = checkpoint.begin(self.settings.job_id, datetime.now(UTC))
        self.progress = Progress(self._emit, self.outer.stop_requested)

    @contextmanager
    def stage(self, name: str) -> Iterator[dict[str, Any]]:
        """Measures the stage, names it in its errors, and records in the checkpoint what it puts into the dict."""
        begun = time.monotonic()
        left: dict[str, Any] = {}
        self.progress.check(name)
        self.progress.report(name, 0.0)
        try:
            yield left
        except SceneJobError as exc:
            exc.stage = exc.stage or name
            raise
        self.seconds[name] = round(time.monotonic() - begun, 3)
        log.info("%s took %.1f s: %s", name, self.seconds[name], left)
        results = {**left, "seconds": self.seconds[name]}
        self.checkpoint = self.checkpoint.finished_stage(name, json_file.plain(results), datetime.now(UTC))
        self._write_checkpoint()
        self.progress.report(name, 1.0)

    @contextmanager
    def noticing(self, marker: Path) -> Iterator[None]:
        """Around a stage that skips what is done: it was found, not made, when its marker stays the same file."""
        before = marker.stat() if marker.is_file() else None
        yield
        after = marker.stat() if marker.is_file() else None
        if before and after and (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns):
            self.found.append(marker.stem)

    def write_documents(
        self,
        name: str,
        frames: FrameSet,
        poses: PoseReport,
        scene: TrainingScene,
        training: documents.TrainingSummary,
        exports: Mapping[str, Mapping[str, Any]],
        intrinsics: tuple[cameras.CameraIntrinsics, ...],
        lenses: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> dict[str, Any]:
        """metrics.json, cameras.json, report.html, the last checkpoint, then manifest.json with every file's hash."""
        from runner.report.html import write_report

        now = datetime.now(UTC)
        run = documents.RunInfo(
            job_id=self.settings.job_id,
            processed_at=now,
            preset=self.settings.preset.name,
            seeds={
                "colmap_reconstruction": self.settings.preset.poses.seed,
                "training": self.settings.preset.train.seed,
            },
            versions=versions(),
            stage_seconds=self.seconds,
            mock=self.mock,
            found=tuple(self.found),
            resumed_at=self.resumed_at,
            reused=self.reused,
        )
        metrics: dict[str, Any] = json_file.plain(documents.metrics(run, poses, training, exports))
        json_file.write_json(self.out / "metrics.json", metrics)
        json_file.write_json(self.out / "cameras.json", documents.cameras(scene.views, frames.frames, lenses))
        write_report(self.out, name, metrics, frames, poses, json_file.utc(now))
        self.checkpoint = self.checkpoint.completed(now)
        self._write_checkpoint()
        outputs = described(self.out)
        manifest = documents.manifest(run, frames, poses, intrinsics, training, outputs)
        json_file.write_json(self.out / "manifest.json", manifest)
        return metrics

    def _emit(self, report: Report) -> None:
        self.outer.emit(report)
        if time.monotonic() - self.written_at > CHECKPOINT_S:
            self.checkpoint = self.checkpoint.reported(report, datetime.now(UTC))
            self._write_checkpoint()

    def _write_checkpoint(self) -> None:
        checkpoint.write_checkpoint(self.checkpoint, self.out)
        self.written_at = time.monotonic()


def described(folder: Path) -> tuple[documents.OutputFile, ...]:
    """Every finished file of the folder but the manifest, with size and hash."""
    names = sorted(path.name for path in folder.iterdir() if path.is_file() and not path.name.endswith(".part"))
    files = {name: describe_file(folder / name) for name in names if name not in NOT_OUTPUTS}
    return tuple(documents.OutputFile(name, file.size_bytes, file.sha256) for name, file in files.items())
