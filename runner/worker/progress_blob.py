"""Writes how far an attempt is to `state/progress/<key>.json`, for people who watch. Best effort."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from datetime import datetime
from types import TracebackType
from typing import Any

from runner.scene.progress import Report
from runner.worker.periodic import Repeat, Repeating, Thread
from scenejobs.errors import SceneJobError
from scenejobs.ports import BlobStore
from scenejobs.state.layout import progress_name

INTERVAL_S = 2.0  # between two writes

log = logging.getLogger(__name__)


class ProgressBlob:
    """Context manager. A thread of its own writes, so that a slow store never holds up the supervision of the job."""

    def __init__(
        self,
        state: BlobStore,
        scene: str,
        details: dict[str, Any],
        now: Callable[[], datetime],
        repeat: Repeat = Thread,
    ) -> None:
        self._state = state
        self._name = progress_name(scene)
        self._details = details  # the same in every write: scene, run, attempt
        self._now = now
        self._latest: Report | None = None
        self._repeat = repeat
        self._writer: Repeating | None = None

    def __enter__(self) -> ProgressBlob:
        self._writer = self._repeat("progress", self.write_latest, INTERVAL_S)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._writer is not None:
            self._writer.end()

    def add(self, **details: Any) -> None:
        """From now on these stand in every write as well."""
        self._details = {**self._details, **details}

    def offer(self, report: Report) -> None:
        """Cheap; the newest offer is written."""
        self._latest = report

    def write_latest(self) -> None:
        report, self._latest = self._latest, None
        if report is None:
            return
        body = {**self._details, **report.to_json(), "at": self._now().isoformat()}
        try:
            self._state.write(self._name, json.dumps(body).encode())
        except SceneJobError as exc:
            log.debug("progress could not be written: %s", exc)
