"""The stop flag, and the signal handlers that set it and do nothing else; whoever works polls it."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from types import FrameType

from scenejobs.errors import Interrupted

# Container Apps signals every process of the container, and an init that forwards does so once more: what comes this
# soon after the first is the same request, not a second one.
SAME_REQUEST_S = 1.0
POLL_S = 0.1


class StopFlag:
    """Whether a stop was requested.

    A plain value, no threading.Event: its lock may be held by the very thread the signal handler interrupts, which then
    waits for itself for ever.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._signalled_at: float | None = None
        self._end_at: float | None = None

    def set(self) -> None:
        if self._signalled_at is None:  # the first counts: from it on the platform counts as well
            self._signalled_at = self._clock()

    def end_in(self, seconds: float) -> None:
        """After this many seconds a stop counts as requested: the platform would end everything a little later."""
        self._end_at = self._clock() + seconds

    def left_s(self) -> float | None:
        """Seconds until then; None: there is no such end."""
        return None if self._end_at is None else max(0.0, self._end_at - self._clock())

    def signalled_s(self) -> float | None:
        """Seconds since the first signal; None: there was none."""
        return None if self._signalled_at is None else self._clock() - self._signalled_at

    def stopped_s(self) -> float | None:
        """Seconds since a stop was requested, or since the end that `end_in` set; None: neither."""
        if not self.is_set():
            return None
        over_s = self._clock() - self._end_at if self.left_s() == 0.0 and self._end_at is not None else 0.0
        return max(self.signalled_s() or 0.0, over_s)

    def is_set(self) -> bool:
        return self._signalled_at is not None or self.left_s() == 0.0

    def wait(self, seconds: float) -> bool:
        """Sleeps until the time is over or a stop is requested; True for a stop."""
        end = time.monotonic() + seconds
        while not self.is_set() and (left_s := end - time.monotonic()) > 0:
            time.sleep(min(POLL_S, left_s))
        return self.is_set()

    def check(self, doing: str) -> None:
        """Raises Interrupted when a stop was requested."""
        if self.is_set():
            raise Interrupted(f"{self.why()} while {doing}")

    def why(self) -> str:
        return (
            "told to stop"
            if self._signalled_at is not None
            else "out of time: the platform is about to end the execution"
        )


@contextlib.contextmanager
def stop_on_signals(*signals: signal.Signals, same_request_s: float = SAME_REQUEST_S) -> Iterator[StopFlag]:
    """SIGTERM and SIGINT set the flag; a second one ends the process at once. Restores the old handlers."""
    flag = StopFlag()
    first_at: list[float] = []

    def handle(number: int, _frame: FrameType | None) -> None:
        now = time.monotonic()
        if first_at and now - first_at[0] > same_request_s:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        first_at.append(now)
        flag.set()

    chosen = signals or (signal.SIGTERM, signal.SIGINT)
    old = {number: signal.signal(number, handle) for number in chosen}
    try:
        yield flag
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
