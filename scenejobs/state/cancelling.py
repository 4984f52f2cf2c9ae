"""A scene is called off: `state/cancelled/<key>.json` names the versions of its uploads that nothing is started for.

A note beside the record, for whoever works on the scene holds the record's lease:

    cancel    writes the note; then, where nobody holds the record, takes back what it still asks for (`settle`)
    a runner  looks at the note with its heartbeat, stops its job as for SIGTERM, and settles the record itself
    others    leave out the uploads that the note covers: sealing, the sweep, status, the audit

The note covers the uploads as long as there is none but those it names: a new upload, or a new version of one, voids
it, and the scene runs with all that lies there. `scenejobs retry` removes it (`lift`). A result that was committed
before its runner saw the note stays. Written twice, or killed between any two steps, it ends the same.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from scenejobs.errors import Code, Conflict, InputError, LeaseLost, NotFound
from scenejobs.names import refusal
from scenejobs.ports import SMALL_BYTES, BlobInfo, BlobStore, Containers
from scenejobs.state import codec, previews, records
from scenejobs.state.blobs import InputBlob
from scenejobs.state.incoming import undeleted
from scenejobs.state.incoming.undeleted import version
from scenejobs.state.incoming.uploads import list_scene
from scenejobs.state.layout import cancelled_name, record_name
from scenejobs.state.record import Phase, SceneRecord

VERSION = 1
LEASE_S = 30  # only around the change of the record
DECIDED = (Phase.COMMITTED, Phase.FAILING)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Cancelled:
    """The note."""

    scene: str
    at: datetime
    versions: tuple[str, ...]  # of the uploads that lay there, by `undeleted.version`; none: only a wish was called off

    def covers(self, uploads: Iterable[BlobInfo | InputBlob]) -> bool:
        """Whether all of these are called off. Those of a scene at one time: one other voids the note."""
        known = frozenset(self.versions)
        return all(version(blob.name, blob.etag) in known for blob in uploads)

    def to_json(self) -> dict[str, Any]:
        return {"schema_version": VERSION, **codec.to_json(self)}

    @staticmethod
    def from_json(value: Any) -> Cancelled:
        """Raises ValueError."""
        codec.check_version(value, "cancelled", VERSION)
        return codec.from_json(value, Cancelled)


@dataclass(frozen=True)
class Noted:
    """A note with the ETag of the version it was read from."""

    note: Cancelled
    etag: str


@dataclass(frozen=True)
class Cancelling:
    """What `cancel` did."""

    scene: str
    uploads: int  # that stay in the input container
    stopping: bool  # a runner works on it yet, and stops within seconds


def cancel(containers: Containers, scene: str, depth: int = 1) -> Cancelling:
    """Calls a scene off. depth: levels of folders that name a scene. Safe to repeat.

    Raises InputError where nothing waits or runs, or the outcome is decided already; StorageError.
    """
    _check_name(scene)
    state = containers.state
    stored = records.load(state, scene)
    record = stored.record if stored else SceneRecord(scene)
    uploads = undeleted.without(state, scene, list_scene(containers.input, scene, depth))
    _check(record, uploads)
    versions = tuple(sorted(version(blob.name, blob.etag) for blob in uploads))
    note = Cancelled(scene, state.now(), versions)
    state.write(cancelled_name(scene), json.dumps(note.to_json()).encode())
    log.info("scene %s is cancelled", scene, extra={"event": "scene.cancelled", "scene": scene})
    stopping = stored is not None and not settle(state, scene)
    return Cancelling(scene, len(uploads), stopping)


def _check_name(scene: str) -> None:
    if reason := refusal(scene):
        raise InputError(f"no scene can be called {scene!r}: {reason}", code=Code.NO_SCENE)


def _check(record: SceneRecord, uploads: tuple[BlobInfo, ...]) -> None:
    scene = record.scene
    if record.phase in DECIDED:
        raise InputError(
            f"the outcome of scene {scene} is decided: its files are being put in their places", code=Code.NO_SCENE,
            advice=f"wait for it: scenejobs status {scene} --wait",
        )  # fmt: skip
    if record.held:
        raise InputError(f"scene {scene} is held: {record.held}", code=Code.NO_SCENE, advice="finish that first")
    if not uploads and record.phase is Phase.IDLE and record.wish is None:
        raise InputError(
            f"nothing of scene {scene} waits or runs", code=Code.NO_SCENE, advice=f"see: scenejobs status {scene}"
        )


def load(state: BlobStore, scene: str) -> Noted | None:
    """None where there is none; one that cannot be read is none either, and is told."""
    name = cancelled_name(scene)
    try:
        data, etag = state.read(name, limit_bytes=SMALL_BYTES)
        return Noted(Cancelled.from_json(codec.loads(data)), etag)
    except NotFound:
        return None
    except ValueError as exc:
        log.error("%s cannot be read, so its scene goes on: %s", name, exc, extra={"scene": scene})
        return None


def is_noted(state: BlobStore, scene: str) -> bool:
    """Whether there is a note. For who began without one: it was written since."""
    return load(state, scene) is not None


def left(state: BlobStore, noted: Noted | None, blobs: tuple[BlobInfo, ...]) -> tuple[BlobInfo, ...]:
    """Those of a scene's uploads that count: none where the note covers them. A note that is void is removed.

    noted: loaded before the uploads were listed. So what it does not cover came after it.
    """
    if noted is None or not blobs:
        return blobs
    if noted.note.covers(blobs):
        return ()
    remove(state, noted)
    return blobs


def settle(state: BlobStore, scene: str) -> bool:
    """Takes back what the record of a scene that is called off still asks for: an attempt whose runner is gone, a wish.

    False where somebody holds it, who sees the note, or where its outcome is decided. Raises StorageError.
    """
    try:
        lease = state.lease(record_name(scene), LEASE_S)
    except NotFound:
        return True
    except Conflict:
        return False
    try:
        stored = records.load(state, scene)
        if stored is None or stored.record.phase in DECIDED:
            return False
        record = stored.record.called_off(counts=True)
        if stored.record.phase is Phase.RUNNING:  # before the record: who is killed here does it again
            previews.remove(state, scene, stored.record.run)
        if record != stored.record:
            records.save(state, stored, record, lease)
    finally:
        with suppress(LeaseLost):
            lease.release()
    return True


def lift(state: BlobStore, scene: str) -> bool:
    """Somebody wants the scene after all. Whether there was a note."""
    try:
        state.delete(cancelled_name(scene))
    except NotFound:
        return False
    return True


def remove(state: BlobStore, noted: Noted) -> None:
    """Removes this note, which is void or over, and no newer one."""
    with suppress(NotFound, Conflict):
        state.delete(cancelled_name(noted.note.scene), if_match=noted.etag)


def is_off(state: BlobStore, scene: str) -> bool:
    """Whether a message about the scene asks for nothing: it is called off, and its outcome not decided.

    Who sees that a note is void removes it before anything else, so that one that is there counts.
    """
    if not is_noted(state, scene):
        return False
    try:
        return state.head(record_name(scene)).metadata.get("phase") not in DECIDED
    except NotFound:
        return True
