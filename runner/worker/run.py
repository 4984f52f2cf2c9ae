"""What an attempt does before its commit: download -> job in a child process -> upload and commit.

Around it: cache, resume store, progress, first look.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

from msgspec.structs import replace

from runner.cache.provenance import program_digest
from runner.cache.store import CacheSettings
from runner.job.request import Job
from runner.job.supervise import Supervision
from runner.pipeline import estimate
from runner.pipeline import settings as pipeline_settings
from runner.pipeline.scene_settings.scene_file import asked_for
from runner.scene.inputs.file_use import repeated as copies_of
from runner.scene.inputs.pose_files import misplaced
from runner.worker import deadline, estimates
from runner.worker.called_off import CalledOff
from runner.worker.context import WorkerContext
from runner.worker.decisions import (
    may_resume,
    more_time_of,
    out_of_memory_in,
)
from runner.worker.download import Downloaded, download
from runner.worker.ending.commit import Result, clips_of, commit, doubt_of, unused_in
from runner.worker.fate import NothingNew
from runner.worker.first_look import FirstLook
from runner.worker.lease import RecordLease
from runner.worker.progress_blob import ProgressBlob
from runner.worker.saved_work.cache_sync import cached
from runner.worker.saved_work.resume_saver import ResumeSaver, SaverContext
from runner.worker.saved_work.resume_store import forget, restore, resume_location
from runner.worker.shutdown import job_left_s
from runner.worker.usable_uploads import never_used
from scenejobs.names import is_ready_marker, output_stem, within_scene
from scenejobs.ports import BlobInfo
from scenejobs.state import contents
from scenejobs.state.record import SceneRecord
from scenejobs.state.records import Stored


@dataclass(frozen=True)
class Prepared:
    """What an attempt works on."""

    files: Downloaded
    job: Job

    @property
    def notify(self) -> tuple[str, ...]:
        """Who the scene's own settings want to be told."""
        return self.job.asked.notify if self.job.asked else ()


