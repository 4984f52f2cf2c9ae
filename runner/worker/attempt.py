"""One scene, advanced by the holder of its lease. `decisions.py` says what to do; here it is done.

    advance        what the record and the listing ask for: nothing, later, another attempt, or only the rest of an end
    attempt        download -> job in a child process -> commit (run.py)
    after it       a failure becomes a record: given back, retried or given up; a decided scene rolls forward
    called off     at any time before the commit (called_off.py): the record is idle, and asks for nothing

Before the commit everything is invisible and may be repeated; after it there is only forward (`commit.py`). Killed
after any line, the next runner ends in the same state.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping
from datetime import datetime
from functools import partial
from pathlib import Path

from runner.job import run_log
from runner.job.workspace import job_folder
from runner.worker import first_look
from runner.worker.called_off import CalledOff
from runner.worker.context import WorkerContext
from runner.worker.decisions import (
    Attempt,
    GiveBack,
    GiveUp,
    NothingToDo,
    NotNow,
    Retry,
    RollForward,
    TooEarly,
    after_block,
    after_failure,
    before_another_try,
    next_step,
)
from runner.worker.ending.commit import Decided, roll_forward
from runner.worker.fate import Acknowledge, NothingNew, Requeue
from runner.worker.lease import RecordLease
from runner.worker.leftovers import forget_note, remove_progress, remove_run, remove_spent_batches
from runner.worker.run import Run
from scenejobs.errors import (
    Code,
    ConfigurationError,
    InputError,
    Interrupted,
    LeaseLost,
    SceneJobError,
    StorageError,
    UploadsChanged,
)
from scenejobs.logs import setup
from scenejobs.logs.alerts import Alert, log_alert
from scenejobs.ports import BlobInfo
from scenejobs.state import cancelling, contents, records
from scenejobs.state.blobs import InputBlob, Member
from scenejobs.state.incoming import duplicates, sending, undeleted
from scenejobs.state.incoming.uploads import list_scene, snapshot
from scenejobs.state.layout import RUN_LOG
from scenejobs.state.record import Phase, SceneRecord
from scenejobs.state.records import Stored

log = logging.getLogger(__name__)

CHANGED_S = 60.0  # its user replaces or deletes uploads at this moment


class SceneWork:
    """One scene under one lease, for one run."""

    def __init__(self, context: WorkerContext, scene: str, depth: int, run: str, lease: RecordLease) -> None:
        self._context = context
        self._scene = scene
        self._depth = depth
        self._run = run
        self._lease = lease
        self._uploaded_at: datetime | None = None  # the last of its uploads
        self._log_file = Path()  # of this run; set when there is a folder
        self._called_off = CalledOff(context.containers.state, scene, context.repeat)

    def advance(self) -> Acknowledge | Requeue:
        """Does what the record and the listing ask for.

        Raises LeaseLost (the message is neither acknowledged nor requeued), Interrupted and ConfigurationError (the
        attempt is given back), StorageError when the store failed before the attempt began, UnreadableRecord.
        """
        with job_folder(self._context.settings.workspace) as folder:
            self._log_file = folder / RUN_LOG
            with run_log.collected(self._log_file):
                return self._advance(folder)

    def _advance(self, folder: Path) -> Acknowledge | Requeue:
        stored = records.load(self._context.containers.state, self._scene)
        if stored is None:
            raise StorageError(f"the record of scene {self._scene} is gone", advice="it is made anew next time")
        settings = self._context.settings
        stored = dataclasses.replace(stored, record=contents.of_history(self._context.containers.state, stored.record))
        noted = cancelling.load(self._context.containers.state, self._scene)  # before the listing
        listed = self._listed()
        decided = stored.record.phase in (Phase.COMMITTED, Phase.FAILING)
        if noted is not None and not decided and noted.note.covers(listed):
            return self._call_off(stored, counts=True)  # where an attempt had begun its runner is gone
        inputs, stored = self._put_away_known(stored, snapshot(self._whole(listed)))
        archive = self._archive(stored.record, inputs)
        waits = stored.record.held or stored.record.phase in (Phase.COMMITTED, Phase.FAILING)
        # who waits for a day must not wait for the difference of two machines' clocks as well
        now = self._context.containers.state.now() if waits else self._context.now()
        step = next_step(
            stored.record,
            inputs,
            max_attempts=settings.max_attempts,
            run=self._run,
            now=now,
            max_runs_per_day=settings.max_scene_runs,
            choice=contents.choose(stored.record, inputs, archive, extend=self._extends),
        )
        match step:
            case NothingToDo(record):
                if record is not None:
                    stored = self._save(stored, record)
                records.unmark(self._context.containers.state, stored)
                return Acknowledge("nothing")
            case RollForward():
                return self._roll_forward(self._save(stored, before_another_try(stored.record, now)))
            case TooEarly(delay_s):
                return Requeue(delay_s)
            case NotNow(delay_s, alert, why, record):
                log_alert(log, alert, f"scene {self._scene}: {why}", scene=self._scene)
                if record is not None:
                    self._save(stored, record)
                return Requeue(delay_s)
            case GiveUp(record):
                cause = record.failures[-1].failure.cause
                log_alert(log, Alert.ATTEMPTS, f"scene {self._scene}: {cause}", scene=self._scene)
                given_up = self._save(stored, record)
                remove_run(self._context.containers.output, stored.record, self._before_commit)
                return self._roll_forward(given_up)
            case Attempt(record):
                if noted is not None:  # newer uploads have voided it; one that is there from now on is new
                    cancelling.remove(self._context.containers.state, noted)
                before, stored = stored.record, self._save(stored, record)
                remove_run(self._context.containers.output, before, self._before_commit)
        with setup.context(run_id=self._run):
            return self._begin(stored, folder, archive)

    def _begin(self, stored: Stored, folder: Path, archive: Mapping[str, BlobInfo]) -> Acknowledge | Requeue:
        """The attempt that the record tells of, and what follows from it."""
        record, settings = stored.record, self._context.settings
        files = f"{len(record.manifest)} uploads and {len(record.carried)} archived files"
        log.info("scene %s: attempt %d of %d, run %s, %s",
                 self._scene, record.attempts, settings.max_attempts, self._run, files)  # fmt: skip
        try:
            with self._called_off:
                attempt = self._attempt()
                prepared = attempt.prepare(record, folder, archive)
                if prepared.notify != record.notify:  # first: however the attempt ends, they are told of it
                    stored = self._save(stored, dataclasses.replace(record, notify=prepared.notify))
                committed = attempt.run(stored, prepared, folder)
        except LeaseLost:
            raise
        except NothingNew as exc:
            self._put_away(self._save(stored, record.nothing_new()), exc.known)
            return Acknowledge("nothing")
        except SceneJobError as exc:
            if self._called_off.is_set():
                called_off = self._call_off(stored, counts=False)
                self._context.stop.check("a scene was cancelled")
                return called_off
            return self._record_failure(stored, exc)
        return self._roll_forward(committed)

    def _call_off(self, stored: Stored, *, counts: bool) -> Acknowledge:
        """Its user wants no run. counts: an attempt that had begun counts as one."""
        record = stored.record.called_off(counts=counts)
        if record != stored.record:
            run = stored.record
            if run.phase is Phase.RUNNING:  # before the record: who is killed here does it again
                first_look.remove(self._context.containers.state, self._scene)
            stored = self._save(stored, record)
            if run.phase is Phase.RUNNING:
                remove_run(self._context.containers.output, run, self._lease.check)
                remove_progress(self._context.containers.state, self._scene)
        else:
            records.unmark(self._context.containers.state, stored)
        log.info("scene %s is cancelled: its uploads stay, and nothing is started for it", self._scene)
        return Acknowledge("cancelled")

    # ---- what the scene has already ---------------------------------------------------------------------------------

    @property
    def _extends(self) -> bool:
        return self._context.settings.late_uploads == "extend"

    def _archive(self, record: SceneRecord, inputs: tuple[InputBlob, ...]) -> dict[str, BlobInfo]:
        """What lies in the archive of the scene, where an attempt may ask for it."""
        decided = record.phase in (Phase.COMMITTED, Phase.FAILING)
        names = (blob.name for blob in inputs)
        if decided or (record.wish is None and not contents.asks_for_a_run(record, self._scene, names)):
            return {}
        return contents.archive_of(self._context.containers, record)

    def _put_away_known(self, stored: Stored, uploads: tuple[InputBlob, ...]) -> tuple[tuple[InputBlob, ...], Stored]:
        """Archives uploads that are no news. Returns the others."""
        record = stored.record
        if record.phase in (Phase.COMMITTED, Phase.FAILING) or not (record.contents or record.retired):
            return uploads, stored
        archive = partial(contents.archive_of, self._context.containers, record)
        new, known = contents.news(record, uploads, extend=self._extends, archive=archive)
        return new, self._put_away(stored, known)

    def _put_away(self, stored: Stored, known: Mapping[InputBlob, Member | None]) -> Stored:
        record = contents.remembering(stored.record, known)
        if record != stored.record:  # first: from then on they are no news, whatever becomes of this runner
            stored = self._save(stored, record)
        for blob, member in known.items():
            duplicates.put_away(self._context.containers, record, blob, member, self._depth, self._before_commit)
        return stored

    # ---- before the commit ------------------------------------------------------------------------------------------

    def _attempt(self) -> Run:
        return Run(
            self._context,
            self._scene,
            self._run,
            self._lease,
            self._called_off,
            self._log_file,
            self._uploaded_at,
            self._before_commit,
            self._save,
        )

    def _before_commit(self) -> None:
        self._lease.check()
        self._context.stop.check("uploading the result")
        self._called_off.check()

    def _record_failure(self, stored: Stored, error: SceneJobError) -> Acknowledge | Requeue:
        settings, record = self._context.settings, stored.record
        log.error("scene %s, attempt %d: %s", self._scene, record.attempts, error)
        if error.code == Code.JOB_TIMED_OUT:
            log_alert(log, Alert.DEADLINE, f"scene {self._scene}: {error.cause}", scene=self._scene)
        decision = after_failure(
            record,
            error,
            max_attempts=settings.max_attempts,
            max_preemptions=settings.max_preemptions,
            retry_base_s=settings.retry_base_s,
            retry_max_s=settings.retry_max_s,
            now=self._context.now(),
        )
        stored = self._save(stored, decision.record)
        match decision:
            case GiveBack() if isinstance(error, UploadsChanged):
                return Requeue(CHANGED_S, error)  # what is left may be in a batch whose message this one is
            case GiveBack():
                raise error
            case Retry() if isinstance(error, (Interrupted, ConfigurationError)):
                raise error  # it counted, but it ends the execution all the same
            case Retry(_, delay_s):
                return Requeue(delay_s, error)
            case GiveUp():
                if not isinstance(error, InputError):
                    text = f"scene {self._scene}: {record.attempts} attempts, the last one: {error.cause}"
                    log_alert(log, Alert.ATTEMPTS, text, scene=self._scene)
                return self._roll_forward(stored, error)

    # ---- after it: only forward -------------------------------------------------------------------------------------

    def _roll_forward(self, stored: Stored, failure: SceneJobError | None = None) -> Acknowledge | Requeue:
        """All steps of commit.py, whatever was done before. `stored`: COMMITTED or FAILING.

        What keeps the scene from its end is written into its record, and the next try is later each time.
        """
        with setup.context(run_id=stored.record.run):
            return self._end(stored, failure)

    def _end(self, stored: Stored, failure: SceneJobError | None) -> Acknowledge | Requeue:
        context = self._context
        decided = Decided(
            stored,
            context.containers,
            self._log_file,
            self._after_commit,
            self._save,
            context.now,
            depth=self._depth,
            extends=self._extends,
            execution=context.execution,
        )
        try:
            ending = roll_forward(decided).ending
        except (LeaseLost, Interrupted):
            raise
        except SceneJobError as exc:
            record, delay_s = after_block(stored.record, exc, context.containers.state.now())
            self._save(stored, record)
            text = f"scene {self._scene}: {stored.record.phase}, and it cannot go on (try {record.tries}): {exc}"
            log_alert(log, Alert.BLOCKED, text, scene=self._scene)
            return Requeue(delay_s)
        outcome = str(ending.outcome) if ending else ""
        suspect = ", suspect" if ending and ending.doubt else ""
        log.info("scene %s, generation %d: %s%s", self._scene, stored.record.generation, outcome, suspect)
        present = remove_spent_batches(context.containers.state, self._scene, self._uploads)
        forget_note(context.containers.state, self._scene, present)
        return Acknowledge(outcome, failure)

    def _after_commit(self) -> None:
        self._lease.check()
        self._context.stop.check("publishing and archiving")

    def _uploads(self) -> tuple[BlobInfo, ...]:
        return self._whole(self._listed())

    def _listed(self) -> tuple[BlobInfo, ...]:
        containers = self._context.containers
        listed = list_scene(containers.input, self._scene, self._depth)
        return undeleted.without(containers.state, self._scene, listed)

    def _whole(self, listed: tuple[BlobInfo, ...]) -> tuple[BlobInfo, ...]:
        """Without those in progress."""
        containers, settings = self._context.containers, self._context.settings
        stalled_s = 0.0 if settings.mode == "batch" else settings.upload_stalled_s  # batch: wanted as it is
        self._uploaded_at = max((blob.modified for blob in listed), default=self._uploaded_at)
        return sending.whole(containers.input, containers.state, self._scene, listed, stalled_s)

    def _save(self, stored: Stored, record: SceneRecord) -> Stored:
        self._lease.check()
        return records.save(self._context.containers.state, stored, record, self._lease.blob_lease)
