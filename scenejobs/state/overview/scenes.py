"""Which scenes there are, and why one failed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from scenejobs.errors import Failure, NotFound, UnreadableRecord
from scenejobs.names import is_simple_key, scene_key
from scenejobs.ports import BlobInfo, BlobStore, Containers
from scenejobs.state import codec, layout, records
from scenejobs.state.incoming.uploads import sort_uploads


@dataclass(frozen=True)
class Entry:
    """One scene of a list. changed_at: of its record or its newest upload; None where only blocks are there."""

    scene: str
    changed_at: datetime | None


def known_scenes(containers: Containers, depth: int) -> list[Entry]:
    """Scenes with uploads, such that are being sent among them, or with a record, in the order of names.

    Two listings, however many results there are: what a scene has in the other containers, its record knows. Left out
    are records in which nothing ever happened, and those of scenes of which everything was deleted. A record whose name
    does not tell its scene is read; `containers` are best as `seen.look` gives them.
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
        tells = not (records.may_be_blank(info) or records.tells_erased(info))
        if scene and (scene in found or tells):
            found[scene] = max(before, info.modified) if before else info.modified
    return [Entry(scene, found[scene]) for scene in sorted(found)]


def _scene_of_record(state: BlobStore, info: BlobInfo) -> str:
    """Of one of a later program too. "" of one that says nothing: nobody knows what its scene is called."""
    key = layout.key_of_record(info.name)
    if is_simple_key(key):
        return key
    try:
        scene = codec.loads(state.read(info.name)[0])["scene"]
        return scene if layout.record_name(scene) == info.name else ""
    except (NotFound, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return ""


def failure_of(state: BlobStore, scene: str) -> Failure | None:
    """Why the last generation failed; None where it did not, or nobody can read it."""
    try:
        stored = records.load(state, scene)
    except UnreadableRecord:
        return None
    return stored.record.ending.failure if stored and stored.record.ending else None
