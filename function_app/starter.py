"""Starts as many executions of the runner's job as the waiting messages need, and no more.

A start that was accepted proves nothing (executions with a GPU die before they begin, sometimes for hours), so nothing
is taken for granted about starts that went well: every look counts what really waits and what really runs, and whether
any runner has begun since (scenejobs/state/executions/start_backoff.py). What runs is what shows life (executions.py).

A second job may stand by for days on which the first gets no machine (FALLBACK_JOB_NAME). Both take from one queue, and
a scene belongs to whoever holds the lease of its record: whichever job a runner is in, no scene is ever in both. So
only the counting knows of two jobs. It is done under one lease, and each job's starts are judged by themselves.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime

from function_app import executions
from scenejobs.errors import (
    AccessDenied,
    Busy,
    ComputeError,
    Conflict,
    LeaseLost,
    NotDeployed,
    StartUnknown,
    UnreadableMessage,
)
from scenejobs.logs.alerts import Alert, log_alert
from scenejobs.names import refusal
from scenejobs.ports import BlobStore, Compute, Execution, JobQueue, Lease
from scenejobs.state import cancelling
from scenejobs.state.executions import machine, start_backoff, usage
from scenejobs.state.executions.life import Life
from scenejobs.state.executions.start_backoff import StarterState
from scenejobs.state.layout import CANCELLED, DISPATCHER_RECORD
from scenejobs.state.messages import JobMessage

log = logging.getLogger(__name__)

# Counting takes a few seconds, a start without an answer and the look before it 35 (adapters/azure/container_apps.py).
LEASE_S = 45
LEASE_TRIES = 40
LOOK_S = 60.0  # while nothing waits, the executions are looked after so often at most
START_TIMEOUT_S = 1800.0
AWAY_S = 3600.0  # and START_TIMEOUT: so long a failed start of the first job speaks for the fallback job
LEASE_PAUSE_S = 0.5


NEARLY = 0.8  # of the day's minutes: a warning
RAISE_BUDGET = (
    "to raise it: azd env set MAX_GPU_MINUTES_PER_DAY 1200, azd provision (0: no limit); docs/configuration.md"
)


def starts_needed(waiting: int, total: int, live: int, limit: int) -> int:
    """How many executions to start.

    waiting: visible messages. total: visible and hidden ones. live: executions that show life, or have time left to.
    A live execution that holds no message will take a waiting one. The job's own limit is none: `limit` is ours.
    """
    held = max(0, total - waiting)
    idle = max(0, live - held)
    return max(0, min(waiting - idle, limit - live))


@dataclass(frozen=True)
class Starter:
    """Counts and starts, one at a time over all instances of the function app."""

    state: BlobStore
    jobs: JobQueue
    compute: Compute
    limit: int  # executions at the same time; 0: somebody else starts them
    pause: Callable[[float], None] = time.sleep
    max_gpu_minutes: float = 0.0  # of executions per day, after which nothing is started; 0: no limit
    start_timeout_s: float = START_TIMEOUT_S  # an execution in which no runner has begun by then is stopped
    elsewhere: Compute | None = None  # the other job: the fallback job, or from there the first
    is_fallback: bool = False
    fallback_after: int = 3  # starts of the first job that never began, before the fallback job gets work
    told: set[datetime] = field(default_factory=set, compare=False)  # the end of the wait that was logged last
    own: BlobStore | None = None  # its record, where that is not the account's: a machine that starts its own workers

    def ensure_started(self) -> int:
        """Starts what is missing and returns how many. During a backoff it does nothing: the sweep tries later.

        Raises ComputeError and AccessDenied when a start fails; the failure is never charged to a scene. A start whose
        answer was lost is no failure: it is not counted, and a later look sees what came of it. Raises Busy when
        another instance keeps starting, and LeaseLost when one began while this one was counting.
        What the first job refuses is no failure where the fallback job takes the work.
        """
        try:
            started = self._start_here()
        except (ComputeError, AccessDenied):
            if there := self._start_at_fallback():
                return there
            raise
        return started + self._start_at_fallback()

    def _start_at_fallback(self) -> int:
        there = self._fallback
        if there is None or not self.load().is_away(self.state.now()):
            return 0
        return there._start_here()

    @property
    def _fallback(self) -> Starter | None:
        if self.elsewhere is None or self.is_fallback:
            return None
        return replace(self, compute=self.elsewhere, elsewhere=self.compute, is_fallback=True)

    def _start_here(self) -> int:
        if self.limit == 0 or self.waiting()[0] == 0 or self._must_wait(self.load()):
            return 0
        with self._alone() as lease:  # two instances counting at once would both start, past the limit
            before = self.load()
            if self._must_wait(before):
                return 0
            return self._start_missing(before, lease)

    def look_after(self) -> int:
        """The same for a sweep: where nothing waits it stops executions that show no life, because they cost.

        Does not raise what only concerns that.
        """
        if self.limit == 0:
            return 0
        try:
            if self.waiting()[0] > 0:
                return self.ensure_started()
            self._look_idle()
            return 0
        finally:
            if there := self._fallback:
                there._look_idle()

    def waiting(self) -> tuple[int, int]:
        """Messages that ask for an execution: visible ones, and with the hidden ones. Those of cancelled scenes do not;
        they are taken out of the queue by the next execution that something else asks for.
        """
        visible = self.jobs.waiting()
        if not visible:
            return 0, 0
        off = self._cancelled()
        return max(0, visible - off), max(0, self.jobs.total() - off)

    def _cancelled(self) -> int:
        """Of the messages at the head of the queue. Costs a listing where no scene is cancelled."""
        if next(iter(self.state.list(CANCELLED)), None) is None:
            return 0
        scenes = list[str]()
        for text in self.jobs.peek():
            with suppress(UnreadableMessage):  # a runner takes it out
                scenes.append(JobMessage.from_json(text).scene)
        off = {
            scene for scene in dict.fromkeys(scenes) if refusal(scene) is None and cancelling.is_off(self.state, scene)
        }
        return sum(scene in off for scene in scenes)

    def _look_idle(self) -> None:
        state = self.load()
        if not state.known_since or not _is_past(state.looked_at, LOOK_S, self.state.now()):
            return
        try:
            with self._alone() as lease:
                before, now = self.load(), self.state.now()
                live = self.compute.live()
                reports = executions.reports(self.state, live, before, now)
                looked = self._look_after(live, before, reports, now, lease)
                self._save(replace(looked.state, looked_at=now), lease)
        except (ComputeError, AccessDenied, Busy, LeaseLost) as exc:
            log.warning("the executions could not be looked after: %s", exc)

    @property
    def _records(self) -> BlobStore:
        return self.own or self.state

    def load(self) -> StarterState:
        """What is known of this job's starts; of the first job with that of the fallback job in it."""
        whole = start_backoff.load(self._records)
        return (whole.fallback or StarterState()) if self.is_fallback else whole

    def _must_wait(self, state: StarterState) -> bool:
        if state.not_before is None:  # the usual case: no request for the time is needed
            return False
        now = self.state.now()
        if not state.waits(now) or (state.ghosts_in_row and self._answered(state, now)):
            return False
        if state.not_before not in self.told:  # once, and not at every look
            self.told.clear()
            self.told.add(state.not_before)
            log.info("no start before %s", state.not_before)
        return True

    def _answered(self, state: StarterState, now: datetime) -> bool:
        since = state.unanswered_since
        return since is not None and usage.begun_since(self.state, since, now, fallback=self.is_fallback)

    def _start_missing(self, before: StarterState, lease: Lease) -> int:
        now = self.state.now()
        state, names = before, list[str]()
        try:
            live = self.compute.live()
            reports = usage.Reports({})
            if live or before.unanswered_since is not None or self.max_gpu_minutes:
                reports = executions.reports(self.state, live, before, now)
            since = before.unanswered_since
            answered = since is not None and reports.begun_since(since, fallback=self.is_fallback)
            state = before.answered() if answered else before
            looked = self._look_after(live, state, reports, now, lease)  # first: it costs beyond any budget
            if looked.state.stop_asked != state.stop_asked:  # their time was written down
                reports = executions.reports(self.state, live, before, now)
            ghosts = looked.state.ghosts_in_row
            state = looked.state.looked([execution.name for execution in live], now)
            if self._over_budget(reports, now):
                self._save_change(before, state.out_of_budget(usage.next_day(now)), lease)
                return 0
            state = state.within_budget()
            if state.ghosts_in_row > ghosts:
                self._alert_ghosts(state)
                self._save_change(before, state, lease)
                return 0
            for _ in range(state.may_start(self._needed(state, looked.live, now))):
                _renew(lease)  # it must outlast the start: the result is saved before anybody else counts
                names.append(self.compute.start())
                log.info("execution started: %s", names[-1] or "(the service gave no name)")
        except StartUnknown as exc:
            now = self.state.now()
            state = (state.started(tuple(names), now) if names else state).unknown(now, exc)
            self._save(state, lease)
            self._report_lost_answer(state, exc)
            return len(names)
        except NotDeployed as exc:  # nobody's failure: the first deployment is still under way
            self._save(state.failed(self.state.now(), exc), lease)
            log.warning("work is held back: %s", exc)
            return 0
        except (ComputeError, AccessDenied) as exc:
            now = self.state.now()
            state = (state.started(tuple(names), now) if names else state).failed(now, exc)
            self._save(state, lease)
            text = f"no execution could be started ({state.failures_in_row} in a row): {exc}"
            log_alert(log, Alert.START_REFUSED, text, failures_in_row=state.failures_in_row)
            raise
        state = state.started(tuple(names), self.state.now()) if names else state.counted()
        self._save_change(before, state, lease)
        return len(names)

    def _needed(self, state: StarterState, live: int, now: datetime) -> int:
        """While the fallback job has the work, the first is asked for one machine, whatever runs there."""
        waiting, total = self.waiting()
        if state.is_away(now):
            return min(1, starts_needed(waiting, total, live, self.limit))
        return starts_needed(waiting, total, live + self._elsewhere(now), self.limit)

    def _elsewhere(self, now: datetime) -> int:
        """Executions of the other job that work or will. Of the first job's those that have not begun are no help."""
        if self.elsewhere is None:
            return 0
        whole = start_backoff.load(self._records)
        other = whole if self.is_fallback else whole.fallback or StarterState()
        if not other.known_since:
            return 0
        try:
            listed = self.elsewhere.live()
        except (ComputeError, AccessDenied) as exc:
            log.warning("the executions of the other job could not be listed: %s", exc)
            return 0 if self.is_fallback else len(other.known_since)
        lives = executions.lives(self.state, listed, other, now, self.start_timeout_s)
        return sum(life is Life.WORKS or (life.counts and not self.is_fallback) for life in lives)

    def _report_lost_answer(self, state: StarterState, error: StartUnknown) -> None:
        text = f"an execution may have been started; the next look is after {state.not_before}: {error}"
        if state.failures_in_row == 1:
            log.warning("%s", text)
        else:  # and no check in between saw one
            log_alert(log, Alert.START_REFUSED, text, failures_in_row=state.failures_in_row)

    def _look_after(
        self,
        live: tuple[Execution, ...],
        state: StarterState,
        reports: usage.Reports,
        now: datetime,
        lease: Lease,
    ) -> executions.Counted:
        return executions.look_after(
            live, self.state, self.compute, state, reports, now, self.start_timeout_s, self.limit, lambda: _renew(lease)
        )

    def _over_budget(self, reports: usage.Reports, now: datetime) -> bool:
        if not self.max_gpu_minutes:
            return False
        used = reports.minutes_on(now.date())
        if NEARLY * self.max_gpu_minutes <= used < self.max_gpu_minutes:
            log.warning("%.0f of %g minutes of today are used up; %s", used, self.max_gpu_minutes, RAISE_BUDGET)
        if used < self.max_gpu_minutes:
            return False
        text = (
            f"{used:.0f} of {self.max_gpu_minutes:g} minutes of today are used up; the next start is tomorrow (UTC). "
            f"{RAISE_BUDGET}"
        )
        log_alert(log, Alert.GPU_BUDGET, text, minutes=round(used), waiting=self.jobs.waiting())
        return True

    def _alert_ghosts(self, state: StarterState) -> None:
        whose = " of the fallback job" if self.is_fallback else ""
        why = machine.refused(self.state, state.unanswered_since) if state.unanswered_since else ""
        text = (
            f"executions{whose} ended before a runner began, "
            f"since {state.unanswered_since}{f' ({why})' if why else ''}; "
            f"the next probe is started after {state.not_before}"
        )
        log_alert(log, Alert.NO_GPU, text, ghosts_in_row=state.ghosts_in_row)

    def _save_change(self, before: StarterState, state: StarterState, lease: Lease) -> None:
        if state != before:
            self._save(state, lease)

    def _save(self, state: StarterState, lease: Lease) -> None:
        if self.is_fallback:
            state = replace(start_backoff.load(self._records), fallback=state)
        elif self.elsewhere:
            was_away, keep_s = state.away_until, AWAY_S + self.start_timeout_s
            state = state.judged(self.fallback_after, keep_s)
            if (state.away_until is None) is not (was_away is None):
                told = "goes to the fallback job" if state.away_until else "goes to the first job again"
                log.warning("what waits %s (%d starts that never began)", told, state.never_began)
        self._records.write(DISPATCHER_RECORD, json.dumps(state.to_json(), indent=1).encode(), lease=lease)

    @contextmanager
    def _alone(self) -> Iterator[Lease]:
        with suppress(Conflict):  # it exists already
            self._records.write(DISPATCHER_RECORD, json.dumps(StarterState().to_json()).encode(), if_absent=True)
        lease = self._acquire()
        try:
            yield lease
        finally:
            lease.release()

    def _acquire(self) -> Lease:
        for _ in range(LEASE_TRIES):
            try:
                return self._records.lease(DISPATCHER_RECORD, LEASE_S)
            except Conflict:
                self.pause(LEASE_PAUSE_S)
        raise Busy(f"{DISPATCHER_RECORD} is leased by another starter", advice="the next look tries again")


def _is_past(time: datetime | None, seconds: float, now: datetime) -> bool:
    return time is None or (now - time).total_seconds() >= seconds


def _renew(lease: Lease) -> None:
    """Retries once when the answer was lost: a renewal is idempotent, and the lease client does not retry it."""
    try:
        lease.renew()
    except Busy:
        lease.renew()
