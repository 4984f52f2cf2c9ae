"""Listing the input container. The listing is the only truth about what was uploaded; events are hints."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass, field

from scenejobs.errors import Code, NotFound
from scenejobs.names import is_used, scene_of, upload_refusal
from scenejobs.ports import BlobInfo, BlobStore
from scenejobs.state.blobs import InputBlob
from scenejobs.state.control_names import scene_refusal

ARCHIVED = (
    f"{Code.ARCHIVE_TIER}: it lies in the archive tier, where it cannot be read: rehydrate it "
    "(az storage blob set-tier --tier Hot), or delete it and upload it again"
)
REHYDRATING = f"{Code.ARCHIVE_TIER}: it is on its way out of the archive tier (up to 15 hours), and used after that"


def refusal_at(name: str, depth: int) -> str | None:
    """Why an upload's name is used for nothing where `depth` levels of folders name a scene, None when it is used."""
    return upload_refusal(name) or scene_refusal(scene_of(name, depth))


@dataclass(frozen=True)
class Refused:
    """A listed blob that is not used for anything: for its name, or for what it is."""

    name: str
    reason: str
    for_its_name: bool = True

    @property
    def in_archive_tier(self) -> bool:
        """Its bytes cannot be read now. Rehydrated, it counts as a new upload, for a listing shows it as one."""
        return self.reason in (ARCHIVED, REHYDRATING)


@dataclass(frozen=True)
class Sending:
    """A name that a run would read, and of which nothing whole is there yet: `BlobStore.list` does not show it."""

    name: str
    size_bytes: int | None = None  # of what is there; None: `BlobStore.sent_bytes` knows


@dataclass(frozen=True)
class Uploads:
    """What a listing shows, sorted into scenes."""

    scenes: dict[str, tuple[BlobInfo, ...]]
    refused: tuple[Refused, ...]
    sending: dict[str, tuple[Sending, ...]] = field(default_factory=dict)


def sort_uploads(blobs: Iterable[BlobInfo], depth: int, sent: Iterable[str] = ()) -> Uploads:
    """An upload that is itself a copy on the server counts once it is whole; one that failed can never be used.

    A directory of an account with a hierarchical namespace is nothing.
    sent: names whose blocks are being sent (`Listing.sending`).
    """
    scenes: dict[str, list[BlobInfo]] = {}
    refused = []
    under_way = [Sending(name) for name in sent]
    for blob in blobs:
        if _is_called_folder(blob) and not blob.size_bytes:
            continue
        if blob.copy == "pending":
            under_way.append(Sending(blob.name, blob.copied_bytes))
            continue
        if reason := refusal_at(blob.name, depth):
            refused.append(Refused(blob.name, reason))
        elif reason := _unusable(blob):
            refused.append(Refused(blob.name, reason, for_its_name=False))
        else:
            scenes.setdefault(scene_of(blob.name, depth), []).append(blob)
    sending: dict[str, list[Sending]] = {}
    for item in under_way:
        if refusal_at(item.name, depth) is None and is_used(item.name):
            sending.setdefault(scene_of(item.name, depth), []).append(item)
    return Uploads(
        {scene: tuple(found) for scene, found in scenes.items()},
        tuple(refused),
        {scene: tuple(sorted(found, key=lambda item: item.name)) for scene, found in sending.items()},
    )


def _unusable(blob: BlobInfo) -> str:
    """Why a blob of a good name is used for nothing; "" when it is used."""
    if blob.copy:
        return "the copy that was to make it failed"
    if blob.archived:
        return REHYDRATING if blob.rehydrating else ARCHIVED
    if _is_called_folder(blob):
        return f"it has {blob.size_bytes:,} bytes, and its metadata hdi_isfolder=true calls it a directory"
    return blob.unusable


def _is_called_folder(blob: BlobInfo) -> bool:
    """Keys of metadata are the same in any case; clients show them as they were written."""
    return any((key.lower(), value.lower()) == ("hdi_isfolder", "true") for key, value in blob.metadata.items())


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


@dataclass(frozen=True)
class SceneUploads:
    """What one look at a scene's part of the input container showed."""

    blobs: tuple[BlobInfo, ...]  # in the order of names
    refused: tuple[Refused, ...]
    sending: tuple[Sending, ...]


def look_at(store: BlobStore, scene: str, depth: int) -> SceneUploads:
    """As `look`, with what is being sent. It costs a call more only where an empty blob makes it unclear."""
    found, sent = list[BlobInfo](), list[str]()
    # files at the root are scenes of their own, named by their stem
    for prefix in (f"{scene}/", *(() if "/" in scene else (f"{scene}.",))):
        listing = store.list_all(prefix)
        found += listing.blobs
        sent += listing.sending
    if "/" not in scene:
        with contextlib.suppress(NotFound):  # the usual case: no root file without an extension bears the name
            found.append(store.head(scene))
    uploads = sort_uploads(found, depth, sent)
    blobs = tuple(sorted(uploads.scenes.get(scene, ()), key=lambda blob: blob.name))
    return SceneUploads(blobs, uploads.refused, uploads.sending.get(scene, ()))


def snapshot(blobs: Iterable[BlobInfo]) -> tuple[InputBlob, ...]:
    return tuple(InputBlob(blob.name, blob.etag, blob.size_bytes, blob.content_md5) for blob in blobs)
