"""How long the parts of an attempt at the poses took."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from runner.ladder import Attempt


class Clock:
    """Seconds of the parts of one attempt, from now on."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now, self._since = now, now()
        self._took: dict[str, float] = {}

    def lap(self, name: str) -> None:
        """A part ends; parts of one name add up."""
        now = self._now()
        self._took[name], self._since = self._took.get(name, 0.0) + now - self._since, now

    def end(self, attempt: Attempt) -> Attempt:
        """The attempt with its times. The names of the laps are those of its fields."""
        return replace(attempt, **self._took)  # type: ignore[arg-type]
