"""Which pipeline runs: the real one, or the mock that marks every output as mock."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from runner.pipeline.settings import JobSettings
from runner.scene.frames import Clip
from runner.scene.progress import Progress

Reconstruct = Callable[[list[Clip], Path, Path, str, JobSettings, Progress], dict[str, Any]]


def choose(settings: JobSettings) -> Reconstruct:
    """The mock, when BACKEND names it, else the real pipeline. Only that is imported: the mock loads no COLMAP."""
    if settings.backend == "mock":
        from runner.pipeline.mock import reconstruct_mock

        return reconstruct_mock
    from runner.pipeline.reconstruct import reconstruct

    return reconstruct
