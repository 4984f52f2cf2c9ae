"""What every stage of a job is handed: where it works, whom it reports to, what earlier jobs left."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from runner.cache.store import StageCache
from runner.scene.progress import Progress


@dataclass(frozen=True)
class StageContext:
    """The same for all stages of one job."""

    workspace: Path  # folder of the job; every stage writes into its own part of it
    progress: Progress
    cache: StageCache | None = None  # results by the content of their inputs; None: nothing is remembered
