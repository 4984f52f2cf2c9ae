"""Reading and writing scene records: compare-and-swap under a lease, safe against lost acknowledgements.

A scene of thousands of uploads has lists of megabytes. These lie in blobs of their own (`state/parts/`), named by their
content, and the record only names them: it is rewritten at every step and stays small. A record with such parts has
schema version 2, so that a program that does not know them refuses it. So does, by version 3, one that would publish a
committed result that is to be withheld. All others have version 1, as they always had.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import uuid
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from scenejobs.errors import Conflict, LeaseLost, NotFound, UnreadableRecord
from scenejobs.ports import BlobInfo, BlobStore, Lease
from scenejobs.state import activity, codec
from scenejobs.state.layout import part_name, record_name
from scenejobs.state.record import RECORD_VERSION, Phase, SceneRecord

VERSION_WITH_PARTS = 2
VERSION_WITHHELD = 3  # with parts or without
INLINE_BYTES = 64 * 1024  # a longer list becomes a part
RESTORE = "it is damaged: restore it (soft delete, versions)"
NEWER = "a newer program wrote it: run that program again; until then nothing is begun with the scene"
LISTS = ("manifest", "carried", "contents", "shown", "retired", "unused")  # fields of a record that may be long


@dataclass(frozen=True)
class Stored:
    """A record with the ETag of the version it was read from."""

    record: SceneRecord
    etag: str
    parts: frozenset[str] = frozenset()  # SHA-256 of the parts this version names
    marker: str = field(default="", compare=False)  # ETag of the scene's marker, where this program wrote it


def load(state: BlobStore, scene: str) -> Stored | None:
    """The record of a scene, None when there is none yet. Raises UnreadableRecord when it cannot be understood."""
    return read(state, record_name(scene))


def read(state: BlobStore, name: str) -> Stored | None:
    """The same for the name of a record's blob."""
    for tries_left in (1, 0):
        try:
            data, etag = state.read(name)
        except NotFound:
            return None
        try:
            body, parts = _completed(state, name, codec.loads(data))
            return Stored(SceneRecord.from_json(body), etag, parts)
        except NotFound as exc:  # a part: the record may have moved on since it was read, and the part been removed
            if not tries_left:
                raise UnreadableRecord(f"{name} names a part that is gone: {exc}", advice=RESTORE) from exc
        except ValueError as exc:
            advice = NEWER if _is_newer(data) else RESTORE
            raise UnreadableRecord(f"the record {name} cannot be read: {exc}", advice=advice) from exc
    return None


def ensure(state: BlobStore, scene: str) -> None:
    """Creates an idle record where there is none."""
    with contextlib.suppress(Conflict):  # it exists already: what was wanted
        record = SceneRecord(scene)
        body, parts = _split(record)
        state.write(record_name(scene), _encode(body), if_absent=True, metadata=_metadata(record, parts))


def save(state: BlobStore, stored: Stored, record: SceneRecord, lease: Lease) -> Stored:
    """Replaces the version that was read. Raises LeaseLost when somebody else wrote, or holds the lease now.

    The service's retry can turn a success into a 412 (the first answer was lost on the way). So a refusal is resolved
    by reading back: a record with our write id is ours. The scene's marker is kept on the way (activity.py): it is
    there before the record is active, and gone after it is idle.
    """
    write_id = uuid.uuid4().hex
    name = record_name(record.scene)
    body, parts = _split(record)
    metadata = _metadata(record, parts)
    marker, ends = _marked(state, stored, record)
    for sha256, data in parts.items():
        if sha256 not in stored.parts:  # first the part: written again it is the same, only younger than any tidying
            state.write(part_name(record.scene, sha256), data)
    try:
        etag = state.write(
            name,
            _encode({**body, "write_id": write_id}),
            if_match=stored.etag,
            lease=lease,
            metadata=metadata,
        )
    except Conflict as exc:
        data, etag = state.read(name)
        if codec.loads(data).get("write_id") != write_id:
            raise LeaseLost(f"the record of scene {record.scene} was changed by somebody else") from exc
    if ends:
        activity.clear(state, record.scene, marker)
        marker = ""
    return Stored(record, etag, frozenset(parts), marker)


def is_active(stored: Stored) -> bool:
    """Whether somebody has to come back to the scene (activity.py)."""
    return activity.is_active(_metadata(stored.record, {}))


def may_be_blank(info: BlobInfo) -> bool:
    """Whether a listed record is as small as one in which nothing ever happened; one with an ending is larger."""
    return info.size_bytes <= len(_encode(_split(SceneRecord("x" * 100))[0]))


