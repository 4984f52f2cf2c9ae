"""Looks after the executions: how many of them count, and stops those that are listed and show no life.

What counts as life is a pure decision (scenejobs/state/executions/life.py). Here the reports are listed, the doubtful
cases are looked at again, and the service is asked to stop what is over: it holds a place and it costs.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from scenejobs.errors import AccessDenied, ComputeError
from scenejobs.logs.alerts import Alert, log_alert
from scenejobs.ports import BlobStore, Compute, Execution
from scenejobs.state.executions import life, usage
from scenejobs.state.executions.life import Judged, Life
from scenejobs.state.executions.start_backoff import StarterState

log = logging.getLogger(__name__)

STOP_AGAIN_S = 15 * 60.0  # an execution that is listed all the same is asked to stop again
REFUSED_AGAIN_S = 60.0  # and one that the service refused to stop

_WHY = {
    Life.NEVER_BEGAN: "no runner has begun in it since",
    Life.SILENT: "its heartbeat has been silent since",
    Life.ENDED: "its runner has ended, and its end was not noticed, at",
}


@dataclass(frozen=True)
class Counted:
    """Of one look."""

    state: StarterState
    live: int  # executions that work or will, of those that are listed


def look_after(
    live: tuple[Execution, ...],
    store: BlobStore,
    compute: Compute,
    before: StarterState,
    reports: usage.Reports,
    now: datetime,
    start_timeout_s: float,
    limit: int,
    between: Callable[[], None],
) -> Counted:
    """Stops those of the listed executions that are over. `between`: called before each request that may take long.

    What is over counts no more, also where the service refuses to stop it; but of those at most `limit` are left out,
    so that they do not add up without end.

    Raises StorageError. A stop that is refused is told, not raised.
    """
    state = before.listed([execution.name for execution in live], now)
    judged = _judged(store, live, reports, state, now, start_timeout_s)
    for item in judged:
        if item.life.is_over and _is_due(state, item, now):
            between()
            state = _stop(store, compute, state, item, now)
        elif item.life.counts and item.name in state.stop_asked:
            log.warning("execution %s was to stop and works: %s", item.name, item.life)
            state = state.lives(item.name)
    refused = sum(item.life.is_over and item.name in state.not_stopped for item in judged)
    return Counted(state, sum(item.life.counts for item in judged) + max(0, refused - limit))


def reports(store: BlobStore, live: tuple[Execution, ...], state: StarterState, now: datetime) -> usage.Reports:
    """What tells something: of today, of starts that nobody has answered, and of the executions that are listed.

    One of these that has reported before yesterday only is as dead as one that never began.
    """
    known = [max(state.known_since.get(execution.name, now), now - timedelta(days=1)) for execution in live]
    unanswered = [state.unanswered_since] if state.unanswered_since else []
    return usage.reports(store, min((now, *known, *unanswered)), now)


def lives(
    store: BlobStore, live: tuple[Execution, ...], state: StarterState, now: datetime, start_timeout_s: float
) -> tuple[Life, ...]:
    """What each of the listed executions shows, for who only counts them. Raises StorageError."""
    found = reports(store, live, state, now)
    return tuple(item.life for item in _judged(store, live, found, state, now, start_timeout_s))


def _judged(
    store: BlobStore,
    live: tuple[Execution, ...],
    reports: usage.Reports,
    state: StarterState,
    now: datetime,
    start_timeout_s: float,
) -> tuple[Judged, ...]:
    judged = life.judge(live, reports, state.known_since, now, start_timeout_s)
    if any(item.life in (Life.NEVER_BEGAN, Life.SILENT) for item in judged):
        judged = life.spared(judged, life.holders(store))
    return judged


def _is_due(state: StarterState, item: Judged, now: datetime) -> bool:
    asked_at = state.stop_asked.get(item.name)
    again_s = REFUSED_AGAIN_S if item.name in state.not_stopped else STOP_AGAIN_S
    return asked_at is None or (now - asked_at).total_seconds() >= again_s


def _stop(store: BlobStore, compute: Compute, state: StarterState, item: Judged, now: datetime) -> StarterState:
    is_first = item.name not in state.stop_asked
    why = f"execution {item.name} is listed as running, and {_WHY[item.life]} {item.since:%Y-%m-%d %H:%M:%S} UTC"
    try:
        compute.stop(item.name)
        accepted, outcome = True, "it is stopped and counts no more"
    except (ComputeError, AccessDenied) as exc:
        accepted, outcome = False, f"it counts no more, and cannot be stopped: {exc}"
    if is_first:
        log_alert(log, Alert.NO_LIFE, f"{why}; {outcome}", execution=item.name, life=str(item.life))
        if item.life is not Life.ENDED:  # nobody else has told this time, and it costs
            usage.write_stopped(store, item.name, item.since, now)
    else:
        log.warning("%s; asked again: %s", why, outcome)
    never_began = item.life is Life.NEVER_BEGAN and is_first
    return state.stopped(item.name, now, accepted=accepted, never_began=never_began)
