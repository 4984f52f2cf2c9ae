"""From upload events to job messages. Events are hints; the listing of the input container is the truth."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from function_app import debounce, known_uploads
from function_app.debounce import CLOCK_GRAIN_S, Nothing, NotYet, Settled, Superseded
from function_app.in_progress import Judge, seen_sizes
from function_app.starter import Starter
from scenejobs.errors import Conflict, UnreadableMessage, UnreadableRecord
from scenejobs.estimate import fit
from scenejobs.logs.alerts import Alert, log_alert
from scenejobs.logs.setup import context
from scenejobs.names import is_ready_marker, refusal, scene_of
from scenejobs.ports import BlobInfo, Containers, Queues
from scenejobs.settings.groups import DispatchSettings
from scenejobs.state import cancelling, records
from scenejobs.state.blobs import InputBlob
from scenejobs.state.copies import find
from scenejobs.state.incoming import batches, checks, undeleted
from scenejobs.state.incoming.uploads import look_at, refusal_at, snapshot
from scenejobs.state.layout import record_name, refused_name
from scenejobs.state.messages import DebounceCheck, JobMessage
from scenejobs.state.notices import outbox
from scenejobs.state.record import Phase

log = logging.getLogger(__name__)

SEND_TIMEOUT = timedelta(minutes=2)  # so long a batch without stamp belongs to the instance that created it


class Sealing(StrEnum):
    """The result of sealing a set of uploads."""

    CREATED = "created"  # a new batch; its message is sent
    RESENT = "resent"  # whoever created the batch died before noting that the message was sent: sent again
    KNOWN = "known"  # the same set was queued before
    PENDING = "pending"  # somebody is creating it at this moment
    IN_WORK = "in work"  # a runner has the scene; when it lets go, it asks for a check
    BLOCKED = "blocked"  # the scene's record cannot be read, or no execution can hold it: nothing is sent
    NO_NEWS = "no news"  # all of it is part of the scene's result already: archived, and nothing is started


@dataclass(frozen=True)
class Dispatcher:
    """What the triggers call. Every operation is idempotent, and may be interrupted after any line."""

    containers: Containers
    queues: Queues
    settings: DispatchSettings
    starter: Starter
    tells: bool = False  # somebody is told about scenes (scenejobs/state/notices)

    def on_upload(self, name: str, now: datetime, *, ended: bool = True) -> None:
        """Handles an upload event: the scene is checked after the quiet time. Lists nothing.

        ended: False for the event of an upload that has begun, or goes on.
        """
        reason = refusal_at(name, self.settings.prefix_depth)
        if reason:
            self.record_refused(name, reason, now)
            return
        ready = is_ready_marker(name)
        check = DebounceCheck(scene_of(name, self.settings.prefix_depth), name, now, ready, ended)
        self._check_later(check, 0 if ready else self.settings.quiet_s + CLOCK_GRAIN_S)

    def on_folder(self, name: str, now: datetime) -> None:
        """Handles the event of a folder that was renamed: all that lies in it was uploaded. Lists nothing."""
        segments, depth = name.split("/"), self.settings.prefix_depth
        scene = "/".join(segments[:depth])
        if len(segments) < depth or refusal(scene):  # it holds scenes, or what no scene can be: the sweep lists them
            return
        self._check_later(DebounceCheck(scene, "", now), self.settings.quiet_s + CLOCK_GRAIN_S)

    def _check_later(self, check: DebounceCheck, delay_s: float) -> None:
        """Sends a check. It takes the place of those that are on their way: they end without a listing."""
        self.queues.debounce.send(check.to_json(), delay_s=delay_s)
        if not check.ready:  # an end marker asks for a look at once, and is in no other's place
            checks.note(self.containers.state, check)

    @property
    def judge(self) -> Judge:
        return Judge(self.containers.input, self.containers.state, self.settings)

    def record_refused(self, name: str, reason: str, now: datetime) -> bool:
        """Notes an upload that cannot be used, once: nothing is ignored silently. False when it was noted before."""
        body = {"name": name, "reason": reason, "seen_at": now.isoformat()}
        try:
            self.containers.state.write(refused_name(name), json.dumps(body).encode(), if_absent=True)
        except Conflict:
            return False
        log.warning("upload refused: %s: %r", reason, name)
        return True

    def on_quiet(self, check: DebounceCheck, *, redelivered: bool = False, traceparent: str = "") -> bool:
        """Checks a scene; False when a later check will.

        Raises UnreadableMessage, StorageError, and ComputeError/AccessDenied from the start.
        """
        reason = refusal(check.scene)
        if reason:
            raise UnreadableMessage(f"no scene can be called {check.scene!r}: {reason}")
        with context(job_id=check.scene):
            return self._look(check, redelivered, traceparent)

    def _look(self, check: DebounceCheck, redelivered: bool, traceparent: str) -> bool:
        stands = checks.standing(self.containers.state, check.scene)
        if stands is not None and check.blob and not check.ready:  # without an upload: somebody asks for a look
            if not stands.is_for(check) and not stands.waits_too_long(self.settings.max_wait_s):
                log.info("scene %s: a later check will look at it", check.scene)
                if redelivered:
                    self.starter.ensure_started()
                return False
            checks.take(self.containers.state, check.scene, stands)
        noted = cancelling.load(self.containers.state, check.scene)  # before the listing
        seen = look_at(self.containers.input, check.scene, self.settings.prefix_depth)
        wanted = undeleted.without(self.containers.state, check.scene, seen.blobs)
        found = replace(seen, blobs=cancelling.left(self.containers.state, noted, wanted))
        now, waiting = self.containers.input.now(), self.waiting(check.scene, found.blobs)
        judged = self.judge.judge(check, waiting, found.sending, now)
        log.info("scene %s: %s", check.scene, judged.decision)
        # The first delivery may have sealed the scene and failed to start an execution. A runner that asks may be about
        # to end and leave work behind.
        start = redelivered or not check.blob
        match judged.decision:
            case Nothing() if not check.blob:
                self.send_wish(check.scene, now, traceparent)
            case Nothing():
                pass
            case NotYet() | Superseded() as later:  # superseded: by an upload whose event found this check on its way
                delay_s = later.delay_s if isinstance(later, NotYet) else debounce.rest_s(waiting, now, self.settings)
                again = replace(check, sizes=seen_sizes(waiting), seen_at=now)
                self.queues.debounce.send(again.to_json(), delay_s=delay_s)
                checks.note(self.containers.state, again, where_none=True)
            case Settled(why):
                blobs = judged.whole(found.blobs)
                sealing = self.seal(check.scene, blobs, now, why, traceparent)
                if sealing is Sealing.NO_NEWS:
                    start = self.send_wish(check.scene, now, traceparent)
                elif sealing is Sealing.PENDING:
                    self.queues.debounce.send(check.to_json(), delay_s=SEND_TIMEOUT.total_seconds() + CLOCK_GRAIN_S)
                else:
                    start = True
        if start:
            self.starter.ensure_started()
        return True

    def send_wish(self, scene: str, now: datetime, traceparent: str = "") -> bool:
        """Sends a message for a run that somebody wished for (scenejobs/state/wishes.py). False: nobody does."""
        info = find(self.containers.state, record_name(scene))
        if info is None or "wish" not in info.metadata or info.metadata.get("phase") != Phase.IDLE or info.leased:
            return False
        if cancelling.is_noted(self.containers.state, scene):
            cancelling.settle(self.containers.state, scene)
            return False
        self._open_outbox(scene, now)
        self.queues.jobs.send(JobMessage(scene, "", now, traceparent).to_json())
        return True

    def _open_outbox(self, scene: str, now: datetime, *, refused: bool = False) -> None:
        """Before the message: from then on whatever happens to the scene is told. refused: there is no message."""
        if self.tells:
            outbox.opened(self.containers.state, scene, now, refused=refused)

    def waiting(self, scene: str, blobs: tuple[BlobInfo, ...]) -> list[BlobInfo]:
        """Those of a scene's uploads that are in no queued batch yet."""
        if not blobs:
            return []
        state = self.containers.state
        return batches.unsealed(state, blobs, batches.listed(state, scene))

    def seal(
        self,
        scene: str,
        blobs: tuple[BlobInfo, ...],
        now: datetime,
        why: str,
        traceparent: str = "",
    ) -> Sealing:
        """Turns a set of uploads into one job: the batch, then its message, then the stamp.

        Not while a runner has the scene: an execution would be started in vain. Where it is gone without a word, a
        sweep seals.
        """
        state, due_at = self.containers.state, None
        with suppress(UnreadableRecord):  # `send` tells
            record = records.load(state, scene)
            if record and known_uploads.put_away(self.containers, record, blobs, self.settings.prefix_depth):
                return Sealing.NO_NEWS
            if record and record.record.phase is not Phase.IDLE and state.head(record_name(scene)).leased:
                return Sealing.IN_WORK
            due_at = (record.record.not_before if record else None) or now
        entries = snapshot(blobs)
        unfit = self.unfit(scene, entries)
        batch = batches.Batch(scene, entries, sealed_at=now, why=why, traceparent=traceparent, unfit=unfit)
        sealing = Sealing.CREATED
        stored = batches.create(state, batch)
        if stored is None:
            sealing, stored = Sealing.RESENT, batches.load(state, scene, batch.digest)
            if stored is None:
                return Sealing.PENDING
            if stored.batch.queued_at is not None:
                return Sealing.KNOWN
            if now - stored.batch.sealed_at < SEND_TIMEOUT:
                return Sealing.PENDING
        if not self.send(stored, now, due_at):
            return Sealing.BLOCKED
        log.info("scene %s: batch %s of %d uploads %s (%s)", scene, batch.digest, len(blobs), sealing, why)
        return sealing

    def unfit(self, scene: str, blobs: Sequence[InputBlob]) -> str:
        """Why no execution can hold such uploads; "" where one can, as far as it is known."""
        settings, size_bytes = self.settings, sum(blob.size_bytes for blob in blobs)
        return fit.why_not(scene, size_bytes, settings.job_disk_gb, settings.min_free_gb)

    def put_away_known(self, scene: str, blobs: tuple[BlobInfo, ...]) -> bool:
        """Archives a scene's uploads where none of them is news, as `seal` does. False: there is something to run."""
        with suppress(UnreadableRecord):
            record = records.load(self.containers.state, scene)
            return record is not None and known_uploads.put_away(
                self.containers, record, blobs, self.settings.prefix_depth
            )
        return False

    def send(self, stored: batches.StoredBatch, now: datetime, due_at: datetime | None = None) -> bool:
        """Sends a batch's message and stamps the batch. False when no runner could read the scene's record, or no
        execution could hold its uploads, or its user has just cancelled it.

        due_at: before when the scene must not be run; until then the message is hidden, for an execution would look at
        it in vain. None: not known here.
        """
        batch = stored.batch
        if cancelling.is_noted(self.containers.state, batch.scene):
            return False
        if why := self.unfit(batch.scene, batch.blobs):  # a GPU would be paid to find it out
            log_alert(log, Alert.BLOCKED, f"scene {batch.scene} is sealed, and nothing is started for it: {why}",
                      scene=batch.scene)  # fmt: skip
            self._open_outbox(batch.scene, now, refused=True)
            return False
        self._open_outbox(batch.scene, now)
        if due_at is None:
            try:
                record = records.load(self.containers.state, batch.scene)
            except UnreadableRecord as exc:  # an execution would end with the same words
                log.error("scene %s is sealed, and nothing is started for it: %s", batch.scene, exc,
                          extra={"scene": batch.scene})  # fmt: skip
                return False
            due_at = record.record.not_before if record else None
        message = JobMessage(batch.scene, batch.digest, now, batch.traceparent)
        delay_s = ((due_at or now) - now).total_seconds()
        self.queues.jobs.send(message.to_json(), delay_s=max(0.0, delay_s))
        batches.stamp(self.containers.state, stored, now)
        return True
