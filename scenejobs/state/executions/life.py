"""Does an execution that the platform lists as running do anything? A pure decision over what runners have reported.

The platform has days on which executions run without a line until their time limit, and others on which the end of one
is never noticed. Counted as workers, they keep waiting scenes from being started, and they cost what a working one
costs. So an execution counts only while it proves life: a runner began in it in time, its heartbeat
(`state/spend/`, usage.py) is fresh, and it has not said that it ends. All times are of the storage service's clock.

A container that is started again inside an execution reports under another token: the newest report of an execution
decides, whichever start wrote it.

Stopping a healthy training is worse than waiting. In doubt an execution works: one of a program that promised no
heartbeat, one whose name is not told, and one that may hold the lease of a scene (`holders`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from scenejobs.errors import NotFound, StorageError
from scenejobs.ports import BlobStore, Execution
from scenejobs.state import codec, records
from scenejobs.state.executions.usage import HEARTBEAT_S, ExecutionUsage
from scenejobs.state.layout import ACTIVE, key_of_marker, progress_name, record_of_key

SILENT_S = 3 * HEARTBEAT_S  # two reports may fail before the third decides


class Life(StrEnum):
    """What an execution shows."""

    WORKS = "works"  # its heartbeat is fresh, or nothing can be said against it
    BEGINS = "begins"  # a machine, an image: no runner has begun in it, and there is time left for that
    ENDS = "ends"  # it has said so a moment ago; it takes nothing more
    NEVER_BEGAN = "never began"  # no runner has begun in it in time
    SILENT = "silent"  # its heartbeat has stopped
    ENDED = "ended"  # it said so long ago, and is listed all the same

    @property
    def counts(self) -> bool:
        """As a worker that takes, or will take, what waits."""
        return self in (Life.WORKS, Life.BEGINS)

    @property
    def is_over(self) -> bool:
        """It will do nothing more: to be stopped."""
        return self in (Life.NEVER_BEGAN, Life.SILENT, Life.ENDED)


@dataclass(frozen=True)
class Judged:
    """One execution. `since`: when it was first known of, or was last heard of."""

    name: str
    life: Life
    since: datetime


def judge(
    live: Iterable[Execution],
    reports: Iterable[ExecutionUsage],
    known_since: Mapping[str, datetime],
    now: datetime,
    start_timeout_s: float,
) -> tuple[Judged, ...]:
    """live: as the platform lists them. known_since: when each was started, or was first seen in the listing."""
    newest: dict[str, ExecutionUsage] = {}
    for report in reports:
        name = report.platform_name
        if not report.by_dispatcher and (name not in newest or newest[name].reported_at <= report.reported_at):
            newest[name] = report
    unnamed = newest.pop("", None)
    anonymous = unnamed is not None and not unnamed.ended and _age_s(unnamed.reported_at, now) <= SILENT_S
    judged = []
    for execution in live:
        last = newest.get(execution.name)
        since = last.reported_at if last else known_since.get(execution.name, now)
        life = _life_of(last, now) if last else _without_report(_age_s(since, now), start_timeout_s, anonymous)
        judged.append(Judged(execution.name, life if execution.name else Life.WORKS, since))
    return tuple(judged)


def _life_of(report: ExecutionUsage, now: datetime) -> Life:
    is_fresh = _age_s(report.reported_at, now) <= SILENT_S
    if report.ended:
        return Life.ENDS if is_fresh else Life.ENDED
    return Life.WORKS if is_fresh or not report.beats else Life.SILENT


def _without_report(age_s: float, start_timeout_s: float, anonymous: bool) -> Life:
    """`anonymous`: a runner reports that does not know its execution's name. It may be this one."""
    if age_s <= start_timeout_s:
        return Life.BEGINS
    return Life.WORKS if anonymous else Life.NEVER_BEGAN


def _age_s(time: datetime, now: datetime) -> float:
    return (now - time).total_seconds()


def holders(state: BlobStore) -> list[str]:
    """The executions that hold the lease of a scene now; "" last where one is not known. Asked only in doubt.

    A runner names its execution in the scene's progress. Raises StorageError.
    """
    found = []
    for marker in state.list(ACTIVE):  # a scene in work has one
        record = record_of_key(key_of_marker(marker.name))
        if _is_leased(state, record):
            found.append(_holder(state, record))
            if not found[-1]:
                break  # then all are in doubt
    return found


def _is_leased(state: BlobStore, name: str) -> bool:
    try:
        return state.head(name).leased
    except NotFound:
        return False


def _holder(state: BlobStore, record: str) -> str:
    try:
        stored = records.read(state, record)
        progress = codec.loads(state.read(progress_name(stored.record.scene))[0]) if stored else None
        if isinstance(progress, dict) and stored and progress.get("run") == stored.record.run:
            return str(progress.get("execution") or "")
    except (NotFound, ValueError, StorageError):  # not begun, or of another program
        pass
    return ""


def spared(judged: Iterable[Judged], holding: Collection[str]) -> tuple[Judged, ...]:
    """Of executions that seem dead those work that hold a scene, and all do while it is not known who holds one.

    One that has said that it ends holds nothing.
    """
    in_doubt = (Life.NEVER_BEGAN, Life.SILENT)
    return tuple(
        replace(item, life=Life.WORKS) if item.life in in_doubt and (item.name in holding or "" in holding) else item
        for item in judged
    )