@dataclass(frozen=True)
class Run:
    """One attempt of one scene, for the holder of its lease."""

    _context: WorkerContext
    _scene: str
    _run: str
    _lease: RecordLease
    _called_off: CalledOff
    _log_file: Path  # of this run
    _uploaded_at: datetime | None  # the last of its uploads
    _before_commit: Callable[[], None]  # raises when nothing may be written any more
    _save: Callable[[Stored, SceneRecord], Stored]

    def prepare(self, record: SceneRecord, folder: Path, archive: Mapping[str, BlobInfo]) -> Prepared:
        """Download; what is known before any of the files is opened."""
        files = self._download(record, folder, archive)
        return Prepared(files, self._job(record, files, folder))

    def run(self, stored: Stored, prepared: Prepared, folder: Path) -> Stored:
        """Pipeline, upload, commit. Returns the committed record."""
        context, record = self._context, stored.record
        files, job = prepared.files, prepared.job
        planned = estimate.planned_s(context.pipeline, sum(blob.size_bytes for blob in record.inputs))
        limit_s = deadline.attempt_s(context.settings, planned)
        with self._cache(folder / "cache") as cache:
            more_time = more_time_of(
                record, deadline.budget_most_s(limit_s, planned), max_attempts=context.settings.max_attempts
            )
            job = replace(job, cache=cache, more_time=more_time)
            with (
                self._progress(record) as progress,
                self._first_look(job.workspace, progress),
                self._resume_store(record, job.workspace, folder),
            ):
                supervision = Supervision(
                    lambda: context.stop.is_set() or self._called_off.is_set(),
                    self._lease.check,
                    progress.offer,
                    self._log_file,
                    limit_s,
                    partial(job_left_s, context.stop),
                )
                summary = context.run_job(job, supervision)
            output = context.containers.output
            unused = {*files.repeated, *(clip.name for clip in files.refused)}
            result = Result(job.out, self._log_file, clips_of(record, summary, unused), files.manifest,
                            doubt_of(summary, self._scene), unused_in(summary))  # fmt: skip
            committed = commit(stored, result, output, self._before_commit, self._save)
        estimates.remember(context.containers.state, self._run, summary)
        return committed

    def _download(self, record: SceneRecord, folder: Path, archive: Mapping[str, BlobInfo]) -> Downloaded:
        """Raises NothingNew when every new video and photo turns out to be part of the published result."""
        context = self._context
        limits = pipeline_settings.limits(context.pipeline)
        files = download(
            record, context.containers, archive, folder, limits, context.settings.min_free_gb, self._before_commit
        )
        new = [blob for blob in files.manifest if not is_ready_marker(blob.name)]
        known = contents.repeated(record, files.manifest)
        if new and all(blob in known and contents.is_copy_at(known[blob], archive) for blob in new):
            raise NothingNew(known)
        return files

    def _job(self, record: SceneRecord, files: Downloaded, folder: Path) -> Job:
        """What the child process is to do."""
        context, settings = self._context, self._context.settings
        names = {within_scene(member.name, self._scene): member.generation for member in record.carried}
        names |= {within_scene(blob.name, self._scene): record.generation for blob in record.manifest}
        asked, told = asked_for(files.settings, settings.notify_targets)
        repeated = tuple(f"{name} holds the same bytes as {other}: used once" for name, other in files.repeated.items())
        job = Job(
            files.clips,
            folder / "workspace",
            folder / "out",
            output_stem(self._scene),
            self._run,
            context.pipeline,
            out_of_memory=out_of_memory_in(record),
            finished=() if context.pipeline.backend == "mock" else estimates.known(context.containers.state),
            machine=settings.machine_profile,
            uploaded_at=self._uploaded_at,
            asked=asked,
            warnings=(*misplaced(names), *repeated, *told),
            refused=files.refused,
            unused=(*copies_of(files.repeated), *never_used(self._scene, record.inputs)),
            generations={name: number for name, number in names.items() if not is_ready_marker(name)},
        )
        if settings.checkpoint_s:
            return replace(job, save_s=settings.checkpoint_s / 2)  # the other half is for the upload
        return job

    def _progress(self, record: SceneRecord) -> ProgressBlob:
        context = self._context
        details = {"scene": self._scene, "run": self._run, "attempt": record.attempts, "execution": context.execution}
        return ProgressBlob(context.containers.state, self._scene, details, context.now, context.repeat)

    def _first_look(self, workspace: Path, progress: ProgressBlob) -> FirstLook:
        context = self._context
        on_sent = partial(progress.add, first_look=True)
        return FirstLook(context.containers.state, self._scene, self._run, workspace, on_sent, context.repeat)

    def _cache(self, folder: Path) -> contextlib.AbstractContextManager[CacheSettings | None]:
        """The cache of stages, filled from earlier runs of the scene; what the job adds is kept for later ones."""
        context, settings = self._context, self._context.settings
        if not settings.cache_mb or context.pipeline.backend == "mock":  # which finds nothing
            return contextlib.nullcontext()
        cache = CacheSettings(folder, settings.cache_mb * 1_000_000, settings.cache_days * 86400.0)
        return cached(context.containers.state, self._scene, cache, self._before_commit)

    def _resume_store(
        self, record: SceneRecord, workspace: Path, folder: Path
    ) -> contextlib.AbstractContextManager[object]:
        """Restores what an earlier attempt saved, and saves what this one achieves for the next."""
        context, state = self._context, self._context.containers.state
        if not context.settings.checkpoint_s:
            return contextlib.nullcontext()
        if not may_resume(record):
            forget(state, self._scene, self._before_commit)
        scratch = folder / "saved"
        for each in (workspace, scratch):
            each.mkdir()
        location = resume_location(state, self._scene, record.inputs, context.pipeline, program_digest())
        found = restore(location, workspace, scratch, self._before_commit)
        around = SaverContext(
            self._lease.check, context.stop.stopped_s, context.now, context.clock, context.pause, context.repeat
        )
        return ResumeSaver(location, found, self._run, workspace, scratch, around)
