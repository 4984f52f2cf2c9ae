"""The scheduler. Actors run the real, synchronous code in greenlets; between two calls to the outside another may run.

An actor belongs to a process. What kills or pauses a process hits all its actors at once, as SIGKILL and SIGSTOP do. A
dead process has no further effect: from then on every call of it raises `Killed`, also those in `finally` blocks.
"""

from __future__ import annotations

import random
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, TypeVar

import greenlet  # type: ignore[import-untyped]

from scenejobs.errors import AccessDenied, Busy, SceneJobError
from tests.simulation.profile import CALM, Profile

T = TypeVar("T")

# of docs/reliability.md: those that are checked here
INVARIANTS = frozenset(f"I{number}" for number in (*range(1, 11), *range(13, 22)))
UNEXPECTED = "I0"  # an exception that nobody handles: it fails a schedule, and proves nothing of a mutant

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
STEP_S = 0.5  # a step takes up to this long
MAX_STEPS = 60_000  # of one schedule: more is going round in circles
PAUSES_S = (5.0, 50.0, 70.0, 200.0, 500.0)  # shorter and longer than a lease of 60 s and a visibility of 300 s
STOP_GRACE_S = 30.0  # from SIGTERM to SIGKILL, fixed by the platform
JOIN_S = 5.0  # runner.worker.periodic


class Killed(BaseException):
    """The process was killed here. No code of ours catches it."""


class Violation(Exception):
    """An invariant does not hold."""


@dataclass(eq=False)
class Process:
    """What lives and dies together. Only what may crash in reality is mortal; users and the platform are not."""

    name: str
    mortal: bool = False
    dead: bool = False
    paused_until: float = 0.0
    skew_s: float = 0.0  # of its clock, against the service's
    on_stop: Callable[[], None] | None = None  # SIGTERM
    on_end: Callable[[], None] | None = None  # when its last thread has ended, or it died
    actors: list[Actor] = field(default_factory=list)


@dataclass(eq=False)
class Actor:
    """One thread of a process."""

    name: str
    process: Process
    wake: float
    greenlet: Any = None


