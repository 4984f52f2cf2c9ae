"""One scene, brought forward by the holder of its lease. `runner/worker/decisions.py` says what to do; here it is done.

Before the commit everything is invisible and may be repeated; the commit is one conditional write of the record; after
it there is only forward: publish, archive, close. Killed after any line, the next runner ends in the same state.
"""

from __future__ import annotations

import contextlib
import logging
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from runner.cache.provenance import program_digest
from runner.cache.store import CacheSettings
from runner.files.disk import require_space
from runner.job import run_log
from runner.job.request import Job
from runner.job.supervise import Supervision
from runner.job.workspace import job_folder
from runner.pipeline import estimate
from runner.pipeline import settings as pipeline_settings
from runner.scene.frames import Clip
from runner.scene.pose_files import misplaced
from runner.worker import deadline
from runner.worker.archive import archive
from runner.worker.cache_sync import cached
from runner.worker.context import World
from runner.worker.dead_letter import write_reason
from runner.worker.decisions import (
    Attempt,
    GiveBack,
    GiveUp,
    NothingToDo,
    NotNow,
    Retry,
    RollForward,
    after_failure,
    may_go_on,
    next_step,
    out_of_memory_in,
)
from runner.worker.lease import Ownership
from runner.worker.progress_blob import ProgressBlob
from runner.worker.publish import publish, upload_outputs
from runner.worker.resume_saver import Surroundings, WorkSaver
from runner.worker.resume_store import forget, place_for, restore
from runner.worker.shutdown import job_left_s
from runner.worker.usable_uploads import usable_files
from scenejobs.errors import (
    Code,
    ConfigurationError,
    Conflict,
    InputError,
    Interrupted,
    LeaseLost,
    NotFound,
    SceneJobError,
    StorageError,
    UploadsChanged,
)
from scenejobs.logs.alerts import Guard, hold_back
from scenejobs.names import output_stem, within_scene
from scenejobs.state import generations, records
from scenejobs.state.blobs import InputBlob
from scenejobs.state.layout import RUN_LOG, run_folder
from scenejobs.state.messages import DebounceCheck
from scenejobs.state.record import Phase, SceneRecord
from scenejobs.state.uploads import list_scene, snapshot

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Settled:
    """Nothing is left to do for the message. `outcome`: "succeeded", "dead_lettered", "nothing", "changed"."""

    outcome: str
    failure: SceneJobError | None = None


@dataclass(frozen=True)
class Later:
    """To be tried again after the delay. `failure`: of the attempt; None: none began."""

    delay_s: float
    failure: SceneJobError | None = None


