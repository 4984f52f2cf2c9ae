"""What a sweep clears away, and its daily look at everything.

    in every sweep     saved work that no attempt resumes from; batches of uploads that are gone
    once a day         usage of last month, refusals of names that are gone, old entries of the cache, first looks; and
    the daily look     active scenes without a marker, whose records were written by the version before, or restored;
                       parts that no record names; records that a forged message made

Only the daily look lists what has finished. It keeps nothing of it, so its cost is pages, not memory.
`scenejobs tidy` finds what is too costly to look for every day.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from function_app.view import View
from scenejobs.errors import StorageError
from scenejobs.names import refusal
from scenejobs.parallel import Crew
from scenejobs.ports import BlobInfo, BlobStore
from scenejobs.state import activity, records
from scenejobs.state.incoming import batches, checks
from scenejobs.state.layout import RECORDS, REFUSED, RESUME_FOLDER, key_of_record, record_of_resume
from scenejobs.state.overview import leftovers
from scenejobs.state.overview.leftovers import Leftover
from scenejobs.state.record import Phase

log = logging.getLogger(__name__)

EVERY = timedelta(days=1)
FEW = 5000  # records, one page of a listing: the daily look of so many leaves room for the other chores
KEEP_WORK = timedelta(days=7)  # of an attempt that was interrupted, when its uploads are gone


def spent(state: BlobStore, view: View, quiet_s: float, now: datetime) -> Iterator[Leftover]:
    """What tells of uploads that are gone: batches, memories of uploads in progress, notes of cancelled scenes; and of
    checks that never came.
    """
    for info in view.checks:
        if checks.is_overdue(info, quiet_s, now):
            yield Leftover(state, info, "the note of a check that never came")
    yield from leftovers.over(state, view.over, now)
    if view.memories.listed:
        yield from _memories(state, view)
    uploads = view.uploads_by_key()
    for key, found in view.batches.items():
        yield from leftovers.spent_batches(state, found, uploads.get(key, ()), now)


def _memories(state: BlobStore, view: View) -> Iterator[Leftover]:
    for info in view.memories.of_others({*view.scenes, *view.sending}):
        yield Leftover(state, info, "the memory of an upload that is no longer in progress")


def old_work(state: BlobStore, view: View, now: datetime, crew: Crew) -> list[Leftover]:
    """Saved work that no further attempt will resume from; the pointers first.

    Listed before the records are read: what an attempt saves meanwhile is newer than the list, and has other names.
    """
    saved = [info for info in state.list(RESUME_FOLDER) if refusal(info.name) is None]
    asked = crew.each(lambda name: _is_unfinished(state, name), sorted({record_of_resume(info.name) for info in saved}))
    ended = {name for name, unfinished in asked.done if not unfinished}
    keys = view.keys
    old = [
        info
        for info in saved
        if record_of_resume(info.name) in ended
        or (info.modified < now - KEEP_WORK and info.name.split("/")[1] not in keys)
    ]
    return [
        Leftover(state, info, "saved work that nobody resumes from")
        for info in sorted(old, key=lambda info: not info.name.endswith(".json"))
    ]


def _is_unfinished(state: BlobStore, name: str) -> bool:
    """Whether the record holds a generation that was begun and has not ended."""
    try:
        stored = records.read(state, name)
    except StorageError:  # of another version, or damaged: a program that can read it decides
        return True
    if stored is None or stored.record.phase in (Phase.COMMITTED, Phase.FAILING):
        return False
    record = stored.record
    return record.phase is Phase.RUNNING or bool(record.attempts or record.preemptions or record.failures)


def daily(state: BlobStore, view: View, cache_days: float, now: datetime) -> Iterator[Leftover]:
    """What grows by the day."""
    yield from leftovers.old_usage(state, now)
    if not view.refused:  # where there are some, every sweep lists their refusals
        yield from leftovers.old_refusals(state, state.list(REFUSED), (), now)
    yield from leftovers.old_cache(state, cache_days, now)
    yield from leftovers.old_previews(state, now)
    if not view.memories.listed:
        yield from _memories(state, view)
    if not view.scenes:  # where there are some, every sweep lists their batches
        for found in batches.by_key(batches.listed(state)).values():
            yield from leftovers.spent_batches(state, found, (), now)


class DailyLook:
    """Goes over every record. `unmarked`: active scenes that were found without a marker, and have one now, by key."""

    def __init__(self, state: BlobStore, view: View, now: datetime, crew: Crew) -> None:
        self._state, self._view, self._now, self._crew = state, view, now, crew
        self.unmarked: dict[str, BlobInfo] = {}
        self.seen = 0
        self.leftovers: list[Leftover] = []
        self.whole = False  # it came to the end in time

    def run(self) -> None:
        """Raises StorageError when the records cannot be listed."""
        busy, named = self._view.keys | self._view.active.keys(), set[str]()
        doubtful, small = list[BlobInfo](), list[BlobInfo]()
        for info in self._state.list(RECORDS):
            if not self._crew.goes_on():
                return
            self.seen += 1
            named |= records.parts_in(info.metadata)
            if activity.is_active(info.metadata) and key_of_record(info.name) not in self._view.active:
                doubtful.append(info)
            elif leftovers.may_be_blank_record(info, busy, self._now):
                small.append(info)
        self.whole = not self._marked(doubtful)
        blank = self._crew.each(lambda info: leftovers.blank_record(self._state, info), small)
        self.leftovers = [found for found in blank.results if found is not None]
        self.leftovers += leftovers.unnamed_parts(self._state, named, self._now)

    def _marked(self, doubtful: Iterable[BlobInfo]) -> list[BlobInfo]:
        """Marks what is active; returns those that have to be looked at again tomorrow or earlier."""

        def mark(info: BlobInfo) -> bool:
            stored = records.read(self._state, info.name)
            if stored is None or not records.is_active(stored):  # the first program told nothing in metadata
                return False
            activity.mark(self._state, stored.record.scene)
            return True

        outcome = self._crew.each(mark, doubtful)
        for info, exc in outcome.failed:  # one damaged record must not keep the others from healing
            log.error("the record %s cannot be read: %s", info.name, exc)
        self.unmarked = {key_of_record(info.name): info for info, marked in outcome.done if marked}
        return outcome.left
