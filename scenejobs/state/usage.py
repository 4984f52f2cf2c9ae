"""Usage: how long executions ran, `state/spend/<day>/<execution>.json`, one blob per execution and day.

Each execution writes blobs of its own, so nobody waits for anybody; a listing with its metadata is the sum. Days are
those of the storage service's clock (UTC). What a runner has written also proves that it began: an execution that was
started and ended without a blob here never was (scenejobs/state/start_backoff.py).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from scenejobs.ports import BlobInfo, BlobStore
from scenejobs.state import codec
from scenejobs.state.layout import USAGE, usage_name

MAX_SECONDS = 2 * 86_400.0  # an execution and day have half of it
KEEP_DAYS = 35  # a month's bill can be looked up


@dataclass(frozen=True)
class ExecutionUsage:
    """What one execution has reported for one day."""

    execution: str
    begun_at: datetime  # of the execution, possibly the day before
    seconds: float
    reported_at: datetime


def write(state: BlobStore, execution: str, begun_at: datetime, day: date, seconds: float) -> None:
    """Raises StorageError."""
    body = {"execution": execution, "begun_at": begun_at.isoformat(), "day": day.isoformat(), "seconds": seconds}
    metadata = {"begun_at": begun_at.isoformat(), "seconds": f"{seconds:.1f}"}
    state.write(usage_name(day.isoformat(), execution), json.dumps(body).encode(), metadata=metadata)


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
        found.append(
            ExecutionUsage(info.name.rpartition("/")[2].removesuffix(".json"), begun_at, seconds, info.modified)
        )
    return found


def minutes_on(state: BlobStore, day: date) -> float:
    """Minutes of executions on a day, as reported so far: a running one reports about once a minute."""
    return sum(usage.seconds for usage in on(state, day)) / 60


def next_day(now: datetime) -> datetime:
    """When the day of `now` is over."""
    tomorrow = now.astimezone(UTC).date() + timedelta(days=1)
    return datetime(tomorrow.year, tomorrow.month, tomorrow.day, tzinfo=UTC)


def begun_since(state: BlobStore, since: datetime, now: datetime) -> bool:
    """Whether any runner has begun since then. One listing for each day."""
    return any(usage.begun_at >= since for day in days_between(since, now) for usage in on(state, day))


def is_old(info: BlobInfo, now: datetime) -> bool:
    """Whether a usage blob may be removed, by the day in its name."""
    try:
        day = date.fromisoformat(info.name.removeprefix(USAGE).partition("/")[0])
    except ValueError:
        return False
    return day < now.astimezone(UTC).date() - timedelta(days=KEEP_DAYS)
