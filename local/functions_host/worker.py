"""Runs the functions, as the host's worker process does: one that takes too long takes all others with it.

In the real host the functions of an instance share one process. At `functionTimeout` the invocation fails and the host
kills that process; whatever else ran in it fails at once, and a new one is there half a second later. Threads cannot be
killed: what was running goes on here without being heard. `on_killed` lets whoever owns the process replace it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

from local.functions_host.clock import Clock

log = logging.getLogger(__name__)


class WorkerKilled(Exception):
    """The process in which the function ran was killed."""


class _Running:
    """One invocation. The first that settles it wins."""

    def __init__(self) -> None:
        self.ended = threading.Event()
        self.result: Any = None
        self.error: BaseException | None = None
        self._lock = threading.Lock()

    def settle(self, result: Any, error: BaseException | None) -> None:
        with self._lock:
            if not self.ended.is_set():
                self.result, self.error = result, error
                self.ended.set()


class Worker:
    """limit_s: of one invocation, host.json's functionTimeout."""

    def __init__(self, limit_s: float, clock: Clock, on_killed: Callable[[], None] = lambda: None) -> None:
        self._limit_s = limit_s
        self._clock = clock
        self._on_killed = on_killed
        self._running: set[_Running] = set()
        self._lock = threading.Lock()

    def run(self, name: str, call: Callable[[], Any]) -> Any:
        """Calls it in the worker. Raises what it raises, and WorkerKilled."""
        running = _Running()
        with self._lock:
            self._running.add(running)
        threading.Thread(target=_work, args=(call, running), name=f"worker-{name}", daemon=True).start()
        if not self._clock.wait(running.ended, self._limit_s):
            self.kill(f"{name} ran for longer than the {self._limit_s:g} s of functionTimeout")
        running.ended.wait()
        with self._lock:
            self._running.discard(running)
        if running.error is not None:
            raise running.error
        return running.result

    def kill(self, why: str) -> None:
        """Ends the worker: all that runs in it fails now."""
        log.error("the worker is killed and started again: %s", why)
        with self._lock:
            running, self._running = self._running, set()
        for one in running:
            one.settle(None, WorkerKilled(why))
        self._on_killed()


def _work(call: Callable[[], Any], running: _Running) -> None:
    try:
        running.settle(call(), None)
    except BaseException as exc:  # noqa: BLE001  # whoever called raises it
        running.settle(None, exc)
