"""Reports how long this execution has run, and by that that it lives: at the start, every minute, and at the end.

The heartbeat is a thread beside the work, because a scene may take hours. The last report says that the execution ends:
from then on nobody counts on it, even if the platform goes on to list it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import datetime, timedelta

from runner.worker.periodic import Repeat, Repeating, Thread
from scenejobs.errors import SceneJobError
from scenejobs.ports import BlobStore
from scenejobs.state.executions import usage

LOOK_S = 15.0  # between two looks whether a report is due; one that failed is due at the next

log = logging.getLogger(__name__)


class UsageReporter:
    """Of one execution. Days are those of the service's clock, which is asked once; the local one is for durations."""

    def __init__(
        self,
        state: BlobStore,
        execution: str,
        clock: Callable[[], float] = time.monotonic,
        repeat: Repeat = Thread,
        *,
        fallback: bool = False,
    ) -> None:
        self._state = state
        self._fallback = fallback
        self._execution = execution
        self._clock = clock
        self._repeat = repeat
        self._heartbeat: Repeating | None = None
        self._began = clock()
        self._begun_at: datetime | None = None  # by the service's clock, when it could be asked
        self._reported_at: datetime | None = None
        self._due_at = self._began  # on `clock`
        self._ended = False  # so says the last report that was written

    def begin(self) -> None:
        """The first report, and a heartbeat until `end`."""
        self.report()
        self._heartbeat = self._repeat("usage", self.report_if_due, LOOK_S)

    def report(self) -> None:
        """Writes the usage so far. A failure is only logged: the next report includes it."""
        self._write(ended=False)

    def report_if_due(self) -> None:
        """Does nothing before HEARTBEAT_S have passed since the last report that was written."""
        if self._clock() >= self._due_at:
            self.report()

    def end(self) -> None:
        """The last report: this execution takes no further work. `begin` takes that back."""
        if self._heartbeat is not None:
            self._heartbeat.end()  # first: it would write that the execution goes on
            self._heartbeat = None
        if not self._ended:
            self._write(ended=True)

    def _write(self, *, ended: bool) -> None:
        try:
            self._report(ended)
        except SceneJobError as exc:
            log.warning("the usage of this execution could not be written: %s", exc)

    def _report(self, ended: bool) -> None:
        elapsed = timedelta(seconds=self._clock() - self._began)
        if self._begun_at is None:
            self._begun_at = self._state.now() - elapsed
        now = self._begun_at + elapsed
        for day in usage.days_between(self._reported_at or self._begun_at, now):  # over midnight: the old day too
            seconds = usage.seconds_on(day, self._begun_at, now)
            usage.write(
                self._state, self._execution, self._begun_at, day, seconds,
                beats=True, ended=ended, fallback=self._fallback,
            )  # fmt: skip
        self._reported_at, self._ended = now, ended
        self._due_at = self._began + elapsed.total_seconds() + usage.HEARTBEAT_S

    def over_budget(self, max_minutes: float) -> bool:
        """Whether all executions of today together have used up the day's minutes. Raises StorageError."""
        if not max_minutes:
            return False
        return usage.minutes_on(self._state, self._state.now().date()) >= max_minutes
