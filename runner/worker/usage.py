"""Reports how long this execution has run: at the start, about once a minute, and at the end."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta

from scenejobs.errors import SceneJobError
from scenejobs.ports import BlobStore
from scenejobs.state import usage

INTERVAL_S = 60.0

log = logging.getLogger(__name__)


class UsageReporter:
    """Of one execution. Days are those of the service's clock, which is asked once; the local one is for durations."""

    def __init__(self, state: BlobStore, execution: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._state = state
        self._execution = execution
        self._clock = clock
        self._began = clock()
        self._begun_at: datetime | None = None  # by the service's clock, when it could be asked
        self._reported_at: datetime | None = None
        self._lock = threading.Lock()

    def report(self) -> None:
        """Writes the usage so far. A failure is only logged: the next report includes it."""
        try:
            with self._lock:
                self._report()
        except SceneJobError as exc:
            log.warning("the usage of this execution could not be written: %s", exc)

    def _report(self) -> None:
        elapsed = timedelta(seconds=self._clock() - self._began)
        if self._begun_at is None:
            self._begun_at = self._state.now() - elapsed
        now = self._begun_at + elapsed
        for day in usage.days_between(self._reported_at or self._begun_at, now):  # over midnight: the old day too
            seconds = usage.seconds_on(day, self._begun_at, now)
            usage.write(self._state, self._execution, self._begun_at, day, seconds)
        self._reported_at = now

    def over_budget(self, max_minutes: float) -> bool:
        """Whether all executions of today together have used up the day's minutes. Raises StorageError."""
        if not max_minutes:
            return False
        return usage.minutes_on(self._state, self._state.now().date()) >= max_minutes
