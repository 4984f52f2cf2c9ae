"""Reading and writing scene records: compare-and-swap under a lease, safe against lost acknowledgements."""

from __future__ import annotations

import contextlib
import json
import uuid
from dataclasses import dataclass

from scenejobs.errors import Conflict, LeaseLost, NotFound, StorageError
from scenejobs.layout import record_name
from scenejobs.model import SceneRecord
from scenejobs.ports import BlobStore, Lease


@dataclass(frozen=True)
class Stored:
    """A record with the ETag of the version it was read from."""

    record: SceneRecord
    etag: str


def load(state: BlobStore, scene: str) -> Stored | None:
    """The record of a scene, None when there is none yet. Raises StorageError when it cannot be understood."""
    try:
        data, etag = state.read(record_name(scene))
    except NotFound:
        return None
    try:
        return Stored(SceneRecord.from_json(json.loads(data)), etag)
    except ValueError as exc:
        raise StorageError(
            f"the record {record_name(scene)} cannot be read: {exc}",
            advice="a newer program wrote it, or it is damaged",
        ) from exc


def ensure(state: BlobStore, scene: str) -> None:
    """Creates an idle record where there is none."""
    with contextlib.suppress(Conflict):  # it exists already: what was wanted
        record = SceneRecord(scene)
        state.write(record_name(scene), _encode(record), if_absent=True, metadata=_metadata(record))


def save(state: BlobStore, stored: Stored, record: SceneRecord, lease: Lease) -> Stored:
    """Replaces the version that was read. Raises LeaseLost when somebody else wrote, or holds the lease now.

    The service's retry can turn a success into a 412 (the first answer was lost on the way). So a refusal is settled by
    reading back: a record with our write id is ours.
    """
    write_id = uuid.uuid4().hex
    name = record_name(record.scene)
    try:
        etag = state.write(
            name, _encode(record, write_id), if_match=stored.etag, lease=lease, metadata=_metadata(record)
        )
        return Stored(record, etag)
    except Conflict as exc:
        data, etag = state.read(name)
        if json.loads(data).get("write_id") == write_id:
            return Stored(record, etag)
        raise LeaseLost(f"the record of scene {record.scene} was changed by somebody else") from exc


def _metadata(record: SceneRecord) -> dict[str, str]:
    return {"phase": str(record.phase)}  # listings show it, so that a sweep need not read every record there ever was


def _encode(record: SceneRecord, write_id: str = "") -> bytes:
    return json.dumps({**record.to_json(), "write_id": write_id}, indent=1).encode()
