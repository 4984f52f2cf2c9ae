"""Why a scene waits, and until when: one sentence for each reason, with the time that is expected.

Times are the storage service's. What is expected follows from settings, which may differ between the dispatcher and
whoever asks, and from the progress of runs: a clip too dark ends a run in a minute, a busy GPU makes it longer.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from scenejobs.errors import NotFound, StorageError
from scenejobs.names import is_companion
from scenejobs.ports import BlobInfo, BlobStore, Containers
from scenejobs.settings.groups import DispatchSettings
from scenejobs.state import codec, records
from scenejobs.state.executions import machine, start_backoff, usage
from scenejobs.state.incoming import sending
from scenejobs.state.incoming.sending import InProgress
from scenejobs.state.incoming.uploads import Sending
from scenejobs.state.layout import ACTIVE
from scenejobs.state.overview import progress
from scenejobs.state.record import Phase, SceneRecord
from scenejobs.wording import listed

ASKED_RUNS = 10  # running scenes whose progress is looked at
REPORTED = timedelta(seconds=180)  # an execution reports its usage each minute
TOLD = 3  # uploads that are named
MOST_S = 1e9  # of a setting: 30 years; a later time need not exist


@dataclass(frozen=True)
class Reason:
    """For people. `expected`: when the waiting ends, as far as that can be known."""

    note: str
    expected: datetime | None = None


@dataclass(frozen=True)
class Uploading:
    """What is being sent into a scene."""

    growing: tuple[InProgress, ...] = ()
    stalled: tuple[InProgress, ...] = ()


def uploading(
    containers: Containers,
    scene: str,
    blobs: Sequence[BlobInfo],
    sent: Sequence[Sending],
    settings: DispatchSettings,
) -> Uploading:
    """Looks at the sizes now, and compares them with what the dispatcher saw. Costs nothing where nothing is sent."""
    suspected, stalled_s = sending.suspects(blobs, {}), settings.upload_stalled_s
    if not stalled_s or not (sent or suspected):
        return Uploading()
    memory, now = sending.load(containers.state, scene), containers.input.now()
    _, found = sending.observe(containers.input, memory, blobs, sent, suspected, now)
    growing = sending.active(found, now, stalled_s)
    return Uploading(growing, tuple(item for item in found if item not in growing))


def for_upload(found: Uploading, settings: DispatchSettings) -> Reason:
    """An upload in progress keeps the scene open; at the latest until it has stalled."""
    stalls_at = max(item.grew_at for item in found.growing) + _delay(settings.upload_stalled_s)
    return Reason(f"{sizes(found.growing)}; without more it is left out {_at(stalls_at)}", stalls_at)


def sizes(items: Collection[InProgress]) -> str:
    """`lobby/a.mp4: 12.3 MB since 2026-01-01 12:00:00 UTC`: the time is that of the last look that saw it grow."""
    told = [f"{item.name}: {item.size_bytes / 1e6:.1f} MB since {item.grew_at:%Y-%m-%d %H:%M:%S} UTC" for item in items]
    return listed(told, TOLD)


def stalled_note(found: Uploading) -> str:
    """What is not waited for; "" when there is nothing."""
    names = [f"{item.name} stalled at {item.size_bytes / 1e6:.1f} MB" for item in found.stalled]
    return f"{listed(names, TOLD)}: not waited for, send it again" if names else ""


def for_quiet(state: BlobStore, scene: str, blobs: Collection[BlobInfo], settings: DispatchSettings) -> Reason:
    """The quiet time, or the longest wait where that ends earlier."""
    newest = max(blob.modified for blob in blobs)
    oldest = min(blob.modified for blob in [blob for blob in blobs if not is_companion(blob.name)] or blobs)
    if settings.max_wait_s < (newest - oldest).total_seconds() + settings.quiet_s:
        oldest = max(oldest, sending.load(state, scene).grew_at or oldest)
    if settings.max_wait_s < (newest - oldest).total_seconds() + settings.quiet_s:
        longest = oldest + _delay(settings.max_wait_s)
        return Reason(f"complete {_at(longest)}, the longest wait", longest)
    quiet = newest + _delay(settings.quiet_s)
    return Reason(f"complete {_at(quiet)} if nothing more comes", quiet)


def for_own_run(containers: Containers, record: SceneRecord, more: int) -> Reason:
    """Uploads that came while the scene runs."""
    running = record.phase is Phase.RUNNING
    ends = progress.ends_at(containers.state, record, containers.state.now()) if running else None
    expected = f", expected {_about(ends)}" if ends else ""
    waits = "1 more upload waits" if more == 1 else f"{more} more uploads wait"
    return Reason(f"{waits} for the end of this run{expected}", ends)


def for_execution(containers: Containers, settings: DispatchSettings, now: datetime) -> Reason:
    """A sealed scene that no runner has taken: the guards, then the limit, then the start itself."""
    state = containers.state
    starter = start_backoff.load(state)
    if starter.unanswered_since and usage.begun_since(state, starter.unanswered_since, now):
        starter = starter.answered()
    held_back = machine.held_back(state, starter, now)
    if starter.budget_until and now < starter.budget_until:
        return Reason(held_back, starter.budget_until)
    if held_back:
        again = starter.not_before if starter.not_before and starter.not_before > now else None
        which = "the first is asked again" if starter.is_away(now) else "the next try is"
        return Reason(held_back + (f"; {which} {_at(again)}" if again else ""), again)
    limit, live = settings.max_parallel_jobs, _live(state, now)
    if limit and live >= limit:
        ends = [end for record in _running(state) if (end := progress.ends_at(state, record, now)) is not None]
        first = f", the first is expected to end {_about(min(ends))}" if ends else ""
        text = f"waits for one of {live} executions (MAX_PARALLEL_JOBS={limit}){first}"
        return Reason(text, min(ends, default=None))
    if starter.last_start and starter.unanswered_since:
        return Reason(f"an execution was started {_at(starter.last_start)} and begins within minutes")
    if live:
        return Reason("a running execution takes it next, or another is started")
    return Reason("an execution is being started")


def _live(state: BlobStore, now: datetime) -> int:
    """Executions that have reported within the last minutes."""
    days = usage.days_between(now - REPORTED, now)
    return len({item.execution for day in days for item in usage.on(state, day) if now - item.reported_at <= REPORTED})


def _running(state: BlobStore) -> list[SceneRecord]:
    found = []
    for marker in list(state.list(ACTIVE))[:ASKED_RUNS]:
        try:
            stored = records.load(state, codec.loads(state.read(marker.name)[0])["scene"])
        except (NotFound, StorageError, ValueError, KeyError, TypeError):  # gone since, or not for this program to read
            continue
        if stored is not None and stored.record.phase is Phase.RUNNING:
            found.append(stored.record)
    return found


def _delay(seconds: float) -> timedelta:
    return timedelta(seconds=min(seconds, MOST_S))


def _at(time: datetime) -> str:
    return time.strftime("at %Y-%m-%d %H:%M:%S UTC")


def _about(time: datetime) -> str:
    return time.strftime("about %Y-%m-%d %H:%M UTC")
