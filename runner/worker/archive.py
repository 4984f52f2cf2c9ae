"""Moves the inputs of a decided generation out of the input container, each by `scenejobs.state.moves`.

Driven by the frozen manifest, never by a second listing. Nothing in the archive is ever overwritten: a name that is
taken by another version sends the input to the generation's folder.
"""

from __future__ import annotations

from collections.abc import Callable

from scenejobs.ports import BlobStore
from scenejobs.state.copies import is_copy
from scenejobs.state.layout import archive_names, possible_archive_names
from scenejobs.state.moves import SUPERSEDED, move
from scenejobs.state.record import SceneRecord


def archive(
    record: SceneRecord,
    source: BlobStore,
    destination: BlobStore,
    kind: str,
    check: Callable[[], None],
    depth: int = 1,
) -> dict[str, str]:
    """Moves every input of the record's manifest; returns where each lies now ("<kind>/<name>", or "superseded").

    `depth`: levels of folders that name a scene.
    `check` is called before every change and raises when another runner may hold the scene.
    Raises StorageError when a copy is not whole or an input cannot be deleted.
    """
    locations = {}
    # Listed once instead of a request for each of thousands of inputs.
    existing = {info.name: info for info in destination.list(f"{record.scene}/")}
    for blob in record.manifest:
        named = (record.scene, blob.name, record.generation, record.run)
        begun = [n for n in possible_archive_names(*named) if is_copy(existing.get(n), blob.etag, blob.size_bytes)]
        names = (*begun, *archive_names(*named, depth))  # begun: by an earlier program too
        place = move(blob, source, destination, names, check, existing)
        locations[blob.name] = place if place == SUPERSEDED else f"{kind}/{place}"
    return locations
