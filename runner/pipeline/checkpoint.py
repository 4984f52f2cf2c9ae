"""`.checkpoint.json`: how far a job is, for people and programs that watch.

Nothing resumes from it: each stage looks for its own finished output (`frames.json`, ...).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from runner.files.json_file import utc, write_json
from runner.scene.progress import Report
from runner.scene.stages import Stage

FILE_NAME = ".checkpoint.json"
VERSION = 1
COMPLETED = "completed"


@dataclass(frozen=True)
class Checkpoint:
    """One moment of a job. A change is a copy."""

    job_id: str
    stage: str  # a value of Stage, or "completed"
    progress: float  # of the whole run, 0..1
    updated_at: str  # ISO 8601, UTC
    detail: str = ""  # of the last report: "step 1200/5000, 23.4 dB"
    finished: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # stage -> its summary, in order

    def reported(self, report: Report, now: datetime) -> Checkpoint:
        """After one report of progress."""
        return replace(
            self,
            stage=report.stage,
            progress=round(report.total_fraction, 4),
            detail=report.detail,
            updated_at=utc(now),
        )

    def finished_stage(self, stage: str, summary: Mapping[str, Any], now: datetime) -> Checkpoint:
        """After a stage ended. summary: what it made (counts, sizes, seconds), in the types of JSON."""
        done = self.reported(Report(stage, 1.0), now)
        return replace(done, finished={**self.finished, stage: {**summary, "finished_at": utc(now)}})

    def completed(self, now: datetime) -> Checkpoint:
        return replace(self, stage=COMPLETED, progress=1.0, detail="", updated_at=utc(now))

    def to_json(self) -> dict[str, Any]:
        return {
            "version": VERSION,
            "job_id": self.job_id,
            "run_id": self.job_id,
            "stage": self.stage,
            "progress": self.progress,
            "detail": self.detail,
            "updated_at": self.updated_at,
            "finished": self.finished,
        }


def begin(job_id: str, now: datetime) -> Checkpoint:
    return Checkpoint(job_id, Stage.VALIDATION, 0.0, utc(now))


def write_checkpoint(checkpoint: Checkpoint, folder: Path) -> None:
    """Atomically; a kill at any point leaves the last complete one."""
    write_json(folder / FILE_NAME, checkpoint.to_json())