def tells_erased(info: BlobInfo) -> bool:
    """Whether a listed record is the tombstone of a scene of which everything was deleted."""
    return "erased" in info.metadata


def is_blank(stored: Stored) -> bool:
    return stored.record == SceneRecord(stored.record.scene)


def unmark(state: BlobStore, stored: Stored) -> None:
    """Removes a marker that a runner left behind that was killed after its last write. By the holder of the lease."""
    if not is_active(stored):
        activity.clear(state, stored.record.scene, activity.version(state, stored.record.scene))


def _marked(state: BlobStore, stored: Stored, record: SceneRecord) -> tuple[str, bool]:
    """The ETag of the scene's marker, which is there now if `record` is active, and whether it is to go afterwards."""
    was, becomes = (activity.is_active(_metadata(each, {})) for each in (stored.record, record))
    if becomes and not stored.marker:
        return activity.mark(state, record.scene), False
    if was and not becomes:  # asked for under the lease: later it may be the marker of the next who takes the scene
        return stored.marker or activity.version(state, record.scene), True
    return stored.marker, False


def due_at(metadata: dict[str, str]) -> datetime | None:
    """Before when no attempt begins, from a record's metadata as a listing shows them; None: now is fine."""
    try:
        return codec.parse_time(metadata["not_before"])
    except (KeyError, ValueError):
        return None


def parts_in(metadata: dict[str, str]) -> frozenset[str]:
    """The parts that a record names, from its metadata as a listing shows them."""
    return frozenset(metadata.get("parts", "").split())


def _metadata(record: SceneRecord, parts: dict[str, bytes]) -> dict[str, str]:
    """Listings show it, so that a sweep need not read every record there ever was."""
    metadata = {"phase": str(record.phase)}
    if record.not_before:
        metadata["not_before"] = record.not_before.isoformat()
    if record.held:
        metadata["held"] = "true"
    if record.wish:
        metadata["wish"] = record.wish.kind
    if record.expired:
        metadata["expired"] = "true"
    if record.is_erased:
        metadata["erased"] = "true"
    if parts:
        metadata["parts"] = " ".join(sorted(parts))
    return metadata


def _split(record: SceneRecord) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The record's body, and the lists that are too long for it by their SHA-256."""
    body = record.to_json()
    parts: dict[str, bytes] = {}
    named = {}
    holders: list[tuple[dict[str, Any], str, Any]] = [(body, name, []) for name in LISTS if body.get(name)]
    for holder, key, empty in (*holders, (body["ending"] or {}, "archived", {})):
        data = json.dumps(holder.get(key, empty), separators=(",", ":")).encode()
        if len(data) > INLINE_BYTES:
            named[key] = hashlib.sha256(data).hexdigest()
            parts[named[key]] = data
            holder[key] = empty
    if named:
        body |= {"schema_version": VERSION_WITH_PARTS, "parts": named}
    if record.phase is Phase.COMMITTED and record.withheld:
        body["schema_version"] = VERSION_WITHHELD
    return body, parts


def _completed(state: BlobStore, name: str, body: Any) -> tuple[Any, frozenset[str]]:
    """The body with its parts put back. Raises NotFound, ValueError."""
    if not isinstance(body, dict) or body.get("schema_version") not in (VERSION_WITH_PARTS, VERSION_WITHHELD):
        return body, frozenset()
    named = body.get("parts", {} if body["schema_version"] == VERSION_WITHHELD else None)
    if not isinstance(named, dict) or not named.keys() <= {*LISTS, "archived"}:
        raise ValueError(f"it names parts that this program does not know: {named!r}")
    for key, sha256 in named.items():
        data, _ = state.read(part_name(str(body["scene"]), str(sha256)))
        if hashlib.sha256(data).hexdigest() != sha256:
            raise ValueError(f"the part {sha256} of {name} is damaged")
        holder = body["ending"] if key == "archived" else body
        holder[key] = codec.loads(data)
    return {**body, "schema_version": RECORD_VERSION}, frozenset(map(str, named.values()))


def _is_newer(data: bytes) -> bool:
    """Whether a record that cannot be read says that it is of a later program."""
    try:
        version = codec.loads(data)["schema_version"]
    except (ValueError, KeyError, TypeError):
        return False
    return isinstance(version, int) and version > VERSION_WITHHELD


def _encode(body: dict[str, Any]) -> bytes:
    return json.dumps(body, indent=1).encode()
