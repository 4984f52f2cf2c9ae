"""Is a scene complete? A pure decision over what a listing shows; events only say when to look."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from scenejobs.names import is_companion, is_ready_marker
from scenejobs.ports import BlobInfo
from scenejobs.settings.groups import DispatchSettings
from scenejobs.state.incoming.sending import InProgress
from scenejobs.state.messages import DebounceCheck

CLOCK_GRAIN_S = 2.0  # an upload's time and the service's clock are both cut to whole seconds


class Why(StrEnum):
    """What ended the waiting."""

    READY = "ready"  # an end marker was uploaded after everything else
    QUIET = "quiet"  # nothing was uploaded for the quiet time
    MAX_WAIT = "max wait"  # the oldest upload has waited for the longest time allowed


@dataclass(frozen=True)
class Nothing:
    """No upload waits: all gone, or all in a sealed batch already."""


@dataclass(frozen=True)
class Superseded:
    """The check's own upload is not the newest: it is too early, unless a newer one has a check of its own."""


@dataclass(frozen=True)
class NotYet:
    """Look again later."""

    delay_s: float


@dataclass(frozen=True)
class Settled:
    """The scene is complete."""

    why: Why


Decision = Nothing | Superseded | NotYet | Settled


def is_enough(name: str) -> bool:
    """Whether an upload of that name makes a job, whatever its scene has."""
    return not is_companion(name)


def decide(
    check: DebounceCheck,
    waiting: Collection[BlobInfo],
    now: datetime,
    settings: DispatchSettings,
    sending: Collection[InProgress] = (),
    grew_at: datetime | None = None,
    starts: Callable[[str], bool] = is_enough,
) -> Decision:
    """What to do about a scene.

    waiting: its uploads that are in no queued batch yet, markers included; what is being worked on does not count.
    now:     the service's clock. With the local one, a skew of minutes would seal scenes in mid-upload.
    sending: uploads in progress that have not stalled. While there are some, neither the quiet time nor the longest
             wait seals the scene; an end marker does, and they are left to the next generation.
    grew_at: when an upload in progress last grew, one that is whole since too. The longest wait begins anew there: the
             next large clip of a row is begun a moment after the one before is whole.

    starts: whether an upload of that name is enough for a job (`Judge`); others wait for one that is.

    An end marker speaks for what was uploaded before it. One that lies there from an earlier time, or that overtook a
    large video, says nothing about later uploads: those wait for the quiet time. Poses that come ahead of their
    pictures wait for them, for however long; beside them they are uploads like any other.
    """
    parts = {item.name for item in sending}
    begun, waiting = len(waiting), [blob for blob in waiting if blob.name not in parts]
    if not any(starts(blob.name) for blob in waiting):  # nobody tells when a part of a blob is followed by the next
        return NotYet(_look_again_s(now, settings, sending)) if len(waiting) < begun else Nothing()
    newest = max(waiting, key=_order)
    if any(is_ready_marker(blob.name) and blob.modified >= newest.modified for blob in waiting):
        return Settled(Why.READY)
    own = next((blob for blob in waiting if blob.name == check.blob), None)
    superseded = own is not None and _order(own) < _order(newest)
    if sending:
        return Superseded() if superseded else NotYet(_look_again_s(now, settings, sending))
    oldest = min(blob.modified for blob in waiting if starts(blob.name))
    if (now - max(oldest, grew_at or oldest)).total_seconds() >= settings.max_wait_s:
        return Settled(Why.MAX_WAIT)
    age_s = (now - newest.modified).total_seconds()
    if age_s >= settings.quiet_s:
        return Settled(Why.QUIET)
    if superseded:
        return Superseded()
    return NotYet(settings.quiet_s - age_s + CLOCK_GRAIN_S)


def rest_s(waiting: Collection[BlobInfo], now: datetime, settings: DispatchSettings) -> float:
    """Until the quiet time after the newest upload is over."""
    newest = max(blob.modified for blob in waiting)
    return max(0.0, settings.quiet_s - (now - newest).total_seconds()) + CLOCK_GRAIN_S


def _look_again_s(now: datetime, settings: DispatchSettings, sending: Collection[InProgress]) -> float:
    """After a quiet time, and when the last of them will have stalled at the latest."""
    stalled_in_s = max(item.stalls_in_s(now, settings.upload_stalled_s) for item in sending)
    return max(0.0, min(settings.quiet_s, stalled_in_s)) + CLOCK_GRAIN_S


def _order(blob: BlobInfo) -> tuple[datetime, str]:
    return blob.modified, blob.name  # uploads of the same second are ordered by name, so that one of them is the newest
