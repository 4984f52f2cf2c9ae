"""How long the Functions host waits between two looks at an empty queue.

Its rule (RandomizedExponentialBackoffStrategy of the storage extension): 0.1 s after a look that found something, then
twice as long each time, give or take a fifth, up to `maxPollingInterval` of host.json.
"""

from __future__ import annotations

import random

MIN_S = 0.1
SPREAD = 0.2


class Backoff:
    """The waits of one listener."""

    def __init__(self, max_s: float, draw: random.Random | None = None) -> None:
        self._min_s = min(MIN_S, max_s)
        self._max_s = max_s
        self._draw = draw or random.Random()
        self._wait_s = 0.0
        self._exponent = 0

    def next_s(self, *, found: bool) -> float:
        """The next wait. found: whether a message came since the last one."""
        if found:
            self._wait_s, self._exponent = self._min_s, 1
        elif self._wait_s != self._max_s:
            wait_s = self._min_s
            if self._exponent > 0:
                wait_s += self._draw.uniform(1 - SPREAD, 1 + SPREAD) * 2 ** (self._exponent - 1) * self._min_s
            if wait_s < self._max_s:
                self._wait_s = wait_s
                self._exponent += 1
            else:
                self._wait_s = self._max_s
        return self._wait_s
