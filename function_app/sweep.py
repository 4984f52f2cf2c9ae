"""The sweep heals what events, messages and executions lost: it compares what lies there with what should happen.

Runs by timer, from a quiet-time check when the timer seems frozen, and by hand (`python -m function_app sweep`).
"""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta

from function_app.debounce import Nothing, Settled
from function_app.dispatcher import Dispatcher, Sealing
from scenejobs.errors import Conflict, NotFound, StorageError
from scenejobs.names import is_companion, refusal, scene_key
from scenejobs.ports import BlobInfo, BlobStore
from scenejobs.state import batches, codec, records, usage
from scenejobs.state.batches import ListedBatch
from scenejobs.state.blobs import digest
from scenejobs.state.layout import (
    PARTS,
    RECORDS,
    RESUME_FOLDER,
    SWEEP_RECORD,
    USAGE,
    part_in,
    record_name,
    record_of_resume,
)
from scenejobs.state.messages import DebounceCheck, JobMessage
from scenejobs.state.record import Phase
from scenejobs.state.sending import Memories
from scenejobs.state.uploads import Sending, snapshot, sort_uploads

log = logging.getLogger(__name__)

KEEP_UNUSED = timedelta(days=1)  # batches of uploads that are gone: no late event can name them again, ETags differ
WATCHED = 50  # scenes whose uploads in progress are looked at by one sweep
KEEP_WORK = timedelta(days=7)  # of an attempt that was interrupted, when its uploads are gone


@dataclass(frozen=True)
class SweepReport:
    """What one sweep saw and did."""

    scenes: int = 0  # with uploads
    sealed: int = 0  # complete scenes without an event
    resent: int = 0  # batches whose message was never known to be sent
    requeued: int = 0  # scenes whose message was lost on the way
    refused: int = 0  # uploads with a name that cannot be used, seen for the first time
    tidied: int = 0  # blobs removed that nobody can need any more
    started: int = 0  # executions
    held_back: str = ""  # why waiting work is not started
    # age of the oldest finished uploads that nobody works on; an alert watches it (infra/modules/alerts.bicep)
    oldest_s: int = field(default=0, compare=False)


@dataclass(frozen=True)
class _View:
    """What one look at the containers showed. A sweep lists each place once, however many scenes there are."""

    scenes: dict[str, tuple[BlobInfo, ...]]  # uploads
    batches: dict[str, list[ListedBatch]]  # by scene key
    records: dict[str, BlobInfo]  # by blob name
    sending: dict[str, tuple[Sending, ...]]  # by scene
    memories: Memories  # of uploads in progress
    open: set[str] = field(default_factory=set)  # scenes with uploads in no batch, as they turn out

    def due_at_once(self, scene: str, now: datetime) -> datetime | None:
        """Now, for a scene that has no record; None where its record has to be asked."""
        return None if record_name(scene) in self.records else now

    def batches_of(self, scene: str) -> list[ListedBatch]:
        return self.batches.get(scene_key(scene), [])


