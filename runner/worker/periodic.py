"""Periodic threads: heartbeats and the progress writer, each repeats one small thing beside the work.

Passed as a value (`WorkerContext.repeat`), so that a simulation runs the same heartbeats on its own clock.
"""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable
from typing import Protocol

JOIN_S = 5.0  # how long the end of the work waits for a round that is under way


class Repeating(Protocol):
    """Something that is repeated until it is ended."""

    def end(self) -> None:
        """No further round begins. Returns when the present one is over, or after JOIN_S."""


class Repeat(Protocol):
    """Starts one. `act` is called every `every_s` seconds, for the first time after as long; it must not raise."""

    def __call__(self, name: str, act: Callable[[], None], every_s: float) -> Repeating: ...


class Thread:
    """Repeats in a thread of this process. See Repeating."""

    def __init__(self, name: str, act: Callable[[], None], every_s: float) -> None:
        self._act = act
        self._every_s = every_s
        self._end = threading.Event()
        run = contextvars.copy_context().run  # its log lines are about the same scene
        self._thread = threading.Thread(target=run, args=(self._run,), name=name, daemon=True)
        self._thread.start()

    def end(self) -> None:
        self._end.set()
        self._thread.join(JOIN_S)

    def _run(self) -> None:
        while not self._end.wait(self._every_s):
            self._act()
