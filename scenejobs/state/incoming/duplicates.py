"""Uploads that are no news: archived without a run, `state/duplicates/<key>/<digest>.json` says of each what it is.

Two kinds: the bytes of a file of the published result, uploaded once more; and a version that was archived before and
lies in the input container again, because somebody undeleted it or an older state of the account came back.
The note is written before the move, so that a copy in the archive is always explained.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from scenejobs.errors import Conflict, StorageError
from scenejobs.ports import BlobStore, Containers
from scenejobs.state import codec
from scenejobs.state.blobs import InputBlob, Member
from scenejobs.state.copies import is_copy
from scenejobs.state.incoming import undeleted
from scenejobs.state.layout import archive_names, duplicate_name
from scenejobs.state.moves import move, remove
from scenejobs.state.record import SceneRecord

VERSION = 1
KIND = "processed"  # the archive that they go to


@dataclass(frozen=True)
class Duplicate:
    """One upload that needed no run."""

    scene: str
    name: str  # in the input container
    etag: str
    size_bytes: int
    generation: int  # of the scene, when it was seen
    same_as: str  # "<container kind>/<name>" of the file with its bytes; "" for a version that was replaced before
    places: tuple[str, ...]  # names in the archive that it may lie under

    def to_json(self) -> dict[str, Any]:
        return {"schema_version": VERSION, **codec.to_json(self)}

    @staticmethod
    def from_json(value: Any) -> Duplicate:
        """Raises ValueError."""
        version = value.get("schema_version") if isinstance(value, dict) else None
        if version != VERSION:
            raise ValueError(f"version {version!r} of a duplicate's note; this program knows {VERSION}")
        return codec.from_json(value, Duplicate)


def put_away(
    containers: Containers,
    record: SceneRecord,
    blob: InputBlob,
    member: Member | None,
    depth: int,
    check: Callable[[], None],
) -> None:
    """Archives an upload that is no news, for the holder of the scene's lease. May be repeated.

    member: the file of the scene that it is the same as. depth: levels of folders that name a scene. `check` is called
    before every change.
    Raises StorageError.
    """
    scene = record.scene
    keep = undeleted.keeper(containers.state, scene, KIND, containers.state.now())
    if place := _in_archive(containers, scene, blob):  # this very version: only the upload is too many
        check()
        remove(blob, containers.input, lambda why: keep(blob, place, why))
        return
    name = duplicate_name(scene, blob.name, blob.etag)
    places = archive_names(scene, blob.name, record.generation, f"again-{name[-13:-5]}", depth)
    same_as = member.place if member else ""
    note = Duplicate(scene, blob.name, blob.etag, blob.size_bytes, record.generation, same_as, places)
    check()
    try:
        containers.state.write(name, json.dumps(note.to_json()).encode(), if_absent=True)
    except Conflict:
        note = read(containers.state, name)
    move(blob, containers.input, containers.processed, note.places, check, kept=keep)


def read(state: BlobStore, name: str) -> Duplicate:
    """Raises NotFound; StorageError when it cannot be understood."""
    data, _ = state.read(name)
    try:
        return Duplicate.from_json(codec.loads(data))
    except ValueError as exc:
        raise StorageError(f"{name} cannot be read: {exc}", advice="restore it (soft delete)") from exc


def _in_archive(containers: Containers, scene: str, blob: InputBlob) -> str:
    """The name of a whole copy of this version in the archive, "" when there is none."""
    for store in (containers.processed, containers.error):
        for info in store.list(f"{scene}/"):
            if is_copy(info, blob.etag, blob.size_bytes):
                return info.name
    return ""
