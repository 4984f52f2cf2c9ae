"""Where every uploaded version is: never in none, at rest in exactly one place, under its own bytes, used once.

A version is one upload: a name and its ETag. The blobs alone show the fate of every version that
was ever part of a decided generation. One that its user replaced or deleted before that left no trace, and needs none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from scenejobs.audit.snapshot import Evidence, Finding, SceneEvidence
from scenejobs.ports import BlobInfo
from scenejobs.state.blobs import InputBlob
from scenejobs.state.copies import SOURCE_ETAG, is_copy
from scenejobs.state.generations import Generation
from scenejobs.state.incoming import duplicates
from scenejobs.state.layout import generation_name, possible_archive_names, record_name
from scenejobs.state.moves import SUPERSEDED
from scenejobs.state.record import Outcome
from scenejobs.state.redrive import Redrive, Returned

RESTORE = "restore it (soft delete, versions)"


def check(evidence: Evidence, scene: SceneEvidence) -> Iterator[Finding]:
    yield from _generations(scene)
    yield from _used_once(scene)
    for found in scene.closed:
        redrive = scene.redrives.get(found.number)
        for blob in found.manifest:
            yield from _archived(evidence, scene, found, blob, redrive)
    yield from _duplicates(evidence, scene)
    if scene.ongoing is not None:
        for blob in scene.ongoing.manifest:
            yield from _on_its_way(evidence, scene.ongoing, blob)


def copies(evidence: Evidence, found: Generation, blob: InputBlob) -> list[tuple[str, BlobInfo]]:
    """Every copy of a version where this generation could have put it, with the kind of its container."""
    names = possible_archive_names(found.scene, blob.name, found.number, found.run)
    return [
        (kind, evidence.blobs[kind][name])
        for kind in ("processed", "error")
        for name in names
        if (info := evidence.blobs[kind].get(name)) and is_copy(info, blob.etag)
    ]


def _duplicates(evidence: Evidence, scene: SceneEvidence) -> Iterator[Finding]:
    """I1: an upload that was archived without a run lies in the archive, or still in `input`."""
    for found in scene.duplicates:
        upload = evidence.blobs["input"].get(found.name)
        there = any(
            is_copy(evidence.blobs[duplicates.KIND].get(place), found.etag, found.size_bytes) for place in found.places
        )
        if not there and (upload is None or upload.etag != found.etag) and evidence.retention is None:
            what = f"{found.name} was archived as no news, and is in none of the containers"
            yield Finding("I1", False, f"input/{found.name}", what, "its user replaced it, or it has to be restored")


def _generations(scene: SceneEvidence) -> Iterator[Finding]:
    """I2: generations are counted without gaps, and the record is not older than what it led to."""
    record, where = scene.record, f"state/{record_name(scene.scene)}"
    for number in range(record.erased + 1, record.generation):
        if number not in scene.generations:
            name = f"state/{generation_name(scene.scene, number)}"
            yield Finding("I2", True, name, "generation ended, and nothing tells what it consisted of", RESTORE)
    for number in sorted(scene.generations):
        if number > record.generation or (number == record.generation and scene.ongoing is None):
            what = f"it is at generation {record.generation}, and generation {number} has ended already"
            yield Finding("I2", True, where, what, "it was replaced by an older version: restore the newest")
    last = scene.generations.get(record.generation - 1)
    ending = record.ending
    if last is not None and (
        ending is None or (ending.outcome, ending.run, ending.archived) != (last.outcome, last.run, last.archived)
    ):
        yield Finding("I2", True, where, f"its ending is not that of generation {last.number}", "somebody changed it")


def _used_once(scene: SceneEvidence) -> Iterator[Finding]:
    """I2: no version is in two decided generations."""
    decided = [*scene.closed, *([scene.ongoing] if scene.ongoing else [])]
    uses = Counter((blob.name, blob.etag) for found in decided for blob in found.manifest)
    for (name, etag), count in uses.items():
        if count > 1:
            what = f"the version {etag} is in {count} generations of scene {scene.scene}"
            yield Finding("I2", True, f"input/{name}", what, "report it: the same upload was processed twice")


def _archived(
    evidence: Evidence, scene: SceneEvidence, found: Generation, blob: InputBlob, redrive: Redrive | None
) -> Iterator[Finding]:
    """A version of a generation that is over."""
    place = found.archived.get(blob.name, "")
    where = place or f"input/{blob.name}"
    if place == SUPERSEDED:
        return
    yield from _one_place(evidence, found, blob, place)
    kind, _, name = place.partition("/")
    returned = next((item for item in redrive.inputs if item.archived_as == name), None) if redrive else None
    if returned is not None and kind == "error" and not returned.superseded:
        yield from _brought_back(evidence, scene, blob, returned)
        return
    there = evidence.blobs.get(kind, {}).get(name)
    if there is None and evidence.is_expired(found):
        return
    if there is None:
        what = f"the upload {blob.name} of generation {found.number} is in none of the containers"
        yield Finding("I1", True, where, what, RESTORE)
    elif there.metadata.get(SOURCE_ETAG) != blob.etag:
        what = f"another version lies where {blob.name} of generation {found.number} was put"
        yield Finding("I6", True, where, what, f"it was overwritten: {RESTORE}")
    elif there.size_bytes != blob.size_bytes:
        what = f"{there.size_bytes} of {blob.size_bytes} bytes of {blob.name} are there"
        yield Finding("I1", True, where, what, RESTORE)


def _one_place(evidence: Evidence, found: Generation, blob: InputBlob, place: str) -> Iterator[Finding]:
    """I7: the version lies nowhere but in its place."""
    upload = evidence.blobs["input"].get(blob.name)
    if upload is not None and upload in evidence.done_with:
        note = evidence.undeleted.get(blob.etag)
        why = f": {note.why.cause}; tried {note.tries} times" if note else ""
        what = f"generation {found.number} ended with it, and it cannot be deleted{why}"
        yield Finding("I7", False, f"input/{blob.name}", what, note.why.advice if note else "")
    elif upload is not None and upload.etag == blob.etag:
        what = f"generation {found.number} ended with it, and it is still there"
        yield Finding("I7", True, f"input/{blob.name}", what, f"remove it: {place} is the same")
    for kind, copy in copies(evidence, found, blob):
        if f"{kind}/{copy.name}" != place:
            what = f"a second copy of {blob.name}, which lies in {place}"
            yield Finding("I7", True, f"{kind}/{copy.name}", what, "remove it")


def _brought_back(evidence: Evidence, scene: SceneEvidence, blob: InputBlob, returned: Returned) -> Iterator[Finding]:
    """A dead letter that was, or is being, brought back into the input container, as a new version."""
    original = evidence.blobs["error"].get(returned.archived_as)
    if original is not None and original.etag == returned.etag:
        return  # not yet deleted
    copy = evidence.blobs["input"].get(returned.name)
    decided = [*scene.generations.values(), *([scene.ongoing] if scene.ongoing else [])]
    used = any((item.name, item.etag) == (returned.name, returned.copied_etag) for g in decided for item in g.manifest)
    if copy is None and not used:
        what = (
            f"{blob.name} was brought back from error/{returned.archived_as}, and is neither waiting nor part of a run"
        )
        yield Finding("I1", False, f"input/{returned.name}", what, "its user deleted it, or it has to be restored")


def _on_its_way(evidence: Evidence, found: Generation, blob: InputBlob) -> Iterator[Finding]:
    """A version of a decided generation that is being archived."""
    upload = evidence.blobs["input"].get(blob.name)
    there = copies(evidence, found, blob)
    kind = "processed" if found.outcome is Outcome.SUCCEEDED else "error"
    for other, copy in there:
        if other != kind or len([1 for each, _ in there if each == kind]) > 1:
            what = f"a second copy of {blob.name}, which is being archived in {kind}"
            yield Finding("I7", True, f"{other}/{copy.name}", what, "remove it")
    if upload is not None and upload.etag == blob.etag:
        return
    if any(copy.size_bytes == blob.size_bytes for _, copy in there):
        return
    if there:
        what = f"{there[0][1].size_bytes} of {blob.size_bytes} bytes of {blob.name} are there, and the upload is gone"
        yield Finding("I1", True, f"{there[0][0]}/{there[0][1].name}", what, RESTORE)
    else:
        what = (
            "its version is in no container: its user replaced or deleted it during the run, or it has to be restored"
        )
        yield Finding("I1", False, f"input/{blob.name}", what)
