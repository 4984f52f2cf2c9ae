"""Usage: how long executions ran, `state/spend/<day>/<execution>.json`, one blob per execution and day.

Each start of a runner writes blobs of its own, `<execution>-<token>`, so nobody waits for anybody; a listing with its
metadata is the sum. Days are those of the storage service's clock (UTC).

What a runner has written also proves that it began, and what it keeps writing that it lives: the blob is its heartbeat,
and its last one says that it ends (life.py). An execution that was started and ended without a blob here never began
(start_backoff.py). For an execution that had to be stopped, the dispatcher writes what nobody else did.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from scenejobs.ports import BlobInfo, BlobStore
from scenejobs.state import codec
from scenejobs.state.layout import USAGE, usage_name

MAX_SECONDS = 2 * 86_400.0  # an execution and day have half of it
KEEP_DAYS = 35  # a month's bill can be looked up
HEARTBEAT_S = 60.0  # between two reports of a runner
UNNAMED = "execution"  # in the place of its name, where the platform does not tell it
STOPPED = "stopped"  # in the place of the token, in what the dispatcher writes


@dataclass(frozen=True)
class ExecutionUsage:
    """What one start of a runner has reported for one day."""

    execution: str  # as its blob is called: the platform's name of the execution, and a token of this start
    begun_at: datetime  # of the execution, possibly the day before
    seconds: float
    reported_at: datetime
    beats: bool = False  # it repeats itself every HEARTBEAT_S; programs before did not promise that
    ended: bool = False  # its own last word
    by_dispatcher: bool = False  # for an execution that was stopped: no sign of a runner
    fallback: bool = False  # of the fallback job (start_backoff.py)

    @property
    def platform_name(self) -> str:
        """Of the execution; "" where the runner does not know it."""
        name = self.execution.rpartition("-")[0]
        return "" if name == UNNAMED else name


def write(
    state: BlobStore,
    execution: str,
    begun_at: datetime,
    day: date,
    seconds: float,
    *,
    beats: bool = False,
    ended: bool = False,
    by_dispatcher: bool = False,
    fallback: bool = False,
) -> None:
    """See ExecutionUsage. Raises StorageError."""
    body = {"execution": execution, "begun_at": begun_at.isoformat(), "day": day.isoformat(), "seconds": seconds}
    metadata = {"begun_at": begun_at.isoformat(), "seconds": f"{seconds:.1f}"}
    flags = {"beats": beats, "ended": ended, "by_dispatcher": by_dispatcher, "fallback": fallback}
    metadata |= {name: "true" for name, value in flags.items() if value}
    state.write(usage_name(day.isoformat(), execution), json.dumps(body).encode(), metadata=metadata)


def write_stopped(state: BlobStore, name: str, silent_since: datetime, now: datetime) -> None:
    """The time of an execution for which no runner has reported, when it is stopped. Raises StorageError."""
    for day in days_between(silent_since, now):
        seconds = seconds_on(day, silent_since, now)
        write(state, f"{name}-{STOPPED}", silent_since, day, seconds, ended=True, by_dispatcher=True)


def seconds_on(day: date, begun_at: datetime, now: datetime) -> float:
    """How much of the time from `begun_at` to `now` lies in `day`."""
    begin = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return max(0.0, (min(now, begin + timedelta(days=1)) - max(begun_at, begin)).total_seconds())


def days_between(begun_at: datetime, now: datetime) -> list[date]:
    """Every day that has a part of the interval, the oldest first."""
    count = (now.astimezone(UTC).date() - begun_at.astimezone(UTC).date()).days
    return [begun_at.astimezone(UTC).date() + timedelta(days=number) for number in range(count + 1)]


def on(state: BlobStore, day: date) -> list[ExecutionUsage]:
    """What the executions have reported for a day. One listing."""
    return read(state.list(f"{USAGE}{day.isoformat()}/"))


def read(listing: Iterable[BlobInfo]) -> list[ExecutionUsage]:
    """From a listing of usage blobs. One without the metadata of ours counts nothing."""
    found = []
    for info in listing:
        try:
            begun_at, seconds = codec.parse_time(info.metadata["begun_at"]), float(info.metadata["seconds"])
        except (KeyError, ValueError):
            continue
        if not 0 <= seconds <= MAX_SECONDS:  # not finite either: one such blob would stop all starts
            continue
        name = info.name.rpartition("/")[2].removesuffix(".json")
        flags = {name: info.metadata.get(name) == "true" for name in ("beats", "ended", "by_dispatcher", "fallback")}
        found.append(ExecutionUsage(name, begun_at, seconds, info.modified, **flags))
    return found


@dataclass(frozen=True)
class Reports:
    """What was reported for some days. Each is listed once, however many questions there are."""

    days: dict[date, list[ExecutionUsage]]

    def __iter__(self) -> Iterator[ExecutionUsage]:
        return itertools.chain.from_iterable(self.days.values())

    def minutes_on(self, day: date) -> float:
        return sum(usage.seconds for usage in self.days.get(day, ())) / 60

    def begun_since(self, since: datetime, *, fallback: bool = False) -> bool:
        """Whether any runner has begun since then, in the first job or in the fallback job."""
        theirs = (usage for usage in self if usage.fallback is fallback and not usage.by_dispatcher)
        return any(usage.begun_at >= since for usage in theirs)


def reports(state: BlobStore, since: datetime, now: datetime) -> Reports:
    """One listing for each day."""
    return Reports({day: on(state, day) for day in days_between(since, now)})


def minutes_on(state: BlobStore, day: date) -> float:
    """Minutes of executions on a day, as reported so far: a running one reports about once a minute."""
    return sum(usage.seconds for usage in on(state, day)) / 60


def next_day(now: datetime) -> datetime:
    """When the day of `now` is over."""
    tomorrow = now.astimezone(UTC).date() + timedelta(days=1)
    return datetime(tomorrow.year, tomorrow.month, tomorrow.day, tzinfo=UTC)


def begun_since(state: BlobStore, since: datetime, now: datetime, *, fallback: bool = False) -> bool:
    """Whether any runner has begun since then, as `Reports.begun_since`. One listing for each day."""
    return reports(state, since, now).begun_since(since, fallback=fallback)


def is_old(info: BlobInfo, now: datetime) -> bool:
    """Whether a usage blob may be removed, by the day in its name."""
    try:
        day = date.fromisoformat(info.name.removeprefix(USAGE).partition("/")[0])
    except ValueError:
        return False
    return day < now.astimezone(UTC).date() - timedelta(days=KEEP_DAYS)
