"""StageContext, which every stage of a job gets: its folder, the progress it reports, the cache of earlier results."""

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