class SceneWork:
    """One scene under one lease, for one run."""

    def __init__(self, world: World, scene: str, depth: int, run: str, owner: Ownership) -> None:
        self._world = world
        self._scene = scene
        self._depth = depth
        self._run = run
        self._owner = owner
        self._log = Path()  # of this run; set when there is a folder

    def bring_forward(self) -> Settled | Later:
        """Does what the record and the listing ask for.

        Raises LeaseLost (nothing is settled), Interrupted and ConfigurationError (the attempt is given back),
        StorageError when the store failed after the outcome was decided, or before the attempt began.
        """
        with job_folder(self._world.settings.workspace) as folder:
            self._log = folder / RUN_LOG
            with run_log.collected(self._log):
                return self._bring_forward(folder)

    def _bring_forward(self, folder: Path) -> Settled | Later:
        stored = records.load(self._world.containers.state, self._scene)
        if stored is None:
            raise StorageError(f"the record of scene {self._scene} is gone", advice="it is made anew next time")
        inputs = snapshot(self._uploads())
        settings = self._world.settings
        step = next_step(
            stored.record,
            inputs,
            max_attempts=settings.max_attempts,
            run=self._run,
            now=self._world.now(),
            max_runs_per_day=settings.max_scene_runs,
        )
        match step:
            case NothingToDo(record):
                if record is not None:
                    self._save(stored, record)
                return Settled("nothing")
            case RollForward():
                return self._roll_forward(stored)
            case NotNow(delay_s, guard, why, record):
                hold_back(log, guard, f"scene {self._scene}: {why}", scene=self._scene)
                if record is not None:
                    self._save(stored, record)
                return Later(delay_s)
            case GiveUp(record):
                hold_back(
                    log, Guard.ATTEMPTS, f"scene {self._scene}: {record.failures[-1].failure.cause}", scene=self._scene
                )
                return self._roll_forward(self._save(stored, record))
            case Attempt(record):
                stored = self._save(stored, record)
        log.info("scene %s: attempt %d of %d, run %s, %d uploads",
                 self._scene, record.attempts, settings.max_attempts, self._run, len(inputs))  # fmt: skip
        try:
            committed = self._attempt(stored, folder)
        except LeaseLost:
            raise
        except SceneJobError as exc:
            return self._settle_failure(stored, exc)
        return self._roll_forward(committed)

    # ---- before the commit ------------------------------------------------------------------------------------------

    def _attempt(self, stored: records.Stored, folder: Path) -> records.Stored:
        """Download, pipeline, upload, commit."""
        world, record = self._world, stored.record
        clips = self._download(record.manifest, folder)
        planned = estimate.planned_s(world.pipeline, sum(blob.size_bytes for blob in record.manifest))
        limit_s = deadline.attempt_s(world.settings, planned)
        job = Job(
            clips,
            folder / "workspace",
            folder / "out",
            output_stem(self._scene),
            self._run,
            world.pipeline,
            out_of_memory=out_of_memory_in(record),
            warnings=misplaced(within_scene(blob.name, self._scene) for blob in record.manifest),
        )
        if world.settings.checkpoint_s:
            job = replace(job, save_s=world.settings.checkpoint_s / 2)  # the other half is for bringing it to storage
        with self._reusing(folder / "cache") as cache:
            return self._run_and_commit(stored, replace(job, cache=cache), folder, limit_s)

    def _run_and_commit(self, stored: records.Stored, job: Job, folder: Path, limit_s: float) -> records.Stored:
        """Pipeline, upload, commit."""
        world, record = self._world, stored.record
        details = {"scene": self._scene, "run": self._run, "attempt": record.attempts}
        with (
            ProgressBlob(world.containers.state, self._scene, details, world.now, world.repeat) as progress,
            self._saving_work(record, job.workspace, folder),
        ):
            supervision = Supervision(
                world.stop.is_set,
                self._owner.check,
                progress.offer,
                self._log,
                limit_s,
                partial(job_left_s, world.stop),
            )
            world.run_job(job, supervision)
        outputs = upload_outputs(job.out, world.containers.output, self._scene, self._run, self._before_commit)
        if self._log.is_file():
            world.containers.output.upload(
                self._log, run_folder(self._scene, self._run) + RUN_LOG, content_type="text/plain"
            )
        self._before_commit()
        return self._save(stored, record.committed(outputs))

    def _reusing(self, folder: Path) -> contextlib.AbstractContextManager[CacheSettings | None]:
        """What earlier runs of the scene found, for the job; and what it finds, kept for later ones."""
        world = self._world
        if not world.settings.cache_mb or world.pipeline.backend == "mock":  # which finds nothing
            return contextlib.nullcontext()
        settings = CacheSettings(folder, world.settings.cache_mb * 1_000_000, world.settings.cache_days * 86400.0)
        return cached(world.containers.state, self._scene, settings, self._before_commit)

    def _saving_work(
        self, record: SceneRecord, workspace: Path, folder: Path
    ) -> contextlib.AbstractContextManager[object]:
        """Brings back what an earlier attempt left, and saves what this one achieves for the next."""
        world, state = self._world, self._world.containers.state
        if not world.settings.checkpoint_s:
            return contextlib.nullcontext()
        if not may_go_on(record):
            forget(state, self._scene, self._before_commit)
        scratch = folder / "saved"
        for each in (workspace, scratch):
            each.mkdir()
        place = place_for(state, self._scene, record.manifest, world.pipeline, program_digest())
        found = restore(place, workspace, scratch, self._before_commit)
        around = Surroundings(
            self._owner.check, world.stop.stopped_s, world.now, world.clock, world.pause, world.repeat
        )  # fmt: skip
        return WorkSaver(place, found, self._run, workspace, scratch, around)

    def _before_commit(self) -> None:
        self._owner.check()
        self._world.stop.check("uploading the result")

    def _download(self, manifest: tuple[InputBlob, ...], folder: Path) -> tuple[Clip, ...]:
        """The videos and photos of the snapshot, in exactly these versions, under names of ours."""
        media = usable_files(self._scene, manifest, pipeline_settings.limits(self._world.pipeline))
        total = sum(blob.size_bytes for blob in media)
        require_space(folder, input_bytes=total, reserve_gb=self._world.settings.min_free_gb)
        inputs = folder / "inputs"
        inputs.mkdir()
        clips = []
        for number, blob in enumerate(media, start=1):
            self._before_commit()
            path = inputs / f"{number:04d}{PurePosixPath(blob.name).suffix.lower()}"
            try:
                self._world.containers.input.download(blob.name, path, if_match=blob.etag)
            except (Conflict, NotFound) as exc:
                raise UploadsChanged(f"{blob.name} was replaced or deleted before it was read") from exc
            clips.append(Clip(within_scene(blob.name, self._scene), path))
        return tuple(clips)

    def _settle_failure(self, stored: records.Stored, error: SceneJobError) -> Settled | Later:
        settings, record = self._world.settings, stored.record
        log.error("scene %s, attempt %d: %s", self._scene, record.attempts, error)
        if error.code == Code.JOB_TIMED_OUT:
            hold_back(log, Guard.DEADLINE, f"scene {self._scene}: {error.cause}", scene=self._scene)
        decision = after_failure(
            record,
            error,
            max_attempts=settings.max_attempts,
            max_preemptions=settings.max_preemptions,
            retry_base_s=settings.retry_base_s,
            retry_max_s=settings.retry_max_s,
            now=self._world.now(),
        )
        stored = self._save(stored, decision.record)
        match decision:
            case GiveBack() if isinstance(error, UploadsChanged):
                self._hint()
                return Settled("changed")
            case GiveBack():
                raise error
            case Retry() if isinstance(error, (Interrupted, ConfigurationError)):
                raise error  # it counted, but it ends the execution all the same
            case Retry(_, delay_s):
                return Later(delay_s, error)
            case GiveUp():
                if not isinstance(error, InputError):
                    text = f"scene {self._scene}: {record.attempts} attempts, the last one: {error.cause}"
                    hold_back(log, Guard.ATTEMPTS, text, scene=self._scene)
                return self._roll_forward(stored, error)

    # ---- after it: only forward -------------------------------------------------------------------------------------

    def _roll_forward(self, stored: records.Stored, failure: SceneJobError | None = None) -> Settled:
        """Publishes or explains, archives, closes. Every step may have been done before."""
        containers, record, check = self._world.containers, stored.record, self._after_commit
        if record.phase is Phase.COMMITTED:
            publish(record, containers.output, check)
            archived = archive(record, containers.input, containers.processed, "processed", check)
        else:
            write_reason(record, containers.error, run_log.tail(self._log), check)
            archived = archive(record, containers.input, containers.error, "error", check)
        generations.note(containers.state, record, archived)
        forget(containers.state, self._scene, check)
        closed = self._save(stored, record.closed(archived, self._world.now())).record
        outcome = str(closed.ending.outcome) if closed.ending else ""
        log.info("scene %s, generation %d: %s", self._scene, record.generation, outcome)
        if self._uploads():
            self._hint()
        return Settled(outcome, failure)

    def _after_commit(self) -> None:
        self._owner.check()
        self._world.stop.check("publishing and archiving")

    def _uploads(self) -> tuple[Any, ...]:
        return list_scene(self._world.containers.input, self._scene, self._depth)

    def _hint(self) -> None:
        """Makes the dispatcher look at what is left in the input container."""
        self._world.queues.debounce.send(DebounceCheck(self._scene, "", self._world.now()).to_json())

    def _save(self, stored: records.Stored, record: SceneRecord) -> records.Stored:
        self._owner.check()
        return records.save(self._world.containers.state, stored, record, self._owner.lease)
