"""What nobody can need any more, as listings show it: found here, removed by the sweep (function_app/chores.py) and by
`scenejobs tidy`.

What is found is named by its ETag, and removed in that version only. Each rule leaves a day: what a slow program is
about to name or to use is younger.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from scenejobs.errors import Conflict, NotFound, StorageError
from scenejobs.names import refusal
from scenejobs.ports import BlobInfo, BlobStore
from scenejobs.state import activity, records
from scenejobs.state.executions import usage
from scenejobs.state.incoming import batches
from scenejobs.state.incoming.batches import ListedBatch
from scenejobs.state.layout import CACHE_FOLDER, PARTS, PREVIEWS, USAGE, key_of_record, part_in, refused_name

KEEP_UNUSED = timedelta(days=1)  # also batches of uploads that are gone: no late event can name them, ETags differ


@dataclass(frozen=True)
class Leftover:
    """One blob that nobody can need."""

    store: BlobStore
    info: BlobInfo
    why: str

    def line(self) -> str:
        return f"{self.store.name}/{self.info.name} ({self.info.size_bytes} bytes): {self.why}"

    def remove(self) -> bool:
        """Whether it was removed: somebody may have been faster, or have changed it, and then it is needed."""
        try:
            self.store.delete(self.info.name, if_match=self.info.etag)
        except (NotFound, Conflict):
            return False
        return True


def spent_batches(
    state: BlobStore, found: Iterable[ListedBatch], uploads: Iterable[BlobInfo], now: datetime
) -> Iterator[Leftover]:
    """Of one scene: batches that are older than each of its uploads."""
    found = list(found)
    kept = {item.info.name for item in batches.may_hold(found, uploads)}
    for item in found:
        if item.info.name not in kept and item.info.modified < now - KEEP_UNUSED:
            yield Leftover(state, item.info, "a batch whose uploads are gone")


def over(state: BlobStore, notes: Iterable[BlobInfo], now: datetime) -> Iterator[Leftover]:
    """notes: of cancelled scenes, those that cover no upload that lies there."""
    for info in notes:
        if info.modified < now - KEEP_UNUSED:
            yield Leftover(state, info, "the note of a cancelled scene whose uploads are gone")


def old_usage(state: BlobStore, now: datetime) -> Iterator[Leftover]:
    for info in state.list(USAGE):
        if usage.is_old(info, now):
            yield Leftover(state, info, f"the usage of a day more than {usage.KEEP_DAYS} days ago")


def old_refusals(
    state: BlobStore, found: Iterable[BlobInfo], names: Iterable[str], now: datetime
) -> Iterator[Leftover]:
    """found: the refusals, listed after the uploads. names: of the refused uploads that lie there."""
    present = set(map(refused_name, names))
    for info in found:
        if info.name not in present and info.modified < now - KEEP_UNUSED:
            yield Leftover(state, info, "the refusal of an upload that is gone")


def unnamed_parts(state: BlobStore, named: Collection[str], now: datetime) -> Iterator[Leftover]:
    """named: by any record, listed after `now`."""
    for info in state.list(PARTS):
        if part_in(info.name) not in named and info.modified < now - KEEP_UNUSED:
            yield Leftover(state, info, "a list that no record names")


def old_cache(state: BlobStore, days: float, now: datetime) -> Iterator[Leftover]:
    """Entries that no run has used or made for so long, of whatever scene."""
    for info in state.list(CACHE_FOLDER):
        if info.modified < now - timedelta(days=days) and refusal(info.name) is None:
            yield Leftover(state, info, f"an entry of the cache, older than {days:g} days")


def old_previews(state: BlobStore, now: datetime) -> Iterator[Leftover]:
    """First looks of runs that were killed: no attempt lasts as long."""
    for info in state.list(PREVIEWS):
        if info.modified < now - KEEP_UNUSED and refusal(info.name) is None:
            yield Leftover(state, info, "the first look of a run that has ended")


def may_be_blank_record(info: BlobInfo, busy: Collection[str], now: datetime) -> bool:
    """Whether to read this record to see if anything ever happened in it.

    busy: keys of scenes that have uploads or a marker.
    """
    settled = info.modified < now - KEEP_UNUSED and not info.leased and not activity.is_active(info.metadata)
    return settled and key_of_record(info.name) not in busy and records.may_be_blank(info)


def blank_record(state: BlobStore, info: BlobInfo) -> Leftover | None:
    """A record in which nothing ever happened: a forged message made it, or its uploads were taken away at once."""
    try:
        stored = records.read(state, info.name)
    except StorageError:  # of another version, or damaged: not ours to judge
        return None
    if stored is None or not records.is_blank(stored) or stored.etag != info.etag:
        return None
    return Leftover(state, info, "a record in which nothing ever happened")
