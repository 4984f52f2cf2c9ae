"""How long the parts of one attempt to find the poses took."""

from __future__ import annotations

import time
from dataclasses import replace

from runner.ladder import Attempt


class AttemptClock:
    """Seconds of the parts of one attempt."""

    def __init__(self) -> None:
        self._since = time.monotonic()
        self._took: dict[str, float] = {}

    def lap(self, name: str) -> None:
        now = time.monotonic()
        self._took[name], self._since = now - self._since, now

    def end(self, attempt: Attempt) -> Attempt:
        return replace(attempt, **self._took)
