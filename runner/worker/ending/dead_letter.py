"""Writes `error.json`, the reason of a dead letter, and `run.log` to `error/<scene>/`, before the inputs move there.

Nothing is written over an input. No new one lies under these names; where an earlier program, or one that took more
or fewer folders for a scene, put one there, the document lies beside it (layout.document_names).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from runner.scene.inputs.file_use import uses
from runner.worker.usable_uploads import never_used
from scenejobs.errors import Conflict, NotFound
from scenejobs.logs.setup import readable_json
from scenejobs.names import within_scene
from scenejobs.ports import BlobStore
from scenejobs.state.copies import find, is_input
from scenejobs.state.layout import ERROR_DOCUMENT, RUN_LOG, document_names
from scenejobs.state.record import SceneRecord

LOST = b"Its log was lost with the runner that kept it.\n"


def error_document(record: SceneRecord) -> dict[str, Any]:
    """Made from the FAILING record alone, so whoever finishes the work writes the same bytes."""
    last = record.failures[-1]
    names = [within_scene(blob.name, record.scene) for blob in record.manifest]
    known = {each.name: each.reason for each in never_used(record.scene, record.manifest)}
    fates = uses(names, last.failure, known)
    return {
        **replace(last.failure, unused=None).to_json(),
        "scene": record.scene,
        "run": record.run,
        "job_id": record.run,
        "run_id": record.run,
        "generation": record.generation,
        "at": last.at.isoformat(),
        "attempts": [replace(each, failure=replace(each.failure, unused=None)).to_json() for each in record.failures],
        "inputs": [
            {
                "name": blob.name,
                "etag": blob.etag,
                "size_bytes": blob.size_bytes,
                "used": one.used,
                "reason": one.reason,
            }
            for blob, one in zip(record.manifest, fates, strict=True)
        ],
        **({"published_generation": record.published.generation} if record.published else {}),  # it stays
        "log": RUN_LOG,
    }


def write_reason(record: SceneRecord, error: BlobStore, log: bytes, check: Callable[[], None]) -> None:
    """`log`: of the run that gave up; empty when this runner only finishes the work of another, whose log stays.

    Where that one was killed before it wrote its log, a line says so. Otherwise the name would be free for it when it
    was not killed but frozen, and a log of an earlier generation would pass for this one's.
    """
    name, head = _free(error, record, RUN_LOG), f"run {record.run}\n".encode()
    if log:
        _replace(error, name, head + log, check)
    elif not _read(error, name)[0].startswith(head):
        _replace(error, name, head + LOST, check)
    document = readable_json(error_document(record)).encode()
    _replace(error, _free(error, record, ERROR_DOCUMENT), document, check)


def _free(error: BlobStore, record: SceneRecord, file: str) -> str:
    plain, beside = document_names(record.scene, record.generation, file)
    return beside if is_input(find(error, plain)) else plain


def _read(store: BlobStore, name: str) -> tuple[bytes, str | None]:
    """Nothing, and no ETag, where there is none."""
    try:
        return store.read(name)
    except NotFound:
        return b"", None


def _replace(store: BlobStore, name: str, data: bytes, check: Callable[[], None]) -> None:
    """Replaces the version that is there now: a runner that was paused meanwhile must not undo a newer one."""
    old, etag = _read(store, name)
    if old == data:
        return
    check()
    try:
        store.write(name, data, if_match=etag, if_absent=etag is None)
    except Conflict:
        if store.read(name)[0] != data:  # ours after a lost answer is fine
            raise