@dataclass(frozen=True)
class Sweeper:
    """See the module."""

    dispatcher: Dispatcher

    def sweep_if_due(self) -> SweepReport | None:
        """Sweeps when the last sweep is too long ago. Timers of a function app are known to freeze for days."""
        state, now = self._state, self._state.now()
        due = timedelta(seconds=self.dispatcher.settings.sweep_interval_s)
        try:
            data, etag = state.read(SWEEP_RECORD)
            swept_at = _swept_at(data)
            if swept_at is not None and abs(now - swept_at) < due:  # not one of a clock that was far ahead
                return None
            state.write(SWEEP_RECORD, _encode(now, SweepReport()), if_match=etag)
        except NotFound:
            try:
                state.write(SWEEP_RECORD, _encode(now, SweepReport()), if_absent=True)
            except Conflict:
                return None
        except Conflict:  # another instance sweeps at this moment
            return None
        return self.sweep()

    def sweep(self) -> SweepReport:
        """One pass. What fails for one scene does not keep the others from healing, nor executions from being started.

        Raises afterwards what failed: StorageError; ComputeError and AccessDenied of the start of executions.
        """
        dispatcher = self.dispatcher
        report, failed = SweepReport(), list[StorageError]()
        try:
            now = dispatcher.containers.input.now()
            report, failed = self._heal(now)
            self._state.write(SWEEP_RECORD, _encode(now, report))
        finally:
            try:
                report = replace(report, started=dispatcher.starter.ensure_started())
                if dispatcher.queues.jobs.waiting() > 0:
                    report = replace(report, held_back=dispatcher.starter.load().held_back(self._state.now()))
            finally:
                log.info("sweep: %s", json.dumps(asdict(report)))
        if failed:
            raise failed[0]
        return report

    def _heal(self, now: datetime) -> tuple[SweepReport, list[StorageError]]:
        dispatcher = self.dispatcher
        listing = dispatcher.containers.input.list_all()
        uploads = sort_uploads(listing.blobs, dispatcher.settings.prefix_depth, listing.sending)
        view = _View(
            uploads.scenes,
            batches.by_key(batches.listed(self._state)),
            {info.name: info for info in self._state.list(RECORDS)},
            uploads.sending,
            Memories(self._state),
        )
        refused = [dispatcher.record_refused(item.name, item.reason, now) for item in uploads.refused]
        sealings, failed = list[Sealing | None](), list[StorageError]()
        for scene, blobs in uploads.scenes.items():
            try:
                sealings.append(self._seal_if_settled(scene, blobs, view, now))
            except StorageError as exc:
                log.error("scene %s could not be looked at: %s", scene, exc)
                failed.append(exc)
        self._watch_sending(view, now)
        report = SweepReport(
            scenes=len(uploads.scenes),
            sealed=sealings.count(Sealing.CREATED),
            resent=sealings.count(Sealing.RESENT),
            requeued=self._requeue_lost(view, now),
            refused=sum(refused),
            tidied=sum(_deleted(self._state, info) for info in self._old(view, now)),
            oldest_s=_oldest_s(view, now),
        )
        return report, failed

    def _seal_if_settled(self, scene: str, blobs: tuple[BlobInfo, ...], view: _View, now: datetime) -> Sealing | None:
        dispatcher = self.dispatcher
        waiting = batches.unsealed(self._state, blobs, view.batches_of(scene))
        sent, check = view.sending.get(scene, ()), DebounceCheck(scene, "", now)
        judged = dispatcher.judge.judge(check, waiting, sent, now, memories=view.memories)
        if not isinstance(judged.decision, Nothing):
            view.open.add(scene)
        if isinstance(judged.decision, Settled):
            whole, why = judged.whole(blobs), f"sweep: {judged.decision.why}"
            return dispatcher.seal(scene, whole, now, why, due_at=view.due_at_once(scene, now))
        return None

    def _watch_sending(self, view: _View, now: datetime) -> None:
        """So that it is known which uploads have stalled when it matters: before their scene is complete."""
        watched = 0
        for scene, sent in view.sending.items():
            if watched < WATCHED and scene not in view.open:
                try:
                    watched += self.dispatcher.judge.watch(scene, sent, now, view.memories)
                except StorageError as exc:  # the next sweep looks again
                    log.error("scene %s: what is being sent into it could not be looked at: %s", scene, exc)
                    watched += 1

    def _requeue_lost(self, view: _View, now: datetime) -> int:
        """Sends messages again for work that no message points at any more.

        While a message is visible, nothing can be known of lost ones, and runners are busy with it anyhow. A
        message too many is harmless: its runner finds the scene leased, or nothing to do.
        """
        if self.dispatcher.queues.jobs.waiting() > 0:
            return 0
        before = now - timedelta(seconds=self.dispatcher.settings.requeue_after_s)
        sent = {scene for scene in view.scenes if self._requeue_batch(scene, view, before, now)}
        for info in view.records.values():
            stopped = info.metadata.get("phase") != Phase.IDLE and info.modified <= before and not info.leased
            if stopped and not _is_postponed(info, before):  # a hidden message of a blocked scene exists
                sent |= self._requeue_record(info.name, sent, now)
        return len(sent)

    def _requeue_batch(self, scene: str, view: _View, before: datetime, now: datetime) -> bool:
        present, found = snapshot(view.scenes[scene]), view.batches_of(scene)
        if all(is_companion(blob.name) for blob in present):  # its videos are gone: it waits for new ones
            return False
        whole = digest(present)
        if not found or any(item.queued_at and item.queued_at > before for item in found if item.digest == whole):
            return False
        record = view.records.get(record_name(scene))
        if record is not None and (record.leased or _is_postponed(record, before)):
            return False
        queued = [
            (stored.batch.queued_at, stored)
            for stored in batches.read_all(self._state, found)
            if stored.batch.queued_at is not None and not set(present).isdisjoint(stored.batch.blobs)
        ]
        if not queued or any(queued_at > before for queued_at, _ in queued) or self._is_leased(record_name(scene)):
            return False
        self.dispatcher.send(queued[-1][1], now)
        log.warning("scene %s: its message was lost; sent again", scene)
        return True

    def _requeue_record(self, name: str, done: set[str], now: datetime) -> set[str]:
        """A scene whose attempt, publishing or archiving stopped in the middle."""
        try:
            stored = records.read(self._state, name)
        except StorageError as exc:  # one damaged record must not keep the others from healing
            log.error("the record %s cannot be read: %s", name, exc)
            return set()
        if stored is None or stored.record.phase is Phase.IDLE or stored.record.scene in done or self._is_leased(name):
            return set()
        record = stored.record
        self.dispatcher.queues.jobs.send(JobMessage(record.scene, record.batch, now).to_json())
        log.warning("scene %s: %s, and nobody works on it; sent again", record.scene, record.phase)
        return {record.scene}

    def _is_leased(self, name: str) -> bool:
        """Looked at again: the listing may be a minute old. (A scene without a record was never begun.)"""
        try:
            return self._state.head(name).leased
        except NotFound:
            return False

    def _old(self, view: _View, now: datetime) -> list[BlobInfo]:
        """Blobs that nothing needs any more; removing them keeps the cost of a sweep to what the input container holds.

        Batches of scenes without uploads, parts that no record names, last month's usage, and resume points.
        """
        keys = {scene_key(scene) for scene in view.scenes}
        named = {part for info in view.records.values() for part in records.parts_in(info.metadata)}
        unused = [item.info for key, found in view.batches.items() if key not in keys for item in found]
        forgotten = view.memories.of_others({*view.scenes, *view.sending})
        unused += [info for info in self._state.list(PARTS) if part_in(info.name) not in named]
        old_usage = [info for info in self._state.list(USAGE) if usage.is_old(info, now)]
        old = [info for info in unused if info.modified < now - KEEP_UNUSED]
        return old + forgotten + old_usage + self._old_work(view, now)

    def _old_work(self, view: _View, now: datetime) -> list[BlobInfo]:
        """Saved work that no further attempt will resume from.

        Listed before the records are read: what an attempt saves meanwhile is newer than the list, and has other names.
        """
        keys = {scene_key(scene) for scene in view.scenes}
        saved = [info for info in self._state.list(RESUME_FOLDER) if refusal(info.name) is None]
        wanted = {name: self._is_unfinished(name) for name in {record_of_resume(info.name) for info in saved}}
        old = [
            info
            for info in saved
            if not wanted[record_of_resume(info.name)]
            or (info.modified < now - KEEP_WORK and info.name.split("/")[1] not in keys)
        ]
        return sorted(old, key=lambda info: not info.name.endswith(".json"))  # the pointers first

    def _is_unfinished(self, name: str) -> bool:
        """Whether the record holds a generation that was begun and has not ended."""
        try:
            stored = records.read(self._state, name)
        except StorageError:  # of another version, or damaged: a program that can read it decides
            return True
        if stored is None or stored.record.phase in (Phase.COMMITTED, Phase.FAILING):
            return False
        record = stored.record
        return record.phase is Phase.RUNNING or bool(record.attempts or record.preemptions or record.failures)

    @property
    def _state(self) -> BlobStore:
        return self.dispatcher.containers.state


