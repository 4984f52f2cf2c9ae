"""What must be true when nothing moves any more, told from the blobs and the history of uploads alone.

The numbers are those of the invariants in docs/reliability.md. Each finding is a sentence; none means all hold.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from scenejobs.errors import Conflict, NotFound
from scenejobs.names import refusal, scene_of
from scenejobs.ports import BlobInfo, BlobStore, Containers, Queues
from scenejobs.settings.groups import DispatchSettings
from scenejobs.state import records
from scenejobs.state.layout import ERROR_DOCUMENT, MANIFEST, RUN_LOG, run_folder
from scenejobs.state.record import Outcome, Phase, SceneRecord

LEASE_S = 15  # to find out whether somebody holds one


@dataclass(frozen=True)
class Upload:
    """One successful upload. `superseded`: the user uploaded the name again before this version had been archived."""

    name: str
    etag: str
    data: bytes
    superseded: bool = False


def at_rest(
    containers: Containers, queues: Queues, uploads: Iterable[Upload], *, max_attempts: int = 3, depth: int = 1
) -> list[str]:
    """What is wrong."""
    return [
        *_nothing_is_left(containers, queues),
        *_every_upload_is_in_one_place(containers, tuple(uploads), depth),
        *_records_and_results(containers, max_attempts),
        *_audited(containers, queues, max_attempts),
    ]


def _audited(containers: Containers, queues: Queues, max_attempts: int) -> Iterator[str]:
    """What `scenejobs audit --deep` says, where this version has it. It knows no history of uploads."""
    if importlib.util.find_spec("scenejobs.audit") is None:
        return
    evidence = importlib.import_module("scenejobs.audit.snapshot")
    report = importlib.import_module("scenejobs.audit.report")
    seen = evidence.collect(containers, queues, DispatchSettings(), max_attempts, containers.state.now())
    for finding in report.audit(seen, containers.output).violations:
        yield finding.line()


def _nothing_is_left(containers: Containers, queues: Queues) -> Iterator[str]:
    for blob in containers.input.list():
        if refusal(blob.name) is None:
            yield f"I7: {blob.name} is still in input"
    for queue in (queues.debounce, queues.jobs):
        if total := queue.total():
            yield f"I7: {total} messages are left in {queue.name}"
    if queues.poison.total():
        yield "I8: a message of ours went to the poison queue"


def _every_upload_is_in_one_place(containers: Containers, uploads: tuple[Upload, ...], depth: int) -> Iterator[str]:
    places: dict[str, list[tuple[str, BlobStore, BlobInfo]]] = {}
    for kind, store in (("processed", containers.processed), ("error", containers.error)):
        for blob in store.list():
            if "source_etag" in blob.metadata:
                places.setdefault(blob.metadata["source_etag"], []).append((kind, store, blob))
    known = {upload.etag for upload in uploads}
    for etag in places.keys() - known:
        yield f"I1: {places[etag][0][2].name} is archived as a version nobody uploaded"
    explained = {blob.name.removesuffix(f"/{ERROR_DOCUMENT}") for blob in containers.error.list()
                 if blob.name.endswith(f"/{ERROR_DOCUMENT}")}  # fmt: skip
    for upload in uploads:
        found = places.get(upload.etag, [])
        if len(found) > 1:
            yield f"I2: {upload.name} ({upload.etag}) lies in {len(found)} places"
        if not found and not upload.superseded:
            yield f"I1: {upload.name} ({upload.etag}) is lost"
        for kind, store, blob in found:
            if store.read(blob.name)[0] != upload.data:
                yield f"I1: {kind}/{blob.name} has other bytes than were uploaded"
            if kind == "error" and scene_of(upload.name, depth) not in explained:
                yield f"I4: error/{blob.name} has no {ERROR_DOCUMENT}"


def _records_and_results(containers: Containers, max_attempts: int) -> Iterator[str]:
    state = containers.state
    archived = {blob.name.split("/")[0] for blob in containers.processed.list()}
    for info in state.list("scenes/"):
        try:
            state.lease(info.name, LEASE_S).release()
        except Conflict:
            yield f"I7: somebody holds the lease of {info.name}"
        stored = records.load(state, json.loads(state.read(info.name)[0])["scene"])
        if stored is None:
            yield f"I1: {info.name} vanished"
            continue
        record = stored.record
        if record.phase is not Phase.IDLE:
            yield f"I7: the record of {record.scene} is {record.phase}"
            continue
        if record.attempts:
            yield f"I5: {record.scene} is idle with {record.attempts} attempts counted"
        ending = record.ending
        if ending is None:
            continue
        if record.generation != ending.generation + 1:
            yield f"I2: {record.scene} ended generation {ending.generation} and stands at {record.generation}"
        if ending.outcome is Outcome.SUCCEEDED:
            yield from _whole_result(containers.output, record)
        else:
            yield from _explained(containers.error, record, max_attempts)
        for name, place in ending.archived.items():
            kind, _, stored = place.partition("/")
            if kind in ("processed", "error") and not _exists(getattr(containers, kind), stored):
                yield f"I1: the record says {name} lies in {place}, where nothing is"
        archived.discard(record.scene)
    for scene in archived:
        yield f"I3: processed/{scene} has inputs of a scene without an ended record"


def _whole_result(output: BlobStore, record: SceneRecord) -> Iterator[str]:
    names = {file.name for file in record.outputs}
    if MANIFEST not in names:
        yield f"I3: the record of {record.scene} names no {MANIFEST}"
        return
    for file in record.outputs:
        try:
            committed = output.read(run_folder(record.scene, record.run) + file.name)[0]
            published = output.read(f"{record.scene}/{file.name}")[0]
        except NotFound as exc:
            yield f"I3: {exc}"
            continue
        if (len(committed), hashlib.sha256(committed).hexdigest()) != (file.size_bytes, file.sha256):
            yield f"I3: {file.name} of {record.scene} is not what was committed"
        if published != committed:
            yield f"I3: {record.scene}/{file.name} is published from another run"
    for entry in json.loads(output.read(f"{record.scene}/{MANIFEST}")[0])["outputs"]:
        if entry["name"] not in names:
            yield f"I3: {MANIFEST} of {record.scene} names {entry['name']}, which was not committed"


def _explained(error: BlobStore, record: SceneRecord, max_attempts: int) -> Iterator[str]:
    try:
        document = json.loads(error.read(f"{record.scene}/{ERROR_DOCUMENT}")[0])
    except NotFound:
        yield f"I4: error/{record.scene}/ holds no {ERROR_DOCUMENT}"
        return
    missing = [key for key in ("stage", "code", "cause", "advice", "attempts", "log") if key not in document]
    if missing:
        yield f"I4: {ERROR_DOCUMENT} of {record.scene} lacks {', '.join(missing)}"
    if len(document.get("attempts", ())) > max_attempts:
        yield f"I5: {record.scene} was attempted {len(document['attempts'])} times, {max_attempts} are allowed"
    if document.get("run") != record.run:
        yield f"I4: {ERROR_DOCUMENT} of {record.scene} is of another run"


def _exists(store: BlobStore, name: str) -> bool:
    try:
        store.head(name)
    except NotFound:
        return False
    return True


def leftovers(output: BlobStore, record: SceneRecord) -> int:
    """Files of runs that were not committed: allowed, invisible, and counted."""
    kept = run_folder(record.scene, record.run)
    blobs = [blob.name for blob in output.list(f"{record.scene}/runs/")]
    return sum(not name.startswith(kept) and not name.endswith(RUN_LOG) for name in blobs)
