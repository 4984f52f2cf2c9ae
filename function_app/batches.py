"""Sealed batches: `state/batches/<scene>/<digest>.json`, created once per set of uploads.

The batch is written before its message is sent, and stamped after. So a batch without a stamp means "maybe sent", and
sending again is harmless: the runner works on what a listing shows, not on what a message says.
"""

from __future__ import annotations

import json
import logging
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from scenejobs.errors import Conflict, NotFound
from scenejobs.layout import batch_name
from scenejobs.model import InputBlob, digest
from scenejobs.names import scene_key
from scenejobs.ports import BlobStore

log = logging.getLogger(__name__)

FOLDER = "batches/"


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

    @property
    def digest(self) -> str:
        return digest(self.blobs)

    def sent(self, now: datetime) -> Batch:
        return replace(self, queued_at=now, sends=self.sends + 1)

    def to_json(self) -> dict[str, Any]:
        return {
            "scene": self.scene,
            "digest": self.digest,
            "blobs": [blob.to_json() for blob in self.blobs],
            "sealed_at": self.sealed_at.isoformat(),
            "why": self.why,
            "queued_at": self.queued_at.isoformat() if self.queued_at else None,
            "sends": self.sends,
            "traceparent": self.traceparent,
        }

    @staticmethod
    def from_json(value: dict[str, Any]) -> Batch:
        return Batch(
            scene=str(value["scene"]),
            blobs=tuple(InputBlob.from_json(blob) for blob in value["blobs"]),
            sealed_at=datetime.fromisoformat(value["sealed_at"]),
            why=str(value["why"]),
            queued_at=datetime.fromisoformat(value["queued_at"]) if value["queued_at"] else None,
            sends=int(value["sends"]),
            traceparent=str(value["traceparent"]),
        )


@dataclass(frozen=True)
class StoredBatch:
    """A batch with the ETag of the version it was read from."""

    batch: Batch
    etag: str


def create(state: BlobStore, batch: Batch) -> StoredBatch | None:
    """Writes a new batch; None when this set of uploads has one already."""
    name = batch_name(batch.scene, batch.digest)
    try:
        return StoredBatch(batch, state.write(name, _encode(batch), if_absent=True))
    except Conflict:
        return None


def load(state: BlobStore, scene: str, batch_digest: str) -> StoredBatch | None:
    return _read(state, batch_name(scene, batch_digest))


def of_scene(state: BlobStore, scene: str) -> list[StoredBatch]:
    """Every batch of a scene that is still kept, the oldest first."""
    found = [_read(state, blob.name) for blob in state.list(f"{FOLDER}{scene_key(scene)}/")]
    return sorted((stored for stored in found if stored is not None), key=lambda stored: stored.batch.sealed_at)


def stamp(state: BlobStore, stored: StoredBatch, now: datetime) -> bool:
    """Notes that the message was sent. False when somebody else changed the batch meanwhile, who sent it too then."""
    batch = stored.batch.sent(now)
    try:
        state.write(batch_name(batch.scene, batch.digest), _encode(batch), if_match=stored.etag)
    except Conflict:
        return False
    return True


def sealed_blobs(stored: list[StoredBatch]) -> frozenset[InputBlob]:
    """The uploads that are known to have had a message."""
    return frozenset(blob for item in stored if item.batch.queued_at is not None for blob in item.batch.blobs)


def _read(state: BlobStore, name: str) -> StoredBatch | None:
    try:
        data, etag = state.read(name)
    except NotFound:  # tidied away since the listing
        return None
    try:
        return StoredBatch(Batch.from_json(json.loads(data)), etag)
    except (ValueError, KeyError, TypeError) as exc:
        log.error("the batch %s cannot be read and is removed, so that its uploads are sealed anew: %s", name, exc)
        with suppress(NotFound, Conflict):
            state.delete(name, if_match=etag)
        return None


def _encode(batch: Batch) -> bytes:
    return json.dumps(batch.to_json(), indent=1).encode()
