"""What mutants put in the place of functions, continued: scenes that are called off or deleted, and notices."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from scenejobs.errors import SceneJobError
from scenejobs.ports import BlobInfo, BlobStore, Containers, NoticeTarget
from scenejobs.state import cancelling, generations, records
from scenejobs.state.layout import record_name
from scenejobs.state.notices import events, outbox
from scenejobs.state.record import SceneRecord
from scenejobs.state.removal import deletion, erasure

_called_off, _erasing = SceneRecord.called_off, SceneRecord.erasing


def called_off_with_its_wish(self: SceneRecord, *, counts: bool) -> SceneRecord:
    return replace(_called_off(self, counts=counts), wish=self.wish)


def off_whatever_is_decided(state: BlobStore, scene: str) -> bool:
    return cancelling.is_noted(state, scene)


def erase_then_say(self: erasure._Erasing, stored: records.Stored, uploads: tuple[BlobInfo, ...]) -> int:
    """The record is told when all is gone."""
    removed = self._remove(self._containers.input, uploads) + self._remove_all()
    record = stored.record.erasing(self._containers.state.now())
    records.save(self._containers.state, stored, replace(record, held=""), self._lease)
    return removed


def erasing_unheld(self: SceneRecord, now: datetime) -> SceneRecord:
    return replace(_erasing(self, now), held="")


def delete_then_say(containers: Containers, scene: str, depth: int, clock: Callable[[], float] = time.monotonic) -> int:
    """Of a published result."""
    state = containers.state
    lease = state.lease(record_name(scene), deletion.LEASE_S)
    stored = records.load(state, scene)
    results = list(deletion.of_scene(containers.output, scene, depth))
    removed = 0
    if stored is not None and stored.record.published is not None:
        removed = deletion._remove(containers.output, results, lease, clock)
        records.save(state, stored, stored.record.expiring(state.now(), deleted=True), lease)
    lease.release()
    return removed


_sent = outbox._sent


def struck_off_first(
    pending: Sequence[outbox.Pending],
    targets: Mapping[str, NoticeTarget],
    now: datetime,
    failed: list[SceneJobError],
) -> list[outbox.Pending]:
    """Whatever the target says."""
    _sent(pending, targets, now, failed)
    return []


_of = generations.of


def of_nobody(record: SceneRecord, archived: dict[str, str]) -> generations.Generation:
    return replace(_of(record, archived), notify=())


_moments = itertools.count()


@property  # type: ignore[misc]
def id_of_the_moment(self: events.Event) -> str:
    return f"{next(_moments):032x}"
