"""Listing the input container. The listing is the only truth about what was uploaded; events are hints."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass

from scenejobs.errors import NotFound
from scenejobs.names import scene_of, upload_refusal
from scenejobs.ports import BlobInfo, BlobStore
from scenejobs.state.blobs import InputBlob
from scenejobs.state.control_names import scene_refusal


def refusal_at(name: str, depth: int) -> str | None:
    """Why an upload's name is used for nothing where `depth` levels of folders name a scene, None when it is used."""
    return upload_refusal(name) or scene_refusal(scene_of(name, depth))


@dataclass(frozen=True)
class Refused:
    """A listed blob whose name is not used for anything."""

    name: str
    reason: str


@dataclass(frozen=True)
class Uploads:
    """What a listing shows, sorted into scenes."""

    scenes: dict[str, tuple[BlobInfo, ...]]
    refused: tuple[Refused, ...]


def sort_uploads(blobs: Iterable[BlobInfo], depth: int) -> Uploads:
    """An upload that is itself a copy on the server counts once it is whole; one that failed can never be used."""
    scenes: dict[str, list[BlobInfo]] = {}
    refused = []
    for blob in blobs:
        if blob.copy == "pending":
            continue
        reason = refusal_at(blob.name, depth) or ("the copy that was to make it failed" if blob.copy else None)
        if reason:
            refused.append(Refused(blob.name, reason))
        else:
            scenes.setdefault(scene_of(blob.name, depth), []).append(blob)
    return Uploads({scene: tuple(found) for scene, found in scenes.items()}, tuple(refused))


def list_scene(store: BlobStore, scene: str, depth: int) -> tuple[BlobInfo, ...]:
    """Every blob of one scene, in the order of names. `scene` itself must have passed `refusal`."""
    return look(store, scene, depth)[0]


def look(store: BlobStore, scene: str, depth: int) -> tuple[tuple[BlobInfo, ...], tuple[Refused, ...]]:
    """The same, and what lies in the scene's folder under names that are used for nothing."""
    found = list(store.list(f"{scene}/"))
    if "/" not in scene:  # files at the root are scenes of their own, named by their stem
        found += store.list(f"{scene}.")
        with contextlib.suppress(NotFound):  # the usual case: no root file without an extension bears the name
            found.append(store.head(scene))
    uploads = sort_uploads(found, depth)
    return tuple(sorted(uploads.scenes.get(scene, ()), key=lambda blob: blob.name)), uploads.refused


def snapshot(blobs: Iterable[BlobInfo]) -> tuple[InputBlob, ...]:
    return tuple(InputBlob(blob.name, blob.etag, blob.size_bytes) for blob in blobs)
