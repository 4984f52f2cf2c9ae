"""What the mutants put in the place of functions: the same functions with one rule left out (`mutants.py`).

Where it can be, the replaced function is one of a port or a public one, and the original does the rest of the work.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from function_app import debounce, dispatcher, starter
from runner.worker import decisions, run
from runner.worker import (
    lease as worker_lease,
)
from runner.worker import (
    loop as worker_loop,
)
from runner.worker.ending import archive, dead_letter, publish
from runner.worker.periodic import Repeat, Thread
from runner.worker.saved_work import resume_store
from scenejobs.adapters.memory import MemoryBlobStore, MemoryLease
from scenejobs.errors import Conflict, NotFound, SceneJobError, UnreadableMessage
from scenejobs.names import upload_refusal
from scenejobs.ports import BlobInfo, BlobStore, Execution, JobQueue, Lease, QueueMessage
from scenejobs.settings.groups import DispatchSettings
from scenejobs.settings.pipeline import PipelineSettings
from scenejobs.state import blobs, contents, messages, records
from scenejobs.state import record as state_record
from scenejobs.state.executions import life, usage
from scenejobs.state.incoming import batches
from scenejobs.state.incoming.sending import InProgress
from scenejobs.state.incoming.uploads import list_scene, snapshot
from scenejobs.state.layout import MANIFEST, RECORDS, published_name, run_folder
from scenejobs.state.moves import Kept
from tests.simulation.ports import SimBlobs

Write = Callable[..., str]

# ---- dispatcher -----------------------------------------------------------------------------------------------------

_send = dispatcher.Dispatcher.send
_ensure_started = starter.Starter.ensure_started


def stamp_then_send(
    self: dispatcher.Dispatcher, stored: batches.StoredBatch, now: datetime, due_at: datetime | None = None
) -> bool:
    batches.stamp(self.containers.state, stored, now)
    return _send(self, stored, now, due_at)  # its own stamp is refused: the batch is another version now


def start_once(self: starter.Starter) -> int:
    return _ensure_started(self) if self.compute.starts < self.jobs.sent else 0  # type: ignore[attr-defined]


def judged_by_the_listing(
    live: Iterable[Execution],
    reports: Iterable[usage.ExecutionUsage],
    known_since: Mapping[str, datetime],
    now: datetime,
    start_timeout_s: float,
) -> tuple[life.Judged, ...]:
    return tuple(life.Judged(execution.name, life.Life.WORKS, now) for execution in live)


def nobody_spared(judged: Iterable[life.Judged], holding: Collection[str]) -> tuple[life.Judged, ...]:
    return tuple(judged)


class NobodysLease:
    """See scenejobs.ports.Lease. Whoever asks holds it."""

    id = "nobody's"

    def renew(self) -> None: ...

    def release(self) -> None: ...


@contextmanager
def not_alone(self: starter.Starter) -> Iterator[Lease]:
    yield NobodysLease()


def always_settled(
    check: messages.DebounceCheck,
    waiting: Collection[BlobInfo],
    now: datetime,
    settings: DispatchSettings,
    sending: Collection[InProgress] = (),
    grew_at: datetime | None = None,
    starts: Callable[[str], bool] = debounce.is_enough,
) -> debounce.Decision:
    return debounce.Settled(debounce.Why.QUIET) if waiting else debounce.Nothing()


def whole_container(store: BlobStore, scene: str, depth: int) -> tuple[BlobInfo, ...]:
    return tuple(blob for blob in store.list(scene) if not upload_refusal(blob.name))


# ---- the record and its lease ---------------------------------------------------------------------------------------

_write_stored, _lease = MemoryBlobStore.write, MemoryBlobStore.lease
_attempted, _given_back = state_record.SceneRecord.attempted, state_record.SceneRecord.given_back
_after_failure, _next_step = decisions.after_failure, decisions.next_step


def write_unfenced(
    self: MemoryBlobStore,
    name: str,
    data: bytes,
    *,
    if_match: str | None = None,
    if_absent: bool = False,
    lease: Lease | None = None,
    metadata: dict[str, str] | None = None,
) -> str:
    """A record is written whatever its version, and whoever holds its lease."""
    if name.startswith(RECORDS) and lease is not None:
        if_match, holder = None, self.blobs[name].lease_id
        lease = MemoryLease(self, name, holder) if holder and self._leased(self.blobs[name]) else None
    return _write_stored(self, name, data, if_match=if_match, if_absent=if_absent, lease=lease, metadata=metadata)


def lease_for_everybody(self: MemoryBlobStore, name: str, seconds: int) -> MemoryLease:
    if name.startswith(RECORDS):
        self._get(name).lease_until = None
    return _lease(self, name, seconds)


def attempted_for_free(
    self: state_record.SceneRecord,
    run: str,
    manifest: tuple[blobs.InputBlob, ...],
    now: datetime,
    carried: tuple[blobs.Member, ...] = (),
) -> state_record.SceneRecord:
    return replace(_attempted(self, run, manifest, now, carried), attempts=self.attempts)


def given_back_and_counted(self: state_record.SceneRecord) -> state_record.SceneRecord:
    return replace(_given_back(self), attempts=self.attempts)


def counted_after_the_work(
    record: state_record.SceneRecord,
    error: SceneJobError,
    *,
    max_attempts: int,
    max_preemptions: int,
    retry_base_s: float,
    retry_max_s: float,
    now: datetime,
) -> decisions.GiveBack | decisions.Retry | decisions.GiveUp:
    return _after_failure(
        replace(record, attempts=record.attempts + 1),
        error,
        max_attempts=max_attempts,
        max_preemptions=max_preemptions,
        retry_base_s=retry_base_s,
        retry_max_s=retry_max_s,
        now=now,
    )


def given_back_for_ever(
    record: state_record.SceneRecord,
    error: SceneJobError,
    *,
    max_attempts: int,
    max_preemptions: int,
    retry_base_s: float,
    retry_max_s: float,
    now: datetime,
) -> decisions.GiveBack | decisions.Retry | decisions.GiveUp:
    return _after_failure(
        record,
        error,
        max_attempts=max_attempts,
        max_preemptions=10**6,
        retry_base_s=retry_base_s,
        retry_max_s=retry_max_s,
        now=now,
    )


def vanished_for_free(
    record: state_record.SceneRecord,
    inputs: tuple[blobs.InputBlob, ...],
    *,
    max_attempts: int,
    run: str,
    now: datetime,
    max_runs_per_day: int = 0,
    choice: contents.Choice = decisions.NOTHING_CARRIED,
) -> (
    decisions.NothingToDo | decisions.RollForward | decisions.TooEarly | decisions.NotNow | decisions.Attempt
    | decisions.GiveUp
):  # fmt: skip
    if record.phase is state_record.Phase.RUNNING:
        record = replace(record, attempts=record.attempts - 1)
    return _next_step(
        record,
        inputs,
        max_attempts=max_attempts,
        run=run,
        now=now,
        max_runs_per_day=max_runs_per_day,
        choice=choice,
    )


# ---- the ports ------------------------------------------------------------------------------------------------------

_write, _copy_from, _delete, _download = SimBlobs.write, SimBlobs.copy_from, SimBlobs.delete, SimBlobs.download


def writes_over(folder: str) -> Write:
    """Create-if-absent replaces what is there, below this folder."""

    def write_over(
        self: SimBlobs,
        name: str,
        data: bytes,
        *,
        if_match: str | None = None,
        if_absent: bool = False,
        lease: Lease | None = None,
        metadata: dict[str, str] | None = None,
    ) -> str:
        if_absent = if_absent and not name.startswith(folder)
        return _write(self, name, data, if_match=if_match, if_absent=if_absent, lease=lease, metadata=metadata)

    return write_over


def copy_any_version(
    self: SimBlobs, source: BlobStore, source_name: str, name: str, *, source_etag: str | None, if_absent: bool
) -> BlobInfo:
    return _copy_from(self, source, source_name, name, source_etag=None, if_absent=if_absent)


def copy_over(
    self: SimBlobs, source: BlobStore, source_name: str, name: str, *, source_etag: str | None, if_absent: bool
) -> BlobInfo:
    return _copy_from(self, source, source_name, name, source_etag=source_etag, if_absent=False)


def delete_any_version(self: SimBlobs, name: str, *, if_match: str | None = None) -> None:
    _delete(self, name, if_match=None if self.name == "input" else if_match)


def download_any_version(self: SimBlobs, name: str, path: Path, *, if_match: str | None = None) -> BlobInfo:
    return _download(self, name, path)


def local_time(self: SimBlobs) -> datetime:
    return self.store.now() + timedelta(seconds=self._hub.process.skew_s)


# ---- moving and publishing ------------------------------------------------------------------------------------------

_archive, _write_reason = archive.archive, dead_letter.write_reason


def delete_first(
    record: state_record.SceneRecord,
    source: BlobStore,
    destination: BlobStore,
    kind: str,
    check: Callable[[], None],
    depth: int = 1,
    kept: Kept | None = None,
) -> dict[str, str]:
    places = {}
    for blob in record.manifest:
        check()
        with suppress(NotFound, Conflict):
            data, etag = source.read(blob.name)
            if etag != blob.etag:
                continue
            source.delete(blob.name, if_match=blob.etag)
            destination.write(blob.name, data, metadata={"source_etag": etag})
        places[blob.name] = f"{kind}/{blob.name}"
    return places


def archive_what_lies_there(
    record: state_record.SceneRecord,
    source: BlobStore,
    destination: BlobStore,
    kind: str,
    check: Callable[[], None],
    depth: int = 1,
    kept: Kept | None = None,
) -> dict[str, str]:
    there = snapshot(list_scene(source, record.scene, 1))
    return _archive(replace(record, manifest=there), source, destination, kind, check, depth, kept)


def archive_then_explain(
    record: state_record.SceneRecord,
    source: BlobStore,
    destination: BlobStore,
    kind: str,
    check: Callable[[], None],
    depth: int = 1,
    kept: Kept | None = None,
) -> dict[str, str]:
    places = _archive(record, source, destination, kind, check, depth, kept)
    if kind == "error":
        _write_reason(record, destination, b"", check)
    return places


def plain_name_only(scene: str, blob_name: str, generation: int, run: str, depth: int = 1) -> tuple[str, ...]:
    return (f"{scene}/{blob_name.removeprefix(scene + '/')}",)


def publish_over(record: state_record.SceneRecord, output: BlobStore, check: Callable[[], None]) -> None:
    _publish_in_order(record, output, check, manifest_last=True)


def publish_manifest_first(record: state_record.SceneRecord, output: BlobStore, check: Callable[[], None]) -> None:
    _publish_in_order(record, output, check, manifest_last=False)


def _publish_in_order(
    record: state_record.SceneRecord, output: BlobStore, check: Callable[[], None], manifest_last: bool
) -> None:
    folder = run_folder(record.scene, record.run)
    for file in sorted(record.outputs, key=lambda file: (file.name == MANIFEST) is manifest_last):
        source = publish._committed(output, folder, file)
        publish._replace(output, source, published_name(record.scene, file.name), check)


# ---- the runner's loop ----------------------------------------------------------------------------------------------

_run, _place_for = run.Run.run, resume_store.resume_location
_own = worker_lease.RecordLease.__init__


def complete_then_work(self: run.Run, stored: records.Stored, prepared: run.Prepared, folder: Path) -> records.Stored:
    if self._lease.message is not None:
        self._context.queues.jobs.complete(self._lease.message)
    return _run(self, stored, prepared, folder)


def complete_then_poison(self: worker_loop.Worker, message: QueueMessage) -> None:
    try:
        scene = worker_loop._scene_of(message)
    except UnreadableMessage as exc:
        self._context.queues.jobs.complete(message)
        self._context.queues.poison.send(worker_loop._poison(message, exc))
        return
    self._work(scene, self._context.settings.prefix_depth, message)


def throw_away(self: worker_loop.Worker, message: QueueMessage | None, delay_s: float) -> None:
    if message is not None:
        self._context.queues.jobs.complete(message)


def leased_just_now(
    self: worker_lease.RecordLease,
    lease: Lease,
    queue: JobQueue | None = None,
    message: QueueMessage | None = None,
    *,
    timing: worker_lease.Timing | None = None,
    clock: Callable[[], float] = worker_lease.suspend_aware_clock,
    repeat: Repeat = Thread,
    leased_at: float | None = None,
) -> None:
    _own(self, lease, queue, message, timing=timing, clock=clock, repeat=repeat, leased_at=None)


def place_for_any_uploads(
    store: BlobStore,
    scene: str,
    manifest: Iterable[blobs.InputBlob],
    settings: PipelineSettings,
    program: str,
) -> resume_store.ResumeLocation:
    return _place_for(store, scene, (), settings, program)
