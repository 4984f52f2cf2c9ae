"""Sends messages again for work that no message points at any more.

Each scene heals by its own age, whatever waits beside it. What can be told of its message: it is among the visible ones
at the head of the queue, or it was sent before those and has been received since, or nobody can say. A message too many
is harmless: its runner finds the scene leased, or nothing to do. But each costs a runner a second, so of those about
which nobody can say only a few are sent again at a time.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from function_app.dispatcher import Dispatcher
from function_app.view import Head, View
from scenejobs.errors import Conflict, NotFound, StorageError
from scenejobs.names import scene_key
from scenejobs.parallel import Crew
from scenejobs.ports import BlobInfo
from scenejobs.state import activity, records
from scenejobs.state.activity import Sent
from scenejobs.state.blobs import InputBlob
from scenejobs.state.copies import find
from scenejobs.state.incoming import batches
from scenejobs.state.incoming.uploads import snapshot
from scenejobs.state.layout import record_of_key
from scenejobs.state.messages import JobMessage

log = logging.getLogger(__name__)

MOST_PATIENCE = 8
DOUBTFUL_AT_ONCE = 8  # messages of one sweep that may be too many
KEEP_MARKER = timedelta(minutes=10)  # a runner that wrote it and has not saved its record since has lost its lease


@dataclass(frozen=True)
class Requeued:
    """What was done."""

    scenes: frozenset[str]  # keys of those whose message was sent again
    failed: tuple[StorageError, ...]
    left: int  # scenes that were not looked at: the time was over


def heads_of(dispatcher: Dispatcher, keys: Iterable[str], crew: Crew) -> dict[str, BlobInfo | None]:
    """The record of each scene as it is now, by scene key; None where there is none.

    One that cannot be asked for is missing: the next sweep asks again.
    """
    state = dispatcher.containers.state

    return dict(crew.each(lambda key: find(state, record_of_key(key)), sorted(keys)).done)


def requeue_lost(
    dispatcher: Dispatcher, view: View, heads: Mapping[str, BlobInfo | None], now: datetime, crew: Crew
) -> Requeued:
    """Sends the messages that are lost. Raises StorageError when the queue cannot be looked at."""
    patience = _Patience(now, dispatcher.settings.requeue_after_s)
    with_uploads = _overdue_uploads(view, heads, patience)
    without = _overdue_records(view, heads, patience)
    if not with_uploads and not without:
        return Requeued(frozenset(), (), 0)
    head = Head.of(dispatcher.queues.jobs)
    candidates = [_Lost(scene_key(scene), sent_at, scene) for scene, sent_at in with_uploads.items()]
    running = {scene_key(scene) for scene in view.scenes if view.may_run(scene)}  # in others only poses or markers lie
    candidates += [_Lost(key, sent_at) for key, sent_at in without.items() if key not in running]
    invisible = [item for item in candidates if item.key not in head.keys]
    lost = [item for item in invisible if head.passed(item.sent_at)]
    doubtful = [item for item in invisible if not head.passed(item.sent_at)]
    lost += sorted(doubtful, key=lambda item: (item.sent_at, item.key))[:DOUBTFUL_AT_ONCE]
    healer = _Healer(dispatcher, view, patience.before, now)
    outcome = crew.each(healer.heal, lost)
    failed = tuple(exc for _, exc in outcome.failed)
    return Requeued(frozenset(item.key for item, sent in outcome.done if sent), failed, len(outcome.left))


@dataclass(frozen=True)
class _Patience:
    """How long a message is waited for: each time twice as long, up to MOST_PATIENCE times."""

    now: datetime
    requeue_after_s: float

    @property
    def before(self) -> datetime:
        return self.now - timedelta(seconds=self.requeue_after_s)

    def is_over(self, sent: Sent) -> bool:
        times = min(MOST_PATIENCE, 2 ** max(0, min(sent.times - 1, 10)))
        return sent.at <= self.now - timedelta(seconds=self.requeue_after_s * times)


@dataclass(frozen=True)
class _Lost:
    """A scene whose message seems to be lost."""

    key: str
    sent_at: datetime  # when it was last sent
    scene: str = ""  # where it has uploads


def _overdue_uploads(view: View, heads: Mapping[str, BlobInfo | None], patience: _Patience) -> dict[str, datetime]:
    """Scenes with sealed uploads that nobody works on, and when their message was last sent."""
    found = {}
    for scene in view.scenes:
        record = heads.get(scene_key(scene))
        if not view.may_run(scene) or (record is not None and _waits(record, patience.before)):
            continue
        sent = [Sent(item.queued_at, item.sends) for item in view.sent_batches(scene) if item.queued_at]
        marker = view.active.get(scene_key(scene))
        noted = activity.sent(marker.metadata) if marker else None
        if sent and all(patience.is_over(each) for each in (*sent, *([noted] if noted else []))):
            found[scene] = max(each.at for each in sent)
    return found


def _overdue_records(view: View, heads: Mapping[str, BlobInfo | None], patience: _Patience) -> dict[str, datetime]:
    """Keys of active scenes whose attempt, publishing or archiving stopped in the middle, or in which a wish waits."""
    found = {}
    for key, record in heads.items():
        if record is None or not activity.is_active(record.metadata) or _waits(record, patience.before):
            continue
        marker = view.active.get(key)  # none yet when the view was taken: the daily look found it
        sent = activity.sent(marker.metadata) if marker else None
        if patience.is_over(Sent(record.modified, 1)) and (sent is None or patience.is_over(sent)):
            found[key] = max(record.modified, sent.at if sent else record.modified)
    return found


def _waits(record: BlobInfo, before: datetime) -> bool:
    """Somebody works on it, or an operator does, or its next attempt is due later and a hidden message exists for it.

    `before` leaves time for the loss of that message.
    """
    due_at = records.due_at(record.metadata)
    return record.leased or "held" in record.metadata or (due_at is not None and due_at > before)


@dataclass(frozen=True)
class _Healer:
    """Looks again, closely, and sends."""

    dispatcher: Dispatcher
    view: View
    before: datetime
    now: datetime

    def heal(self, item: _Lost) -> bool:
        """Whether a message was sent."""
        state = self.dispatcher.containers.state
        record = find(state, record_of_key(item.key))  # again: the listing may be a minute old. None: never begun
        if record is not None and _waits(record, self.before):
            return False
        if item.scene and self._batch(item.scene):
            return True
        return record is not None and activity.is_active(record.metadata) and self._record(item.key, record)

    def _batch(self, scene: str) -> bool:
        present = set[InputBlob](snapshot(self.view.scenes[scene]))
        stored = batches.read_all(self.dispatcher.containers.state, self.view.sent_batches(scene))
        sent = [item for item in stored if item.batch.queued_at and not present.isdisjoint(item.batch.blobs)]
        if not sent or any(item.batch.queued_at and item.batch.queued_at > self.before for item in sent):
            return False
        if self.dispatcher.put_away_known(scene, self.view.scenes[scene]) or not self.dispatcher.send(
            sent[-1], self.now
        ):
            return False
        log.warning("scene %s: its message was lost; sent again", scene, extra={"scene": scene})
        return True

    def _record(self, key: str, info: BlobInfo) -> bool:
        state = self.dispatcher.containers.state
        stored = records.read(state, info.name)
        if stored is None or not records.is_active(stored):  # one without metadata, of the first program
            return False
        record = stored.record
        marker = self.view.active.get(key)
        before = activity.sent(marker.metadata) if marker else None
        self.dispatcher.queues.jobs.send(JobMessage(record.scene, record.batch, self.now).to_json())
        activity.mark(state, record.scene, Sent(self.now, before.times + 1 if before else 2))  # after it: twice is safe
        text = "scene %s: %s, and nobody works on it; sent again"
        log.warning(text, record.scene, record.phase, extra={"scene": record.scene, "run": record.run})
        return True


def remove_markers(
    dispatcher: Dispatcher, view: View, heads: Mapping[str, BlobInfo | None], now: datetime, crew: Crew
) -> int:
    """Removes markers of scenes that are idle; returns how many. Their runner was killed after its last write.

    The version that was listed before the record was looked at: whoever makes the scene active now writes another.
    """
    state = dispatcher.containers.state

    def remove(marker: BlobInfo) -> bool:
        try:
            state.delete(marker.name, if_match=marker.etag)
        except (NotFound, Conflict):
            return False
        return True

    idle = [
        marker
        for key, marker in view.active.items()
        if key in heads and marker.modified < now - KEEP_MARKER and _is_idle(heads[key])
    ]
    return sum(crew.each(remove, idle).results)


def _is_idle(record: BlobInfo | None) -> bool:
    return record is None or not (record.leased or activity.is_active(record.metadata))