class Hub:
    """Runs one schedule. See the module."""

    def __init__(self, seed: int, profile: Profile, crash_at: tuple[int, str] | None = None) -> None:
        self.random = random.Random(seed)
        self.profile = profile
        self.crash_at = crash_at  # (number of a call of a mortal process, "before" | "after")
        self.now = 0.0
        self.calls = 0  # of mortal processes
        self.steps = 0
        self.counts: dict[str, int] = {}
        self.trace: list[tuple[float, str, str, str]] = []
        self.violation: str = ""
        self._actors: list[Actor] = []
        self._current: Actor | None = None
        self._dying: list[Process] = []
        self._main = greenlet.getcurrent()
        self._draw = self.random.random

    # ---- time and actors --------------------------------------------------------------------------------------------

    def clock(self) -> datetime:
        """The service's."""
        return EPOCH + timedelta(seconds=self.now)

    @property
    def process(self) -> Process:
        """Whose code runs."""
        assert self._current is not None
        return self._current.process

    def spawn(self, process: Process, name: str, body: Callable[[], Any], delay_s: float = 0.0) -> Actor:
        """A new thread of a process. An exception it does not handle itself is a finding."""

        def run() -> None:
            try:
                body()
            except Killed:
                pass
            except Exception as exc:  # noqa: BLE001  # whatever it is: it is a bug, and it fails the schedule
                last = traceback.extract_tb(exc.__traceback__)[-1]
                where = f"{last.filename.rpartition('/')[2]}:{last.lineno}"
                self.fail(UNEXPECTED, f"{name} died of {type(exc).__name__} at {where}: {exc}")

        actor = Actor(name, process, self.now + delay_s, greenlet.greenlet(run, self._main))
        process.actors.append(actor)
        self._actors.append(actor)
        return actor

    def run(self, done: Callable[[], bool]) -> None:
        """Lets the actors run until `done`, until an invariant is violated, or until nobody is left."""
        while self._actors and not self.violation and not done():
            if self.steps > MAX_STEPS:
                self.fail("I10", f"no end after {MAX_STEPS} steps")
                return
            self._step()

    def _step(self) -> None:
        now = self.now
        ready = [actor for actor in self._actors if actor.wake <= now and actor.process.paused_until <= now]
        if not ready:
            self.now = min(max(actor.wake, actor.process.paused_until) for actor in self._actors)
            return
        self.steps += 1
        self.now = now + self._draw() * STEP_S
        actor = ready[int(self._draw() * len(ready))] if len(ready) > 1 else ready[0]
        self._resume(actor)
        while self._dying:
            self._bury(self._dying.pop())

    def _resume(self, actor: Actor, error: BaseException | None = None) -> None:
        self._current = actor
        if error is None:
            actor.greenlet.switch()
        else:
            with suppress(Killed):  # one that never began has nobody to catch it
                actor.greenlet.throw(error)
        self._current = None
        if actor.greenlet.dead and actor in self._actors:
            self._actors.remove(actor)
            actor.process.actors.remove(actor)
            self._end_if_empty(actor.process)

    def _bury(self, process: Process) -> None:
        """Ends every thread of a dead process now. Left to a garbage collection, they would end at another time."""
        for actor in list(process.actors):
            self._resume(actor, Killed())

    def _end_if_empty(self, process: Process) -> None:
        on_end = process.on_end
        if not process.actors and on_end is not None:
            process.on_end = None
            on_end()

    def kill(self, process: Process) -> None:
        """SIGKILL. The threads end before anybody else runs."""
        if not process.dead:
            process.dead = True
            self._dying.append(process)

    def is_quiet(self) -> bool:
        """Whether nothing runs that may change anything: no execution, no function, not even a paused one."""
        return not any(actor.process.mortal for actor in self._actors)

    def close(self) -> None:
        """Ends whatever still lives."""
        for process in {id(actor.process): actor.process for actor in self._actors}.values():
            process.dead = True
            self._bury(process)

    # ---- what actors call -------------------------------------------------------------------------------------------

    def sleep(self, seconds: float) -> None:
        actor = self._current
        assert actor is not None
        if actor.process.dead:
            raise Killed
        actor.wake = self.now + seconds
        self._main.switch()

    def call(self, what: str, effect: Callable[[], T], again: Callable[[T], T] | None = None) -> T:
        """One call to the outside.

        `again`: what the adapter's retry shows after the first try had its effect and the answer was lost; None for
        what may simply be asked again.
        """
        actor = self._current
        assert actor is not None
        process = actor.process
        if process.dead:
            raise Killed
        self._main.switch()  # others may run
        if not process.mortal:
            return self._do(actor, what, effect)
        self.calls += 1
        number = self.calls
        if self.crash_at == (number, "before"):
            self._crash(actor, what, "before")
        profile = self.profile
        if profile is not CALM:
            self._before(actor, process, what, profile)
        try:
            result = self._do(actor, what, effect)
        finally:
            if self.crash_at == (number, "after"):
                self._crash(actor, what, "after")
        if self.profile is not CALM:
            return self._after(actor, process, what, profile, result, effect, again)
        return result

    def _do(self, actor: Actor, what: str, effect: Callable[[], T]) -> T:
        try:
            result = effect()
        except SceneJobError as exc:
            self.trace.append((self.now, actor.name, what, type(exc).__name__))
            raise
        self.trace.append((self.now, actor.name, what, ""))
        if self.violation:
            raise Killed  # the main greenlet ends the schedule
        return result

    def _before(self, actor: Actor, process: Process, what: str, profile: Profile) -> None:
        draw = self._draw()
        if draw >= profile.any_before:
            return
        if draw < profile.crash:
            self._crash(actor, what, "before")
        draw -= profile.crash
        if draw < profile.busy:
            self._note(actor, "503", what)
            raise Busy(f"simulated: {what}")
        draw -= profile.busy
        if draw < profile.denied:
            self._note(actor, "403", what)
            raise AccessDenied(f"simulated: {what}")
        draw -= profile.denied
        if draw < profile.pause:
            self._pause(actor, process, what, "before")
            return
        if process.on_stop is not None:
            self._note(actor, "SIGTERM", what)
            process.on_stop()
            process.on_stop = None

    def _after(
        self,
        actor: Actor,
        process: Process,
        what: str,
        profile: Profile,
        result: T,
        effect: Callable[[], T],
        again: Callable[[T], T] | None,
    ) -> T:
        draw = self._draw()
        if draw >= profile.any_after:
            return result
        if draw < profile.crash:
            self._crash(actor, what, "after")
        draw -= profile.crash
        if draw < profile.slow:
            self._pause(actor, process, what, "after")
            return result
        draw -= profile.slow
        if draw < profile.unanswered:
            self._note(actor, "unanswered", what)
            raise Busy(f"simulated: no answer to {what}")
        self._note(actor, "lost answer", what)
        self._main.switch()  # the retry comes later
        repeated = effect if again is None else partial(again, result)
        return self._do(actor, what + " again", repeated)

    def _crash(self, actor: Actor, what: str, side: str) -> None:
        self._note(actor, "crash", f"{side} {what}")
        self.kill(actor.process)
        raise Killed

    def _pause(self, actor: Actor, process: Process, what: str, side: str) -> None:
        seconds = PAUSES_S[int(self._draw() * len(PAUSES_S))]
        whole = self._draw() < 0.6
        self._note(actor, "pause" if whole else "pause of one thread", f"{side} {what} for {seconds:.0f} s")
        if whole:
            process.paused_until = self.now + seconds
        else:
            actor.wake = self.now + seconds
        self._main.switch()

    # ---- what is remembered -----------------------------------------------------------------------------------------

    def _note(self, actor: Actor, kind: str, what: str) -> None:
        self.counts[kind] = self.counts.get(kind, 0) + 1
        self.trace.append((self.now, actor.name, kind.upper(), what))

    def note(self, kind: str, what: str) -> None:
        """Something that happened and is no call."""
        self.counts[kind] = self.counts.get(kind, 0) + 1
        self.trace.append((self.now, self._current.name if self._current else "-", kind.upper(), what))

    def fail(self, invariant: str, text: str) -> None:
        """The first violation ends the schedule."""
        if not self.violation:
            self.violation = f"{invariant}: {text}"
            self.trace.append((self.now, self._current.name if self._current else "-", "VIOLATION", self.violation))
