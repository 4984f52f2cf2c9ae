"""Which scenes there are, and why one failed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from scenejobs.errors import Failure, UnreadableRecord
from scenejobs.names import is_simple_key, scene_key
from scenejobs.ports import BlobInfo, BlobStore, Containers
from scenejobs.state import layout, records
from scenejobs.state.control_names import stored_scene
from scenejobs.state.incoming.uploads import sort_uploads


def known_scenes(containers: Containers, depth: int) -> list[str]:
    """Scenes with uploads, such that are being sent among them, results or failures. It lists three containers."""
    listing = containers.input.list_all()
    uploads = sort_uploads(listing.blobs, depth, listing.sending)
    return sorted(
        {*uploads.scenes, *uploads.sending, *_folders(containers.output, depth), *_folders(containers.error, depth)}
    )


def _folders(store: BlobStore, depth: int) -> Iterator[str]:
    for blob in store.list():
        folder, _, file = blob.name.rpartition("/")
        if file in (layout.MANIFEST, layout.ERROR_DOCUMENT) and stored_scene(blob.name, depth) == folder:
            yield folder


@dataclass(frozen=True)
class Entry:
    """One scene of a list. changed_at: of its record or its newest upload; None where only blocks are there."""

    scene: str
    changed_at: datetime | None


def recorded_scenes(containers: Containers, depth: int) -> list[Entry]:
    """Scenes with uploads or with a record, in the order of names. Two listings, however many results there are.

    A record whose name does not tell its scene is read; `containers` are best as `seen.look` gives them.
    """
    listing = containers.input.list_all()
    uploads = sort_uploads(listing.blobs, depth, listing.sending)
    found: dict[str, datetime | None] = dict.fromkeys(uploads.sending)
    for scene, blobs in uploads.scenes.items():
        found[scene] = max(blob.modified for blob in blobs)
    scenes = {scene_key(scene): scene for scene in found}
    for info in containers.state.list(layout.RECORDS):
        scene = scenes.get(layout.key_of_record(info.name)) or _scene_of_record(containers.state, info)
        before = found.get(scene)
        if scene and (scene in found or not records.may_be_blank(info)):
            found[scene] = max(before, info.modified) if before else info.modified
    return [Entry(scene, found[scene]) for scene in sorted(found)]


def _scene_of_record(state: BlobStore, info: BlobInfo) -> str:
    """ "" of one that cannot be read: nothing says what its scene is called."""
    key = layout.key_of_record(info.name)
    if is_simple_key(key):
        return key
    try:
        stored = records.read(state, info.name)
    except UnreadableRecord:
        return ""
    return stored.record.scene if stored else ""


def failure_of(state: BlobStore, scene: str) -> Failure | None:
    """Why the last generation failed; None where it did not, or nobody can read it."""
    try:
        stored = records.load(state, scene)
    except UnreadableRecord:
        return None
    return stored.record.ending.failure if stored and stored.record.ending else None
