"""A timer trigger with the rules of the Functions host: its schedule, what was missed, and one instance of many.

Status and lock lie where the host keeps them, in the container `azure-webjobs-hosts`. A time that was missed while no
host ran is made up for once, at the start, as past due; at the first start of all nothing is. Schedules of less than a
minute have no status. Only the instance that holds the lock runs the timer; the others ask every minute.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Any, Protocol

from azure.core.exceptions import AzureError, HttpResponseError, ResourceNotFoundError
from azure.storage.blob import BlobClient

from local.functions_host.clock import Clock

log = logging.getLogger(__name__)

LOCK_S = 60
RENEW_S = 20.0
ASK_AGAIN_S = 60.0
MONITORED_FROM_S = 60.0  # a schedule with shorter steps has no status


class Lock(Protocol):
    """Held by one instance."""

    def acquire(self) -> bool: ...

    def renew(self) -> bool: ...

    def release(self) -> None: ...


class Monitor(Protocol):
    """Remembers when the timer is to run next."""

    def read(self) -> datetime | None: ...

    def write(self, last: datetime | None, following: datetime) -> None: ...


class TimerListener:
    """Calls a function at the times of its schedule, one call at a time.

    next_after: the schedule. call: gets whether the time is past due. lock, monitor: None: without.
    """

    def __init__(
        self,
        name: str,
        next_after: Callable[[datetime], datetime],
        call: Callable[[bool], None],
        clock: Clock,
        *,
        lock: Lock | None = None,
        monitor: Monitor | None = None,
    ) -> None:
        self.name = name
        self._next_after = next_after
        self._call = call
        self._clock = clock
        self._lock = lock
        self._monitor = monitor
        self._stop = threading.Event()
        self._idle = threading.Event()
        self._idle.set()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, wait_s: float) -> None:
        """Starts no further run, waits for one that is on, and gives the lock back."""
        self._stop.set()
        self._clock.wait(self._idle, wait_s)
        if self._lock is not None:
            self._lock.release()

    def _run(self) -> None:
        while self._lock is not None and not self._lock.acquire():
            if self._clock.wait(self._stop, ASK_AGAIN_S):
                return
        if self._lock is not None:
            threading.Thread(target=self._keep, args=[self._lock], name=f"{self.name}-lock", daemon=True).start()
        now = self._clock.now()
        following = self._next_after(now)
        if (self._next_after(following) - following).total_seconds() < MONITORED_FROM_S:
            self._monitor = None
        if self._monitor is not None:
            due = self._monitor.read()
            if due is not None and due < now:
                self._invoke(past_due=True)
                following = self._next_after(self._clock.now())
            else:
                self._monitor.write(None, following)
        while not self._clock.wait(self._stop, (following - self._clock.now()).total_seconds()):
            self._invoke(past_due=False)
            following = self._next_after(self._clock.now())

    def _invoke(self, *, past_due: bool) -> None:
        self._idle.clear()
        try:
            if not self._stop.is_set():
                self._call(past_due)
        except Exception:  # whatever a function raises is logged, here as in the real host
            log.exception("%s failed", self.name)
        finally:
            self._idle.set()
        if self._monitor is not None and not self._stop.is_set():
            now = self._clock.now()
            self._monitor.write(now, self._next_after(now))

    def _keep(self, lock: Lock) -> None:
        while not self._clock.wait(self._stop, RENEW_S):
            if not lock.renew():
                log.warning("%s: the lock was lost; another instance runs the timer too", self.name)


class BlobLock:
    """A lease on a blob of the host's storage."""

    def __init__(self, blob: BlobClient) -> None:
        self._blob = blob
        self._lease: Any = None

    def acquire(self) -> bool:
        with suppress(HttpResponseError):  # it is there
            self._blob.upload_blob(b"", overwrite=False)
        try:
            self._lease = self._blob.acquire_lease(LOCK_S)
        except HttpResponseError:  # another instance has it
            return False
        return True

    def renew(self) -> bool:
        try:
            self._lease.renew()
        except AzureError:
            return False
        return True

    def release(self) -> None:
        if self._lease is not None:
            with suppress(AzureError):
                self._lease.release()


class BlobMonitor:
    """The status of one timer, with the host's names."""

    def __init__(self, blob: BlobClient) -> None:
        self._blob = blob

    def read(self) -> datetime | None:
        try:
            return datetime.fromisoformat(json.loads(self._blob.download_blob().readall())["Next"])
        except (ResourceNotFoundError, ValueError, KeyError):
            return None

    def write(self, last: datetime | None, following: datetime) -> None:
        status = {"Last": last.isoformat() if last else "0001-01-01T00:00:00+00:00", "Next": following.isoformat()}
        with suppress(AzureError):  # the next run writes it
            self._blob.upload_blob(json.dumps(status), overwrite=True)
