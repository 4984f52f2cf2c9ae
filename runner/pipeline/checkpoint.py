"""`.checkpoint.json`: how far a job is, for people who watch and for the attempt after this one.

It is a hint, never the truth about a stage: each stage looks for its own finished output (`frames.json`, ...). So a
file that is torn, foreign or of another version is treated as missing.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from runner.files.json_file import utc, write_json
from runner.scene.progress import STAGES, Report

FILE_NAME = ".checkpoint.json"
VERSION = 1
COMPLETED = "completed"
SIZE_LIMIT = 1 << 20  # bytes; ours has some kB


@dataclass(frozen=True)
class Checkpoint:
    """One moment of a job. A change is a copy."""

    job_id: str
    stage: str  # a key of progress.STAGES, or "completed"
    progress: float  # of the whole run, 0..1
    updated_at: str  # ISO 8601, UTC
    detail: str = ""  # of the last report: "step 1200/5000, 23.4 dB"
    finished: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # stage -> what it left, in order

    def reported(self, report: Report, now: datetime) -> Checkpoint:
        """After one report of progress."""
        return replace(
            self,
            stage=report.stage,
            progress=round(report.total_fraction, 4),
            detail=report.detail,
            updated_at=utc(now),
        )

    def left(self, stage: str, results: Mapping[str, Any], now: datetime) -> Checkpoint:
        """After a stage ended: `results` is what it left (files, counts, seconds)."""
        done = self.reported(Report(stage, 1.0), now)
        return replace(done, finished={**self.finished, stage: {**results, "finished_at": utc(now)}})

    def completed(self, now: datetime) -> Checkpoint:
        return replace(self, stage=COMPLETED, progress=1.0, detail="", updated_at=utc(now))

    def to_json(self) -> dict[str, Any]:
        return {
            "version": VERSION,
            "job_id": self.job_id,
            "stage": self.stage,
            "progress": self.progress,
            "detail": self.detail,
            "updated_at": self.updated_at,
            "finished": self.finished,
        }


def begin(job_id: str, now: datetime) -> Checkpoint:
    return Checkpoint(job_id, next(iter(STAGES)), 0.0, utc(now))


def write_checkpoint(checkpoint: Checkpoint, folder: Path) -> None:
    """Atomically; a kill at any point leaves the last complete one."""
    write_json(folder / FILE_NAME, checkpoint.to_json())


def read_checkpoint(folder: Path, job_id: str) -> Checkpoint | None:
    """The checkpoint of this job in this folder. None when it is missing, torn, of another job or not ours."""
    path = folder / FILE_NAME
    try:
        if path.stat().st_size > SIZE_LIMIT:
            return None
        value = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, IsADirectoryError, ValueError, RecursionError):  # ValueError: no JSON or no UTF-8
        return None
    found = _parse(value)
    return found if found is not None and found.job_id == job_id else None


def _parse(value: Any) -> Checkpoint | None:
    match value:
        case {
            "version": 1,
            "job_id": str(job_id),
            "stage": str(stage),
            "progress": float() | int() as progress,
            "updated_at": str(updated_at),
            "detail": str(detail),
            "finished": dict(finished),
        }:
            known = stage in STAGES or stage == COMPLETED
            stages_known = all(key in STAGES and isinstance(left, dict) for key, left in finished.items())
            if known and stages_known and math.isfinite(progress) and 0 <= progress <= 1:
                return Checkpoint(job_id, stage, float(progress), updated_at, detail, finished)
    return None
