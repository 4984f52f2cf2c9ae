"""Owning a scene for as long as it is worked on: the lease of its record, kept alive by a thread of the parent process.

The lease is the ownership; the queue message is only kept hidden so that nobody comes to look in vain. A pop receipt
can be lost by one lost acknowledgement while nobody else has the message, so losing it stops nothing. Losing the lease,
or being unable to renew it for three quarters of its length, does: then somebody else may own the scene.
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
    """All from the length of the lease: a renewal may fail twice before a third decides."""

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
        """How long a received message stays hidden: a killed runner's comes back soon after its lease has ended."""
        return self.lease_s * 1.5

    @property
    def renew_message_s(self) -> float:
        return self.lease_s / 4


def suspend_aware_clock() -> float:
    """Seconds that also pass while the machine sleeps, where the system knows such a clock (Linux)."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class Ownership:
    """Context manager: renews lease and message until it is left. Releases neither: whoever settles the work does."""

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
        self.lease = lease
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
        self._beats: list[Repeating] = []

    def __enter__(self) -> Ownership:
        every_s = min(1.0, self._timing.renew_lease_s / 10)
        # Two beside each other: a queue that hangs must not keep the lease from being renewed.
        self._beats = [
            self._repeat("lease", self.beat_lease, every_s),
            self._repeat("message", self.beat_message, every_s),
        ]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        for beat in self._beats:
            beat.end()

    def check(self) -> None:
        """Raises LeaseLost when the scene may be somebody else's. Does not depend on the thread being alive."""
        silent_s = self._clock() - self._renewed_at
        if not self._lost and silent_s > self._timing.patience_s:
            self._lost = f"the lease could not be renewed for {silent_s:.0f} s"
        if self._lost:
            raise LeaseLost(self._lost, advice="nothing is settled; whoever owns the scene now goes on")

    def beat_lease(self) -> None:
        """Renews the lease when that is due. After a failure it is due three times as soon."""
        now = self._clock()
        due_s = self._timing.renew_lease_s / (3 if self._tried_at > self._renewed_at else 1)
        if now - self._tried_at < due_s:
            return
        self._tried_at = now
        try:
            self.lease.renew()
        except LeaseLost as exc:
            self._lost = self._lost or exc.cause
        except SceneJobError as exc:  # nobody could be asked: `check` decides when that has lasted too long
            log.warning("the lease could not be renewed: %s", exc)
        else:
            self._renewed_at = now  # when it was asked for, not when the answer came

    def beat_message(self) -> None:
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
