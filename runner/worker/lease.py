"""The lease of a scene's record, with the heartbeats that renew it and the message's visibility timeout.

Whoever holds the lease may change the scene; the queue message is only kept invisible so that no other runner receives
it in vain. A pop receipt can be lost by one lost acknowledgement while nobody else has the message, so losing it stops
nothing. Losing the lease, or being unable to renew it for three quarters of its length, does: then another runner may
hold it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType

from runner.worker.periodic import Repeat, Repeating, Thread
from scenejobs.errors import Conflict, LeaseLost, NotFound, SceneJobError
from scenejobs.ports import JobQueue, Lease, QueueMessage

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Timing:
    """Every interval follows from the length of the lease: two renewals may fail before the third decides."""

    lease_s: int = 60  # what the service allows: 15 to 60

    @property
    def renew_lease_s(self) -> float:
        return self.lease_s / 4

    @property
    def patience_s(self) -> float:
        """Without a successful renewal for this long the work is stopped, well before the lease ends."""
        return self.lease_s * 0.75

    @property
    def visibility_s(self) -> float:
        """The visibility timeout of a message: a killed runner's comes back soon after its lease has ended."""
        return self.lease_s * 1.5

    @property
    def renew_message_s(self) -> float:
        return self.lease_s / 4


def suspend_aware_clock() -> float:
    """Seconds that also pass while the machine sleeps, where the system knows such a clock (Linux)."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class RecordLease:
    """Context manager: renews lease and message until it is left. Releases neither: the loop does."""

    def __init__(
        self,
        lease: Lease,
        queue: JobQueue | None = None,
        message: QueueMessage | None = None,
        *,
        timing: Timing | None = None,
        clock: Callable[[], float] = suspend_aware_clock,
        repeat: Repeat = Thread,
        leased_at: float | None = None,
    ) -> None:
        """`leased_at`: on `clock`, when the lease was asked for; the answer may have taken long. None: just now."""
        self.blob_lease = lease
        self.message = message  # with the newest receipt
        self._queue = queue
        self._timing = timing or Timing()
        self._clock = clock
        self._message_at = clock()
        self._renewed_at = self._message_at if leased_at is None else leased_at
        self._tried_at = self._renewed_at
        self._lost = ""
        self._message_lost = False
        self._repeat = repeat
        self._heartbeats: list[Repeating] = []

    def __enter__(self) -> RecordLease:
        every_s = min(1.0, self._timing.renew_lease_s / 10)
        # Two threads: a queue that hangs must not keep the lease from being renewed.
        self._heartbeats = [
            self._repeat("lease", self.renew_lease_if_due, every_s),
            self._repeat("message", self.renew_message_if_due, every_s),
        ]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        for heartbeat in self._heartbeats:
            heartbeat.end()

    def check(self) -> None:
        """Raises LeaseLost when another runner may hold the scene. Does not depend on the heartbeat being alive."""
        silent_s = self._clock() - self._renewed_at
        if not self._lost and silent_s > self._timing.patience_s:
            self._lost = f"the lease could not be renewed for {silent_s:.0f} s"
        if self._lost:
            raise LeaseLost(self._lost, advice="nothing is written; whoever holds the scene now goes on")

    def renew_lease_if_due(self) -> None:
        """Renews the lease when that is due. After a failure it is due three times as soon."""
        now = self._clock()
        due_s = self._timing.renew_lease_s / (3 if self._tried_at > self._renewed_at else 1)
        if now - self._tried_at < due_s:
            return
        self._tried_at = now
        try:
            self.blob_lease.renew()
        except LeaseLost as exc:
            self._lost = self._lost or exc.cause
        except SceneJobError as exc:  # nobody could be asked: `check` decides when that has lasted too long
            log.warning("the lease could not be renewed: %s", exc)
        else:
            self._renewed_at = now  # when it was asked for, not when the answer came

    def renew_message_if_due(self) -> None:
        """Renews the message when that is due."""
        now = self._clock()
        if self._queue is None or self.message is None or self._message_lost:
            return
        if now - self._message_at < self._timing.renew_message_s:
            return
        self._message_at = now
        try:
            self.message = self._queue.renew(self.message, self._timing.visibility_s)
        except (Conflict, NotFound) as exc:
            self._message_lost = True
            log.warning("the queue message is no longer ours, the work goes on: %s", exc)
        except SceneJobError as exc:
            log.warning("the queue message could not be renewed: %s", exc)
