"""The sweep heals what events, messages and executions lost: it compares what lies there with what should happen.

Runs by timer, from a quiet-time check when the timer seems frozen, and by hand (`python -m function_app sweep`).
"""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta

from function_app import batches, debounce
from function_app.debounce import Settled
from function_app.dispatcher import Dispatcher, Sealing
from scenejobs.errors import Conflict, NotFound, StorageError
from scenejobs.layout import SWEEP_RECORD, WORK_FOLDER, record_name, record_of_work
from scenejobs.listing import snapshot, sort_uploads
from scenejobs.model import DebounceCheck, JobMessage, Phase, SceneRecord
from scenejobs.names import refusal, scene_key
from scenejobs.ports import BlobInfo, BlobStore

log = logging.getLogger(__name__)

KEEP_BATCHES = timedelta(days=1)  # of scenes whose uploads are gone; no late event can name them again: ETags differ
KEEP_WORK = timedelta(days=7)  # of an attempt that was interrupted, when its uploads are gone
PROBE_LEASE_S = 15  # the shortest a lease may be; given back at once


@dataclass(frozen=True)
class SweepReport:
    """What one sweep saw and did."""

    scenes: int = 0  # with uploads
    sealed: int = 0  # complete scenes no event had told about
    resent: int = 0  # batches whose message was never known to be sent
    requeued: int = 0  # scenes whose message was lost on the way
    refused: int = 0  # uploads with a name that cannot be used, seen for the first time
    tidied: int = 0  # old batches, and saved work that nobody goes on with, removed
    started: int = 0  # executions


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
            if now - _swept_at(data) < due:
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
            report, failed = self._heal(dispatcher.containers.input.now())
            self._state.write(SWEEP_RECORD, _encode(self._state.now(), report))
        finally:
            try:
                report = replace(report, started=dispatcher.starter.ensure_started())
            finally:
                log.info("sweep: %s", json.dumps(asdict(report)))
        if failed:
            raise failed[0]
        return report

    def _heal(self, now: datetime) -> tuple[SweepReport, list[StorageError]]:
        dispatcher = self.dispatcher
        uploads = sort_uploads(dispatcher.containers.input.list(), dispatcher.settings.prefix_depth)
        refused = [dispatcher.record_refused(item.name, item.reason, now) for item in uploads.refused]
        sealings, failed = list[Sealing | None](), list[StorageError]()
        for scene, blobs in uploads.scenes.items():
            try:
                sealings.append(self._seal_if_settled(scene, blobs, now))
            except StorageError as exc:
                log.error("scene %s could not be looked at: %s", scene, exc)
                failed.append(exc)
        report = SweepReport(
            scenes=len(uploads.scenes),
            sealed=sealings.count(Sealing.CREATED),
            resent=sealings.count(Sealing.RESENT),
            requeued=self._requeue_lost(uploads.scenes, now),
            refused=sum(refused),
            tidied=self._tidy(uploads.scenes, now) + self._tidy_work(uploads.scenes, now),
        )
        return report, failed

    def _seal_if_settled(self, scene: str, blobs: tuple[BlobInfo, ...], now: datetime) -> Sealing | None:
        dispatcher = self.dispatcher
        waiting = dispatcher.waiting(scene, blobs)
        decision = debounce.decide(DebounceCheck(scene, "", now), waiting, now, dispatcher.settings)
        if isinstance(decision, Settled):
            return dispatcher.seal(scene, blobs, now, f"sweep: {decision.why}")
        return None

    def _requeue_lost(self, scenes: dict[str, tuple[BlobInfo, ...]], now: datetime) -> int:
        """Sends the messages again that nothing points at any more.

        While a message is visible, the queue tells nothing about lost ones, and runners are busy with it anyhow. A
        message too many is harmless: its runner finds the scene leased, or nothing to do.
        """
        if self.dispatcher.queues.jobs.waiting() > 0:
            return 0
        before = now - timedelta(seconds=self.dispatcher.settings.requeue_after_s)
        sent = {scene for scene, blobs in scenes.items() if self._requeue_batch(scene, blobs, before, now)}
        for info in self._state.list("scenes/"):
            if info.metadata.get("phase") != Phase.IDLE and info.modified <= before and self._is_free(info.name):
                sent |= self._requeue_record(info.name, sent, now)
        return len(sent)

    def _requeue_batch(self, scene: str, blobs: tuple[BlobInfo, ...], before: datetime, now: datetime) -> bool:
        present = set(snapshot(blobs))
        queued = [
            (stored.batch.queued_at, stored)
            for stored in batches.of_scene(self._state, scene)
            if stored.batch.queued_at is not None and present.intersection(stored.batch.blobs)
        ]
        if not queued or any(queued_at > before for queued_at, _ in queued) or not self._is_free(record_name(scene)):
            return False
        self.dispatcher.send(queued[-1][1], now)
        log.warning("scene %s: its message was lost; sent again", scene)
        return True

    def _requeue_record(self, name: str, done: set[str], now: datetime) -> set[str]:
        """A scene whose attempt, publishing or archiving stopped in the middle."""
        try:
            record = SceneRecord.from_json(json.loads(self._state.read(name)[0]))
        except ValueError as exc:  # one damaged record must not keep the others from healing
            log.error("the record %s cannot be read: %s", name, exc)
            return set()
        if record.phase is Phase.IDLE or record.scene in done:
            return set()
        self.dispatcher.queues.jobs.send(JobMessage(record.scene, record.batch, now).to_json())
        log.warning("scene %s: %s, and nobody works on it; sent again", record.scene, record.phase)
        return {record.scene}

    def _is_free(self, name: str) -> bool:
        """Nobody holds the lease of a scene's record. (A scene without a record was never begun.)"""
        try:
            self._state.lease(name, PROBE_LEASE_S).release()
        except NotFound:
            return True
        except Conflict:
            return False
        return True

    def _tidy(self, scenes: dict[str, tuple[BlobInfo, ...]], now: datetime) -> int:
        """Removes batches of scenes without uploads, so that a sweep stays as cheap as what lies in the input."""
        keys = {scene_key(scene) for scene in scenes}
        old = [
            info
            for info in self._state.list(batches.FOLDER)
            if info.modified < now - KEEP_BATCHES and info.name.split("/")[1] not in keys
        ]
        return sum(_deleted(self._state, info) for info in old)

    def _tidy_work(self, scenes: dict[str, tuple[BlobInfo, ...]], now: datetime) -> int:
        """Removes what runners saved of their work where no further attempt will look for it.

        Listed before the records are read: what an attempt saves meanwhile is newer than the list, and has other names.
        """
        keys = {scene_key(scene) for scene in scenes}
        saved = [info for info in self._state.list(WORK_FOLDER) if refusal(info.name) is None]
        wanted = {name: self._is_gone_on_with(name) for name in {record_of_work(info.name) for info in saved}}
        old = [
            info
            for info in saved
            if not wanted[record_of_work(info.name)]
            or (info.modified < now - KEEP_WORK and info.name.split("/")[1] not in keys)
        ]
        old.sort(key=lambda info: not info.name.endswith(".json"))  # the pointer first: none points at what is gone
        return sum(_deleted(self._state, info) for info in old)

    def _is_gone_on_with(self, record_name: str) -> bool:
        """Whether the record speaks of a generation that was begun and is not ended."""
        try:
            record = SceneRecord.from_json(json.loads(self._state.read(record_name)[0]))
        except NotFound:
            return False
        except ValueError:  # of another version or damaged: whoever can read it decides
            return True
        if record.phase in (Phase.COMMITTED, Phase.FAILING):
            return False
        return record.phase is Phase.RUNNING or bool(record.attempts or record.preemptions or record.failures)

    @property
    def _state(self) -> BlobStore:
        return self.dispatcher.containers.state


def _deleted(state: BlobStore, info: BlobInfo) -> bool:
    try:
        state.delete(info.name, if_match=info.etag)
    except (NotFound, Conflict):  # another sweep was faster, or the scene came back
        return False
    return True


def _encode(now: datetime, report: SweepReport) -> bytes:
    return json.dumps({"swept_at": now.isoformat(), **asdict(report)}).encode()


def _swept_at(data: bytes) -> datetime:
    return datetime.fromisoformat(json.loads(data)["swept_at"])
