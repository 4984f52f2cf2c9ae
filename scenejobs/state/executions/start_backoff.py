"""The backoff of starting executions: what is known about earlier starts, `state/dispatcher.json`, and what follows.

A start that was accepted proves nothing: executions with a GPU end before they begin, for minutes or for a day. What
proves that a start was good is a runner that reports its first usage (usage.py). As long as accepted starts end without
one, there is no GPU: then one probe is started at a time, after waits that double up to 15 minutes.

A start whose answer was lost proves nothing either: what was started is in the listing of executions a minute later, so
the next look comes then, and counts.

An execution that is listed and shows no life (life.py) is stopped, and counts no more. Where none of the starts was
answered by a runner, that is one more sign that there is no GPU. It needs no further wait: it took its time.

Where there is a fallback job (`function_app/starter.py`), its starts are judged by themselves: a state of the same kind
inside this one, and a runner says in which of the two jobs it began. After enough starts of the first job that never
began, waiting work goes to the fallback job. The first is asked on, one probe at a time, and a runner that begins
there takes everything back. What was found out is forgotten after a while without a further failure, so that days
later the first job is asked alone once more.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timedelta
from typing import Any

from scenejobs.errors import ComputeError, NotDeployed, NotFound
from scenejobs.ports import SMALL_BYTES, BlobStore
from scenejobs.state import codec
from scenejobs.state.layout import DISPATCHER_RECORD

log = logging.getLogger(__name__)

BACK_OFF_BASE_S = 30.0
BACK_OFF_MAX_S = 15 * 60.0
LISTED_AFTER_S = 60.0  # a start may be missing in the listing of executions for so long
DEPLOYED_AFTER_S = 60.0  # the wait for the first deployment of the job, from one look to the next
SLOW_S = 120.0  # a start that no runner has answered for so long is shown to the user


def back_off_s(failures_in_row: int, retry_after_s: float | None = None) -> float:
    """The wait after a failed start: doubling, and at least what the service asked for."""
    doubled = BACK_OFF_BASE_S * 2.0 ** min(failures_in_row - 1, 16)
    return max(min(doubled, BACK_OFF_MAX_S), retry_after_s or 0.0)


@dataclass(frozen=True)
class StarterState:
    """`state/dispatcher.json`."""

    last_start: datetime | None = None
    failures_in_row: int = 0  # starts that the service refused, or did not answer
    unsure: bool = False  # the last of them was not answered, and may have happened
    not_before: datetime | None = None  # no start is tried earlier
    last_error: str = ""
    unanswered: tuple[str, ...] = ()  # names of accepted starts since the last runner began; "" where not known
    unanswered_since: datetime | None = None  # when the first of them was accepted
    ghosts_in_row: int = 0  # looks that found such starts ended
    budget_until: datetime | None = None  # the day's minutes are used up; no start before
    known_since: dict[str, datetime] = field(default_factory=dict)  # executions listed at the last look, or started
    stop_asked: dict[str, datetime] = field(default_factory=dict)  # those of them that are to stop: when it was asked
    not_stopped: tuple[str, ...] = ()  # those of them for which the service refused that
    looked_at: datetime | None = None  # when the executions were last listed although nothing waited
    never_began: int = 0  # starts since a runner last began that were refused, or ended before one did
    never_began_since: datetime | None = None  # the first of them
    never_began_at: datetime | None = None  # the last
    away_until: datetime | None = None  # waiting work goes to the fallback job
    fallback: StarterState | None = None  # the same of the fallback job; None: nothing was ever started there

    def started(self, names: tuple[str, ...], now: datetime) -> StarterState:
        """The service accepted these starts."""
        return replace(
            self,
            last_start=now,
            failures_in_row=0,
            unsure=False,
            not_before=None,
            last_error="",
            unanswered=(*self.unanswered, *names),
            unanswered_since=self.unanswered_since or now,
            budget_until=None,
            known_since={**{name: now for name in names if name}, **self.known_since},
        )

    def failed(self, now: datetime, error: Exception) -> StarterState:
        """The service refused a start."""
        failures = self.failures_in_row + 1
        retry_after_s = error.retry_after_s if isinstance(error, ComputeError) else None
        is_deployed = not isinstance(error, NotDeployed)
        wait_s = back_off_s(failures, retry_after_s) if is_deployed else DEPLOYED_AFTER_S
        return replace(
            self,
            failures_in_row=failures,
            unsure=False,
            not_before=now + timedelta(seconds=wait_s),
            last_error=str(error),
        )._without_runner(now if _is_lack(error) else None)

    def unknown(self, now: datetime, error: Exception) -> StarterState:
        """The service did not answer a start. No other is made before a listing would show that one."""
        failures = self.failures_in_row + 1
        wait = timedelta(seconds=max(back_off_s(failures), LISTED_AFTER_S))
        return replace(
            self, failures_in_row=failures, unsure=True, last_start=now, not_before=now + wait, last_error=str(error)
        )

    def counted(self) -> StarterState:
        """A look at the executions found nothing wrong with earlier starts, and as many as are needed."""
        return replace(self, failures_in_row=0, unsure=False, not_before=None, last_error="")

    def answered(self) -> StarterState:
        """A runner has begun: there are GPUs."""
        waits = self.not_before if self.failures_in_row else None
        return replace(
            self, unanswered=(), unanswered_since=None, ghosts_in_row=0, not_before=waits,
            never_began=0, never_began_since=None, never_began_at=None, away_until=None,
        )  # fmt: skip

    def _without_runner(self, now: datetime | None) -> StarterState:
        """One more start that never began; None: it was none."""
        if now is None:
            return self
        since = self.never_began_since or now
        return replace(self, never_began=self.never_began + 1, never_began_since=since, never_began_at=now)

    def judged(self, after: int, keep_s: float) -> StarterState:
        """Whether work goes to the fallback job: after so many starts that never began; 0: there is none.

        keep_s: after the last failure this is what is believed.
        """
        if not after or self.never_began < after or self.never_began_at is None:
            return replace(self, away_until=None)
        return replace(self, away_until=self.never_began_at + timedelta(seconds=keep_s))

    def is_away(self, now: datetime) -> bool:
        """Whether waiting work goes to the fallback job."""
        return self.away_until is not None and now < self.away_until

    def looked(self, live: Collection[str], now: datetime) -> StarterState:
        """After a look at the executions that live: starts that ended without an answer were ghosts."""
        since = self.unanswered_since
        if since is None or (now - since).total_seconds() < LISTED_AFTER_S:
            return self
        unanswered = tuple(name for name in self.unanswered if (name in live if name else live))
        if len(unanswered) == len(self.unanswered):
            return self
        ghosts = self.ghosts_in_row + 1
        wait = timedelta(seconds=back_off_s(ghosts))
        state = replace(self, unanswered=unanswered, ghosts_in_row=ghosts, not_before=now + wait)
        return state._without_runner(now)

    def listed(self, names: Iterable[str], now: datetime) -> StarterState:
        """The listing of executions names these. What is known of others goes: they have ended."""
        here = {name: self.known_since.get(name, now) for name in names if name}
        young = {name: at for name, at in self.known_since.items() if (now - at).total_seconds() < LISTED_AFTER_S}
        asked = {name: at for name, at in self.stop_asked.items() if name in here}
        refused = tuple(name for name in self.not_stopped if name in here)
        return replace(self, known_since={**young, **here}, stop_asked=asked, not_stopped=refused)

    def lives(self, name: str) -> StarterState:
        """An execution that was to stop works: it began late, or its heartbeat came back."""
        asked = {other: at for other, at in self.stop_asked.items() if other != name}
        return replace(self, stop_asked=asked, not_stopped=tuple(each for each in self.not_stopped if each != name))

    def stopped(self, name: str, now: datetime, *, accepted: bool, never_began: bool) -> StarterState:
        """The service was asked to stop an execution."""
        others = tuple(each for each in self.not_stopped if each != name)
        state = replace(
            self, stop_asked={**self.stop_asked, name: now}, not_stopped=others if accepted else (*others, name)
        )
        unnamed = name not in self.unanswered and "" in self.unanswered  # it may be one of those
        gone = "" if unnamed else name
        if not never_began or gone not in self.unanswered:
            return state
        left = list(self.unanswered)
        left.remove(gone)
        return replace(state, unanswered=tuple(left), ghosts_in_row=self.ghosts_in_row + 1)._without_runner(now)

    def may_start(self, needed: int) -> int:
        """While no GPU comes, one probe at a time."""
        if not self.ghosts_in_row:
            return needed
        return 0 if self.unanswered else min(needed, 1)

    def out_of_budget(self, until: datetime) -> StarterState:
        return replace(self, budget_until=until)

    def within_budget(self) -> StarterState:
        return replace(self, budget_until=None)

    def waits(self, now: datetime) -> bool:
        return self.not_before is not None and now < self.not_before

    def held_back(self, now: datetime) -> str:
        """Why queued work does not begin, for people; "" when nothing is wrong."""
        if self.budget_until and now < self.budget_until:
            return f"held back by the daily budget until {_minute(self.budget_until)}"
        if self.is_away(now) and self.never_began_since:
            there = self.fallback.held_back(now) if self.fallback else ""
            text = f"the first job got no machine in {self.never_began} starts since {_minute(self.never_began_since)}"
            return f"{text}; what waits goes to the fallback job" + (f", and there: {there}" if there else "")
        if self.unsure:
            return f"whether an execution was started is not known: {self.last_error}"
        if self.failures_in_row:
            return f"no execution can be started: {self.last_error}"
        since = self.unanswered_since
        if since and (self.ghosts_in_row or (now - since).total_seconds() >= SLOW_S):
            return f"waiting for a GPU since {_minute(since)}"
        return ""

    def to_json(self) -> dict[str, Any]:
        return codec.to_json(self)

    @staticmethod
    def from_json(value: Any) -> StarterState:
        """Raises ValueError."""
        return codec.from_json(value, StarterState, [each.name for each in fields(StarterState)])


def _is_lack(error: Exception) -> bool:
    """Whether a refused start may be for want of a machine: a missing right or a missing image is not."""
    return isinstance(error, ComputeError) and not isinstance(error, NotDeployed)


def load(state: BlobStore) -> StarterState:
    try:
        data, _ = state.read(DISPATCHER_RECORD, limit_bytes=SMALL_BYTES)
        return StarterState.from_json(codec.loads(data))
    except NotFound:
        return StarterState()
    except ValueError:
        log.warning("%s cannot be read; starting from a clean one", DISPATCHER_RECORD)  # it only slows starts down
        return StarterState()


def _minute(time: datetime) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC")