def _is_postponed(record: BlobInfo, until: datetime) -> bool:
    """Its next attempt is due later, and a hidden message exists for it; `until` leaves time for its loss."""
    due_at = records.due_at(record.metadata)
    return due_at is not None and due_at > until


def _oldest_s(view: _View, now: datetime) -> int:
    """How long the longest waiting scene has waited since its uploads were sealed. A leased record: it is in work."""
    idle = [scene for scene in view.scenes if not _is_leased_in(view, scene)]
    queued = [
        item.queued_at
        for scene in idle
        for item in view.batches_of(scene)
        if item.queued_at is not None and item.digest == digest(snapshot(view.scenes[scene]))
    ]
    return round((now - min(queued, default=now)).total_seconds())


def _is_leased_in(view: _View, scene: str) -> bool:
    record = view.records.get(record_name(scene))
    return record is not None and record.leased


def _deleted(state: BlobStore, info: BlobInfo) -> bool:
    try:
        state.delete(info.name, if_match=info.etag)
    except (NotFound, Conflict):  # another sweep was faster, or the scene came back
        return False
    return True


def _encode(now: datetime, report: SweepReport) -> bytes:
    return json.dumps({"swept_at": now.isoformat(), **asdict(report)}).encode()


def _swept_at(data: bytes) -> datetime | None:
    """None where it cannot be told: then it is time."""
    try:
        return codec.parse_time(str(codec.loads(data)["swept_at"]))
    except (ValueError, KeyError, TypeError):
        return None
