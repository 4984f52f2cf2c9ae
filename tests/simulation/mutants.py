"""The rules of the protocol, each switched off by replacing one function. The invariants must notice.

A rule whose absence nothing notices is either not tested or not needed: it is listed with the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from unittest import mock

from function_app import debounce, dispatcher, starter, sweep
from runner.worker import (
    archive,
    attempt,
    commit,
    dead_letter,
    decisions,
    publish,
    resume_store,
)
from runner.worker import (
    lease as worker_lease,
)
from runner.worker import (
    loop as worker_loop,
)
from scenejobs import errors as scenejobs_errors
from scenejobs.adapters.memory import MemoryBlobStore
from scenejobs.errors import Conflict, NotFound
from scenejobs.names import is_ready_marker
from scenejobs.ports import BlobInfo
from scenejobs.state import batches, layout, messages, records, uploads
from scenejobs.state import record as state_record
from scenejobs.state.layout import MANIFEST, published_name, record_name, run_folder
from scenejobs.state.uploads import list_scene, snapshot
from tests.simulation.ports import SimBlobs

Patch = tuple[Any, str, Any]  # owner, attribute, what replaces it


@dataclass(frozen=True)
class Mutant:
    """One rule switched off."""

    name: str
    rule: str  # what is missing
    patches: tuple[Patch, ...]
    profile: str = "mixed"
    limit: int = 100  # schedules until it must have been noticed
    redundant: str = ""  # why nothing has to notice


@contextmanager
def applied(mutant: Mutant | None) -> Iterator[None]:
    with ExitStack() as stack:
        for owner, attribute, new in mutant.patches if mutant else ():
            stack.enter_context(mock.patch.object(owner, attribute, new))
        yield


def nothing(*args: Any, **kwargs: Any) -> None: ...


def no(*args: Any, **kwargs: Any) -> bool:
    return False


# ---- dispatcher -----------------------------------------------------------------------------------------------------


def stamp_then_send(self: dispatcher.Dispatcher, stored: batches.StoredBatch, now: Any) -> None:
    batch = stored.batch
    batches.stamp(self.containers.state, stored, now)
    self.queues.jobs.send(messages.JobMessage(batch.scene, batch.digest, now, batch.traceparent).to_json())


def create_over(state: Any, batch: batches.Batch) -> batches.StoredBatch:
    name = layout.batch_name(batch.scene, batch.digest)
    return batches.StoredBatch(batch, state.write(name, batches._encode(batch)))


_ensure_started = starter.Starter.ensure_started


def start_once(self: starter.Starter) -> int:
    return _ensure_started(self) if self.compute.starts < self.jobs.sent else 0  # type: ignore[attr-defined]


@contextmanager
def not_alone(self: starter.Starter) -> Iterator[Any]:
    yield SimpleNamespace(id="nobody's", renew=lambda: None)


def always_settled(check: Any, waiting: Any, now: Any, settings: Any) -> debounce.Decision:
    return debounce.Settled(debounce.Why.QUIET) if waiting else debounce.Nothing()


def whole_container(store: Any, scene: str, depth: int) -> tuple[BlobInfo, ...]:
    return tuple(blob for blob in store.list(scene) if not uploads.refusal(blob.name))


# ---- the record and its lease ---------------------------------------------------------------------------------------


def save_unfenced(state: Any, stored: records.Stored, record: state_record.SceneRecord, lease: Any) -> records.Stored:
    blob = state.store.blobs[record_name(record.scene)]
    anybodys = SimpleNamespace(id=blob.lease_id) if blob.lease_id and state.store._leased(blob) else None
    etag = state.write(record_name(record.scene), records._encode(record, ""), lease=anybodys)
    return records.Stored(record, etag)


def lease_for_everybody(self: MemoryBlobStore, name: str, seconds: int) -> Any:
    if name.startswith("scenes/"):
        self._get(name).lease_until = None
    return _lease(self, name, seconds)


_lease = MemoryBlobStore.lease


def ensure_over(state: Any, scene: str) -> None:
    with suppress(Conflict):
        record = state_record.SceneRecord(scene)
        state.write(record_name(scene), records._encode(record), metadata=records._metadata(record))


def attempted_for_free(self: state_record.SceneRecord, run: str, manifest: Any, now: Any) -> state_record.SceneRecord:
    return self._moved(state_record.Phase.RUNNING, run=run, manifest=manifest, outputs=(), started_at=now)


_after_failure = decisions.after_failure


def counted_after_the_work(record: state_record.SceneRecord, error: Any, **options: Any) -> Any:
    return _after_failure(replace(record, attempts=record.attempts + 1), error, **options)


def given_back_and_counted(self: state_record.SceneRecord) -> state_record.SceneRecord:
    return self._moved(state_record.Phase.IDLE, preemptions=self.preemptions + 1, started_at=None)


def given_back_for_ever(record: state_record.SceneRecord, error: Any, **options: Any) -> Any:
    return _after_failure(record, error, **{**options, "max_preemptions": 10**6})


_next_step = decisions.next_step


def vanished_for_free(record: state_record.SceneRecord, inputs: Any, **options: Any) -> Any:
    if record.phase is state_record.Phase.RUNNING:
        record = replace(record, attempts=record.attempts - 1)
    return _next_step(record, inputs, **options)


# ---- moving and publishing ------------------------------------------------------------------------------------------


def delete_first(record: Any, source: Any, destination: Any, kind: str, check: Any) -> dict[str, str]:
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


_copy_from, _delete, _download = SimBlobs.copy_from, SimBlobs.delete, SimBlobs.download


def copy_any_version(self: SimBlobs, source: Any, source_name: str, name: str, **conditions: Any) -> BlobInfo:
    return _copy_from(self, source, source_name, name, **{**conditions, "source_etag": None})


def copy_over(self: SimBlobs, source: Any, source_name: str, name: str, **conditions: Any) -> BlobInfo:
    return _copy_from(self, source, source_name, name, **{**conditions, "if_absent": False})


def delete_any_version(self: SimBlobs, name: str, *, if_match: str | None = None) -> None:
    _delete(self, name, if_match=None if self.name == "input" else if_match)


def download_any_version(self: SimBlobs, name: str, path: Any, *, if_match: str | None = None) -> BlobInfo:
    return _download(self, name, path)


_archive, _write_reason = archive.archive, dead_letter.write_reason


def archive_what_lies_there(record: Any, source: Any, *rest: Any) -> dict[str, str]:
    return _archive(replace(record, manifest=snapshot(list_scene(source, record.scene, 1))), source, *rest)


def archive_then_explain(record: Any, source: Any, destination: Any, kind: str, check: Any) -> dict[str, str]:
    places = _archive(record, source, destination, kind, check)
    if kind == "error":
        _write_reason(record, destination, b"", check)
    return places


def plain_name_only(scene: str, blob_name: str, generation: int, run: str) -> tuple[str, ...]:
    return (f"{scene}/{blob_name.removeprefix(scene + '/')}",)


def publish_over(record: state_record.SceneRecord, output: Any, check: Any) -> None:
    folder = run_folder(record.scene, record.run)
    for file in sorted(record.outputs, key=lambda file: file.name == MANIFEST):
        source = publish._committed(output, folder, file)
        publish._replace(output, source, published_name(record.scene, file.name), check)


def publish_manifest_first(record: state_record.SceneRecord, output: Any, check: Any) -> None:
    folder = run_folder(record.scene, record.run)
    for file in sorted(record.outputs, key=lambda file: file.name != MANIFEST):
        source = publish._committed(output, folder, file)
        publish._replace(output, source, published_name(record.scene, file.name), check)


# ---- the runner's loop ----------------------------------------------------------------------------------------------

_attempt = attempt.SceneWork._attempt


def complete_then_work(self: attempt.SceneWork, stored: Any, folder: Any) -> Any:
    if self._lease.message is not None:
        self._context.queues.jobs.complete(self._lease.message)
    return _attempt(self, stored, folder)


def complete_then_poison(self: worker_loop.Worker, message: Any) -> None:
    try:
        scene = worker_loop._scene_of(message)
    except scenejobs_errors.UnreadableMessage as exc:
        self._context.queues.jobs.complete(message)
        self._context.queues.poison.send(worker_loop._poison(message, exc))
        return
    self._work(scene, self._context.settings.prefix_depth, message)


def one_run_for_ever(self: worker_loop.Worker) -> str:
    return "run"


def throw_away(self: worker_loop.Worker, message: Any, delay_s: float) -> None:
    if message is not None:
        self._context.queues.jobs.complete(message)


_init = worker_lease.RecordLease.__init__


def leased_just_now(self: Any, *args: Any, leased_at: float | None = None, **kwargs: Any) -> None:
    _init(self, *args, **kwargs)


def local_time(self: SimBlobs) -> Any:
    return self.store.now() + timedelta(seconds=self._hub.process.skew_s)


_place_for = resume_store.resume_location


def place_for_any_uploads(
    store: Any, scene: str, manifest: Any, settings: Any, program: str
) -> resume_store.ResumeLocation:
    return _place_for(store, scene, (), settings, program)


NO_SWEEP: tuple[Patch, ...] = ((sweep.Sweeper, "sweep", nothing), (sweep.Sweeper, "sweep_if_due", nothing))
NO_REQUEUE: Patch = (sweep.Sweeper, "_requeue_lost", lambda self, scenes, now: 0)
NO_HINT: Patch = (attempt.SceneWork, "_hint", nothing)


def _always(value: bool) -> Callable[[Any], bool]:
    return property(lambda self: value)  # type: ignore[return-value]


ARCHIVE, WORK, RUN, COMMIT = archive, attempt.SceneWork, attempt, commit  # where the replaced names are looked up

MUTANTS = (
    # reliability.md 5.4
    Mutant("no sweep", "the sweep, while events and starts are lost", NO_SWEEP, "events"),
    Mutant("unfenced record", "lease and ETag of a record's write", ((records, "save", save_unfenced),), limit=1000),
    Mutant("no lease", "the exclusive lease", ((MemoryBlobStore, "lease", lease_for_everybody),)),
    Mutant("delete before copy", "copy, then delete", ((COMMIT, "archive", delete_first),)),
    Mutant("pending is whole", "a copy under way is no copy", ((BlobInfo, "whole", _always(True)),), "copies"),
    Mutant(
        "move any version",
        "the source's ETag in copy and delete",
        ((SimBlobs, "copy_from", copy_any_version), (SimBlobs, "delete", delete_any_version)),
    ),
    Mutant("move what lies there", "the frozen manifest", ((COMMIT, "archive", archive_what_lies_there),)),
    Mutant(
        "one name for all generations",
        "create-if-absent and spare names in the archive",
        ((ARCHIVE, "archive_names", plain_name_only), (SimBlobs, "copy_from", copy_over)),
    ),
    Mutant(
        "counted after the work",
        "the attempt counts before the work",
        ((state_record.SceneRecord, "attempted", attempted_for_free), (RUN, "after_failure", counted_after_the_work)),
    ),
    Mutant(
        "stamped before sent",
        "message, then stamp (and the sweep's search for lost messages)",
        ((dispatcher.Dispatcher, "send", stamp_then_send), NO_REQUEUE),
        "crashes",
        limit=300,
    ),
    Mutant(
        "started once",
        "starts are counted anew at every look",
        ((starter.Starter, "ensure_started", start_once),),
        "events",
    ),
    Mutant(
        "no hint",
        "the look at what is left after a job",
        (NO_HINT,),
        redundant="every upload has an event of its own, and the sweep finds what has none; it only shortens the wait",
    ),
    # of this code
    Mutant("sealed again", "create-once of a batch", ((batches, "create", create_over),), "doubled"),
    Mutant("sealed at once", "the quiet time", ((debounce, "decide", always_settled),), "calm", limit=1000),
    Mutant("poses are enough", "poses alone start nothing", ((debounce, "is_companion", is_ready_marker),)),
    Mutant("local clock", "the service's clock for the age of uploads", ((SimBlobs, "now", local_time),), "skewed"),
    Mutant(
        "not alone",
        "the lease around counting and starting",
        ((starter.Starter, "_alone", not_alone), (starter.Starter, "_save", nothing)),
        "calm",
    ),
    Mutant("refused in silence", "a refused name is noted", ((dispatcher.Dispatcher, "record_refused", no),), "users"),
    Mutant("scenes mixed", "whole segments of names", ((RUN, "list_scene", whole_container),)),
    Mutant("record made anew", "create-once of a record", ((records, "ensure", ensure_over),)),
    Mutant("vanished for free", "a vanished attempt counts", ((RUN, "next_step", vanished_for_free),)),
    Mutant(
        "given back and counted",
        "a preemption costs no attempt",
        ((state_record.SceneRecord, "given_back", given_back_and_counted),),
        "stops",
    ),
    Mutant("given back for ever", "MAX_PREEMPTIONS", ((RUN, "after_failure", given_back_for_ever),)),
    Mutant(
        "any version downloaded",
        "the ETag of a download",
        ((SimBlobs, "download", download_any_version),),
        "meddlers",
    ),
    Mutant("one run folder", "a new folder for each run", ((worker_loop.Worker, "_new_run", one_run_for_ever),)),
    Mutant("published over", "the manifest is taken down first", ((COMMIT, "publish", publish_over),)),
    Mutant("manifest first", "the manifest comes last", ((COMMIT, "publish", publish_manifest_first),)),
    Mutant(
        "reason last",
        "error.json before the inputs move",
        ((COMMIT, "archive", archive_then_explain), (COMMIT, "write_reason", nothing)),
    ),
    Mutant("completed before the commit", "the message leaves last", ((WORK, "_attempt", complete_then_work),)),
    Mutant("thrown away", "work that failed is given back", ((worker_loop.Worker, "_requeue", throw_away),)),
    Mutant("completed, then poison", "the poison queue first", ((worker_loop.Worker, "handle", complete_then_poison),)),
    Mutant(
        "no heartbeat", "the lease is renewed", ((worker_lease.RecordLease, "renew_lease_if_due", nothing),), "calm"
    ),
    Mutant("no self-fence", "who cannot renew stops", ((worker_lease.RecordLease, "check", nothing),)),
    Mutant(
        "leased when answered",
        "a lease is as old as the question for it",
        ((worker_lease.RecordLease, "__init__", leased_just_now),),
        "zombies",
        limit=1500,
    ),
    Mutant(
        "commit unchecked",
        "ownership is looked at before the commit",
        ((WORK, "_before_commit", nothing),),
        redundant="the commit itself is refused, it bears lease and ETag; the look only saves work",
    ),
    Mutant(
        "no message renewal",
        "the message is kept hidden",
        ((worker_lease.RecordLease, "renew_message_if_due", nothing),),
        redundant="the lease is the ownership: who receives the message as well finds the scene taken",
    ),
    Mutant(
        "work of any uploads",
        "the digest of the uploads in the place of saved work",
        ((RUN, "resume_location", place_for_any_uploads),),
        "meddlers",
        limit=300,
    ),
    Mutant(
        "work kept for ever",
        "saved work is removed when its generation is closed, or by the sweep",
        (
            (COMMIT, "forget", nothing),
            (RUN, "forget", nothing),
            (sweep.Sweeper, "_old_work", lambda self, view, now: []),
        ),
    ),
    Mutant(
        "no requeue",
        "the sweep's search for sealed work that no message points at",
        (NO_REQUEUE,),
        "meddlers",
        limit=300,
    ),
)

BY_NAME = {mutant.name: mutant for mutant in MUTANTS}
