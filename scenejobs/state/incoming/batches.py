"""Sealed batches: `state/batches/<scene>/<digest>.json`, created once per set of uploads.

The batch is written before its message is sent, and stamped after. So a batch without a stamp means "maybe sent", and
sending again is harmless: the runner works on what a listing shows, not on what a message says.

The stamp is in the metadata too, so that one listing covers all scenes and hardly any batch has to be read.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from scenejobs.errors import Conflict, NotFound
from scenejobs.names import scene_key
from scenejobs.ports import BlobInfo, BlobStore
from scenejobs.state import codec
from scenejobs.state.blobs import InputBlob, digest
from scenejobs.state.incoming.uploads import snapshot
from scenejobs.state.layout import BATCHES, batch_name

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Batch:
    """One set of uploads that became a job."""

    scene: str
    blobs: tuple[InputBlob, ...]
    sealed_at: datetime
    why: str  # what ended the waiting
    queued_at: datetime | None = None  # when its message was last sent; None: not known to be sent
    sends: int = 0
    traceparent: str = ""
    unfit: str = ""  # why no execution can hold it, and none was started; told while it is not sent

    @property
    def digest(self) -> str:
        return digest(self.blobs)

    def sent(self, now: datetime) -> Batch:
        return replace(self, queued_at=now, sends=self.sends + 1)

    def to_json(self) -> dict[str, Any]:
        return {"scene": self.scene, "digest": self.digest, **codec.to_json(self)}

    @staticmethod
    def from_json(value: Any) -> Batch:
        """Raises ValueError."""
        return codec.from_json(value, Batch, added=("unfit",))


@dataclass(frozen=True)
class StoredBatch:
    """A batch with the ETag of the version it was read from."""

    batch: Batch
    etag: str


@dataclass(frozen=True)
class ListedBatch:
    """A batch as a listing shows it."""

    info: BlobInfo
    queued_at: datetime | None  # None: not sent, or written by a program that did not stamp the metadata
    sealed_at: datetime | None = None  # None: written by a program that did not tell it in the metadata
    sends: int = 1  # of its message

    @staticmethod
    def of(info: BlobInfo) -> ListedBatch:
        sends = info.metadata.get("sends", "")
        return ListedBatch(
            info,
            _time(info.metadata, "queued_at"),
            _time(info.metadata, "sealed_at"),
            int(sends) if sends.isdecimal() else 1,
        )

    @property
    def key(self) -> str:
        """Of its scene."""
        return self.info.name.split("/")[1]

    @property
    def digest(self) -> str:
        return self.info.name.rpartition("/")[2].removesuffix(".json")


def listed(state: BlobStore, scene: str | None = None) -> list[ListedBatch]:
    """Every batch that is still kept, or those of one scene. One listing."""
    found = state.list(f"{BATCHES}{scene_key(scene)}/" if scene is not None else BATCHES)
    return [ListedBatch.of(info) for info in found]


def by_key(found: Iterable[ListedBatch]) -> dict[str, list[ListedBatch]]:
    groups: dict[str, list[ListedBatch]] = {}
    for item in found:
        groups.setdefault(item.key, []).append(item)
    return groups


def unsealed(state: BlobStore, blobs: Sequence[BlobInfo], of_scene: Sequence[ListedBatch]) -> list[BlobInfo]:
    """Those of a scene's uploads that are in no batch known to be sent. Reads batches only when the set has changed."""
    entries = snapshot(blobs)
    if not blobs or any(item.queued_at and item.digest == digest(entries) for item in of_scene):
        return []
    sealed = sealed_blobs(read_all(state, may_hold(of_scene, blobs), remove_damaged=True))
    return [blob for blob, entry in zip(blobs, entries, strict=True) if entry not in sealed]


def may_hold(found: Iterable[ListedBatch], uploads: Iterable[BlobInfo]) -> list[ListedBatch]:
    """Those of a scene's batches that may hold some of the uploads: a batch that is older than all of them holds none.

    So a scene in which something always lies does not pay for every batch that it ever had.
    """
    oldest = min((blob.modified for blob in uploads), default=None)
    return [item for item in found if oldest is not None and item.info.modified >= oldest]


def remove_spent(state: BlobStore, found: Iterable[ListedBatch], uploads: Sequence[BlobInfo]) -> int:
    """Removes those of a scene's batches whose uploads are all gone; returns how many.

    found: listed before `uploads`, so that what is missing in these has left the input container.
    """
    kept = {item.info.name for item in may_hold(found, uploads)}
    removed = 0
    for item in found:
        if item.queued_at is not None and item.info.name not in kept:
            with suppress(NotFound, Conflict):  # somebody else removed it, or seals the same uploads again
                state.delete(item.info.name, if_match=item.info.etag)
                removed += 1
    return removed


def read_all(state: BlobStore, found: Iterable[ListedBatch], *, remove_damaged: bool = False) -> list[StoredBatch]:
    """The oldest first; without those that cannot be read."""
    read = [_read(state, item.info.name, remove_damaged) for item in found]
    return sorted((stored for stored in read if stored is not None), key=lambda stored: stored.batch.sealed_at)


def create(state: BlobStore, batch: Batch) -> StoredBatch | None:
    """Writes a new batch; None when this set of uploads has one already."""
    name = batch_name(batch.scene, batch.digest)
    try:
        return StoredBatch(batch, state.write(name, _encode(batch), if_absent=True, metadata=_metadata(batch)))
    except Conflict:
        return None


def load(state: BlobStore, scene: str, batch_digest: str) -> StoredBatch | None:
    return _read(state, batch_name(scene, batch_digest), remove_damaged=True)


def of_scene(state: BlobStore, scene: str) -> list[StoredBatch]:
    """Every batch of a scene that is still kept, the oldest first."""
    return read_all(state, listed(state, scene), remove_damaged=True)


def stamp(state: BlobStore, stored: StoredBatch, now: datetime) -> bool:
    """Notes that the message was sent. False when somebody else changed the batch meanwhile, who sent it too then."""
    batch = stored.batch.sent(now)
    try:
        name = batch_name(batch.scene, batch.digest)
        state.write(name, _encode(batch), if_match=stored.etag, metadata=_metadata(batch))
    except Conflict:
        return False
    return True


def sealed_blobs(stored: list[StoredBatch]) -> frozenset[InputBlob]:
    """The uploads that are known to have had a message."""
    return frozenset(blob for item in stored if item.batch.queued_at is not None for blob in item.batch.blobs)


def _read(state: BlobStore, name: str, remove_damaged: bool) -> StoredBatch | None:
    try:
        data, etag = state.read(name)
    except NotFound:  # tidied away since the listing
        return None
    try:
        return StoredBatch(Batch.from_json(codec.loads(data)), etag)
    except ValueError as exc:
        if remove_damaged:
            log.error("the batch %s cannot be read and is removed, so that its uploads are sealed anew: %s", name, exc)
            with suppress(NotFound, Conflict):
                state.delete(name, if_match=etag)
        return None


def _metadata(batch: Batch) -> dict[str, str]:
    metadata = {"sealed_at": batch.sealed_at.isoformat()}
    if batch.queued_at:
        metadata |= {"queued_at": batch.queued_at.isoformat(), "sends": str(batch.sends)}
    return metadata


def _time(metadata: Mapping[str, str], key: str) -> datetime | None:
    try:
        return codec.parse_time(metadata[key])
    except (KeyError, ValueError):
        return None


def _encode(batch: Batch) -> bytes:
    return json.dumps(batch.to_json(), indent=1).encode()
