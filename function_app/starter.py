"""Starts as many executions of the runner's job as the waiting messages need, and no more.

A start that was accepted proves nothing (executions with a GPU die before they begin, sometimes for hours), so nothing
is remembered about starts that went well: every look counts what really waits and what really runs.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from scenejobs.errors import AccessDenied, Busy, ComputeError, Conflict, NotFound
from scenejobs.layout import DISPATCHER_RECORD
from scenejobs.ports import BlobStore, Compute, JobQueue, Lease

log = logging.getLogger(__name__)

BACK_OFF_BASE_S = 30.0
BACK_OFF_MAX_S = 15 * 60.0
LEASE_S = 30  # counting and starting takes a few seconds
LEASE_TRIES = 40
LEASE_PAUSE_S = 0.5


def starts_needed(waiting: int, total: int, live: int, limit: int) -> int:
    """How many executions to start.

    waiting: visible messages. total: visible and hidden ones. live: executions that run or are about to.
    A live execution that holds no message will take a waiting one. The job's own limit is none: `limit` is ours.
    """
    held = max(0, total - waiting)
    idle = max(0, live - held)
    return max(0, min(waiting - idle, limit - live))


def back_off_s(failures_in_row: int, retry_after_s: float | None) -> float:
    """The wait after a failed start: doubling, and at least what the service asked for."""
    doubled = BACK_OFF_BASE_S * 2.0 ** min(failures_in_row - 1, 16)
    return max(min(doubled, BACK_OFF_MAX_S), retry_after_s or 0.0)


@dataclass(frozen=True)
class StarterState:
    """`state/dispatcher.json`."""

    last_start: datetime | None = None
    failures_in_row: int = 0
    not_before: datetime | None = None  # no start is tried earlier
    last_error: str = ""

    def started(self, now: datetime) -> StarterState:
        return StarterState(last_start=now)

    def failed(self, now: datetime, error: Exception) -> StarterState:
        failures = self.failures_in_row + 1
        retry_after_s = error.retry_after_s if isinstance(error, ComputeError) else None
        return replace(
            self,
            failures_in_row=failures,
            not_before=now + timedelta(seconds=back_off_s(failures, retry_after_s)),
            last_error=str(error),
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "last_start": self.last_start.isoformat() if self.last_start else None,
            "failures_in_row": self.failures_in_row,
            "not_before": self.not_before.isoformat() if self.not_before else None,
            "last_error": self.last_error,
        }

    @staticmethod
    def from_json(value: dict[str, Any]) -> StarterState:
        return StarterState(
            last_start=datetime.fromisoformat(value["last_start"]) if value.get("last_start") else None,
            failures_in_row=int(value.get("failures_in_row", 0)),
            not_before=datetime.fromisoformat(value["not_before"]) if value.get("not_before") else None,
            last_error=str(value.get("last_error", "")),
        )


@dataclass(frozen=True)
class Starter:
    """Counts and starts, one at a time over all instances of the function app."""

    state: BlobStore
    jobs: JobQueue
    compute: Compute
    limit: int  # executions at the same time
    pause: Callable[[float], None] = time.sleep

    def ensure_started(self) -> int:
        """Starts what is missing and returns how many. During a back-off it does nothing: the sweep tries later.

        Raises ComputeError and AccessDenied when a start fails; the failure is never charged to a scene. Raises Busy
        when another instance keeps starting.
        """
        if self.jobs.waiting() == 0 or self._backing_off():
            return 0
        with self._alone() as lease:  # two instances counting at once would both start, past the limit
            if self._backing_off():
                return 0
            return self._start_missing(lease)

    def _start_missing(self, lease: Lease) -> int:
        state = self.load()
        started = 0
        try:
            needed = starts_needed(self.jobs.waiting(), self.jobs.total(), len(self.compute.live()), self.limit)
            for _ in range(needed):
                log.info("execution started: %s", self.compute.start() or "(the service gave no name)")
                started += 1
        except (ComputeError, AccessDenied) as exc:
            failed = state.failed(self.state.now(), exc)
            self._save(failed, lease)
            log.error("no execution could be started (%d in a row): %s", failed.failures_in_row, exc)
            raise
        if started or state.failures_in_row:
            self._save(state.started(self.state.now()) if started else StarterState(state.last_start), lease)
        return started

    def load(self) -> StarterState:
        try:
            data, _ = self.state.read(DISPATCHER_RECORD)
            return StarterState.from_json(json.loads(data))
        except NotFound:
            return StarterState()
        except (ValueError, TypeError, AttributeError):
            log.warning("%s cannot be read; starting from a clean one", DISPATCHER_RECORD)  # it only slows starts down
            return StarterState()

    def _backing_off(self) -> bool:
        not_before = self.load().not_before
        if not_before is None or self.state.now() >= not_before:
            return False
        log.info("no start before %s", not_before.isoformat())
        return True

    def _save(self, state: StarterState, lease: Lease) -> None:
        self.state.write(DISPATCHER_RECORD, json.dumps(state.to_json(), indent=1).encode(), lease=lease)

    @contextmanager
    def _alone(self) -> Iterator[Lease]:
        with suppress(Conflict):  # it exists already
            self.state.write(DISPATCHER_RECORD, json.dumps(StarterState().to_json()).encode(), if_absent=True)
        lease = self._acquire()
        try:
            yield lease
        finally:
            lease.release()

    def _acquire(self) -> Lease:
        for _ in range(LEASE_TRIES):
            try:
                return self.state.lease(DISPATCHER_RECORD, LEASE_S)
            except Conflict:
                self.pause(LEASE_PAUSE_S)
        raise Busy(f"{DISPATCHER_RECORD} is leased by another starter", advice="the next look tries again")
