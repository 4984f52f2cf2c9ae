"""What every blob in `output`, `processed` and `error` is there for, and that results and reasons are whole."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from scenejobs.audit import check_uploads
from scenejobs.audit.snapshot import Evidence, Finding, SceneEvidence
from scenejobs.errors import NotFound, WrongChecksum
from scenejobs.ports import BlobStore
from scenejobs.state.copies import SOURCE_ETAG, is_copy, is_input
from scenejobs.state.generations import Generation
from scenejobs.state.incoming import duplicates
from scenejobs.state.layout import (
    ERROR_DOCUMENT,
    MANIFEST,
    RUN_LOG,
    document_names,
    possible_archive_names,
    published_name,
    run_folder,
)
from scenejobs.state.record import Outcome

RESTORE = "restore it (soft delete, versions)"
REASON_FIELDS = ("code", "cause", "advice", "attempts", "run", "at")


def check(evidence: Evidence, scene: SceneEvidence) -> Iterator[Finding]:
    succeeded = [found for found in scene.closed if found.outcome is Outcome.SUCCEEDED]
    publishing = scene.ongoing if scene.ongoing and scene.ongoing.outcome is Outcome.SUCCEEDED else None
    if publishing is not None:
        succeeded.append(publishing)
    gone = scene.record.expired.generation if scene.record.expired else 0  # removed in order, because they were old
    for found in succeeded:
        if found.number > gone:
            yield from _committed(evidence, found)
    shown = [found for found in succeeded if not found.withheld]
    if (
        shown and publishing is None and shown[-1].number > gone
    ):  # the newest result is the one that is shown, unless it was withheld
        yield from _published(evidence, shown[-1])
    yield from _reason(evidence, scene)


def unexplained(evidence: Evidence) -> Iterator[Finding]:
    """I3, I4: every blob of these containers belongs to something."""
    explained = {kind: _explained(evidence, kind) for kind in ("processed", "error")}
    for name in sorted(evidence.blobs["processed"].keys() - explained["processed"]):
        yield Finding("I3", True, f"processed/{name}", "no committed run used it", "find out who put it there")
    for name in sorted(evidence.blobs["error"].keys() - explained["error"]):
        yield Finding("I4", True, f"error/{name}", "no dead letter of a scene explains it", "find out who put it there")
    yield from _foreign_outputs(evidence)


def deep(evidence: Evidence, output: BlobStore) -> Iterator[Finding]:
    """I3: every file of every committed run still has the bytes that were committed. Reads them all."""
    for scene in evidence.scenes.values():
        for found in [*scene.closed, *([scene.ongoing] if scene.ongoing else [])]:
            for file in found.outputs:
                name = run_folder(scene.scene, found.run) + file.name
                try:
                    sha256 = _sha256(output, name)
                except NotFound:
                    continue  # reported by `check`
                if sha256 != file.sha256:
                    yield Finding("I3", True, f"output/{name}", "its bytes are not those that were committed", RESTORE)


def _sha256(store: BlobStore, name: str) -> str:
    """By way of the disk, as a result may be larger than the memory; "" where it is damaged. Raises NotFound."""
    with tempfile.TemporaryDirectory(prefix="audit-") as folder:
        path = Path(folder) / "file"
        try:
            store.download(name, path)
        except WrongChecksum:
            return ""
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


def _committed(evidence: Evidence, found: Generation) -> Iterator[Finding]:
    for file in found.outputs:
        name = run_folder(found.scene, found.run) + file.name
        there = evidence.blobs["output"].get(name)
        if there is None or there.size_bytes != file.size_bytes:
            what = "it is missing" if there is None else f"{there.size_bytes} of {file.size_bytes} bytes are there"
            yield Finding("I3", True, f"output/{name}", f"{what}, and generation {found.number} committed it", RESTORE)


def _published(evidence: Evidence, found: Generation) -> Iterator[Finding]:
    output = evidence.blobs["output"]
    for file in found.outputs:
        committed = output.get(run_folder(found.scene, found.run) + file.name)
        name = published_name(found.scene, file.name)
        there = output.get(name)
        if there is None:
            what = f"generation {found.number} is done, and its result is not published whole"
            yield Finding("I3", True, f"output/{name}", what, f"copy it from {run_folder(found.scene, found.run)}")
        elif committed is not None and there.metadata.get(SOURCE_ETAG) != committed.etag:
            what = f"it is not of generation {found.number}, the newest: files of different runs lie together"
            yield Finding("I6", True, f"output/{name}", what, f"copy it from {run_folder(found.scene, found.run)}")


def _reason(evidence: Evidence, scene: SceneEvidence) -> Iterator[Finding]:
    documents = _documents(scene)
    theirs = [info for info in evidence.below("error", scene.scene) if evidence.owner(info.name) is scene]
    if all(info.name in documents and not is_input(info) for info in theirs):
        return
    where, reason = f"error/{scene.scene}/{ERROR_DOCUMENT}", evidence.reasons.get(scene.scene)
    if reason is None:
        yield Finding("I4", True, where, "there are dead letters, and no reason that can be read", RESTORE)
    elif not isinstance(reason, dict) or (missing := [name for name in REASON_FIELDS if name not in reason]):
        what = f"it does not tell {', '.join(missing)}" if isinstance(reason, dict) else "it is no reason"
        yield Finding("I4", True, where, what, RESTORE)


def _documents(scene: SceneEvidence) -> set[str]:
    """Where reasons and logs of the scene may lie."""
    numbers = {scene.record.generation, *scene.generations}
    files = (ERROR_DOCUMENT, RUN_LOG)
    return {name for number in numbers for file in files for name in document_names(scene.scene, number, file)}


def _explained(evidence: Evidence, kind: str) -> set[str]:
    """Names that closed generations or those on their way put into a container."""
    names: set[str] = set()
    for scene in evidence.scenes.values():
        for found in scene.closed:
            names |= {place.partition("/")[2] for place in found.archived.values() if place.startswith(f"{kind}/")}
        for found in [*scene.closed, *([scene.ongoing] if scene.ongoing else [])]:
            # a second copy of a version is reported as such (check_uploads.py)
            names |= {
                copy.name
                for blob in found.manifest
                for at, copy in check_uploads.copies(evidence, found, blob)
                if at == kind
            }
        if scene.ongoing is not None:
            ongoing = scene.ongoing
            possible = {
                name
                for blob in ongoing.manifest
                for name in possible_archive_names(scene.scene, blob.name, ongoing.number, ongoing.run)
            }
            names |= {
                name for name in possible if SOURCE_ETAG in getattr(evidence.blobs[kind].get(name), "metadata", {})
            }
        if kind == duplicates.KIND:
            names |= {
                place
                for found in scene.duplicates
                for place in found.places
                if (info := evidence.blobs[kind].get(place)) and is_copy(info, found.etag)
            }
        if kind == "error":
            names |= _documents(scene)
    return names


def _stale(evidence: Evidence) -> Iterator[Finding]:
    """I6: nothing of an older result is published beside the newest, as if it were its own."""
    for scene in evidence.scenes.values():
        results = [found for found in scene.closed if found.outcome is Outcome.SUCCEEDED and not found.withheld]
        if not results or scene.ongoing is not None:
            continue
        newest = results[-1]
        older = {published_name(scene.scene, file.name) for found in results[:-1] for file in found.outputs}
        for name in sorted(older - {published_name(scene.scene, file.name) for file in newest.outputs}):
            if name in evidence.blobs["output"]:
                what = f"it is of an older run, and generation {newest.number}, the newest, has no such file"
                yield Finding("I6", True, f"output/{name}", what, "remove it: the older run keeps its own copy")


def _foreign_outputs(evidence: Evidence) -> Iterator[Finding]:
    committed: set[str] = set()
    published: set[str] = set()
    for scene in evidence.scenes.values():
        for found in [*scene.closed, *([scene.ongoing] if scene.ongoing else [])]:
            folder = run_folder(found.scene, found.run)
            committed |= {folder + file.name for file in found.outputs} | {folder + RUN_LOG}
            published |= {published_name(found.scene, file.name) for file in found.outputs}
    yield from _stale(evidence)
    for name in evidence.blobs["output"].keys() - committed - published:
        owner = evidence.owner(name)
        if owner is not None and name.startswith(f"{owner.scene}/runs/"):
            what = "a run that was not committed left it: nobody refers to it"
            yield Finding("I3", False, f"output/{name}", what, "it may be removed when nobody works on the scene")
        else:
            torn = ", and readers trust a manifest" if name.endswith(f"/{MANIFEST}") else ""
            what = f"no committed run published it{torn}"
            yield Finding("I6", True, f"output/{name}", what, "find out who put it there")
