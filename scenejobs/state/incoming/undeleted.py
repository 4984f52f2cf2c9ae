"""Uploads that are done with and cannot be deleted: `state/undeleted/<key>/<version>.json`, one for each version.

Their bytes are in the archive, their generation has ended, and a snapshot, a lease, a legal hold, an immutability
policy or a missing right keeps them where they were uploaded. Noted, such a version is no upload any more: whoever
lists the input container leaves it out (`Known`), so that its scene goes on without it. A new upload of the name is
another version. `status` tells what keeps it; sweeps and runners try again, later each time (`clear_away`), and no
execution is started for that.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from scenejobs.errors import Conflict, Failure, NotFound, SceneJobError, StorageError
from scenejobs.logs.alerts import Alert, log_alert
from scenejobs.ports import SMALL_BYTES, BlobInfo, BlobStore
from scenejobs.state import codec
from scenejobs.state.blobs import InputBlob
from scenejobs.state.executions import back_off
from scenejobs.state.layout import UNDELETED, undeleted_folder, undeleted_name
from scenejobs.state.moves import Kept, remove

VERSION = 1
MOST_TRIES = 100  # by one look: each may cost a round trip, and nobody waits for it
NEXT_TRY = "next_try_at"  # in the metadata, so that a listing tells what is due

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Undeleted:
    """One version that lies there although it is done with."""

    scene: str
    name: str  # in the input container
    etag: str
    size_bytes: int
    place: str  # "<container kind>/<name>" of its verified copy
    since: datetime
    tries: int
    next_try_at: datetime
    why: Failure  # of the last try to delete it

    @property
    def blob(self) -> InputBlob:
        return InputBlob(self.name, self.etag, self.size_bytes)

    def to_json(self) -> dict[str, Any]:
        return {"schema_version": VERSION, **codec.to_json(self)}

    @staticmethod
    def from_json(value: Any) -> Undeleted:
        """Raises ValueError."""
        codec.check_version(value, "undeleted", VERSION)
        return codec.from_json(value, Undeleted)


class Known:
    """The versions that are noted. An empty one costs nothing to ask."""

    def __init__(self, notes: Iterable[BlobInfo]) -> None:
        self._versions = frozenset(_version_of(info.name) for info in notes)

    @staticmethod
    def of_scene(state: BlobStore, scene: str) -> Known:
        """One listing."""
        return Known(state.list(undeleted_folder(scene)))

    @staticmethod
    def of_all(state: BlobStore) -> Known:
        """One listing."""
        return Known(state.list(UNDELETED))

    def __contains__(self, blob: BlobInfo | InputBlob) -> bool:
        return bool(self._versions) and version(blob.name, blob.etag) in self._versions

    def without(self, blobs: Iterable[BlobInfo]) -> tuple[BlobInfo, ...]:
        return tuple(blob for blob in blobs if blob not in self)


def without(state: BlobStore, scene: str, blobs: tuple[BlobInfo, ...]) -> tuple[BlobInfo, ...]:
    """A scene's uploads without those that are done with. Asks only where there are any."""
    return Known.of_scene(state, scene).without(blobs) if blobs else blobs


def version(name: str, etag: str) -> str:
    """Names one version of one upload."""
    return hashlib.sha256(f"{name}\0{etag}".encode("utf-8", "surrogatepass")).hexdigest()[:32]


def note(state: BlobStore, scene: str, blob: InputBlob, place: str, why: SceneJobError, now: datetime) -> None:
    """Before its generation is closed. Noted twice it is the same; the first note stands."""
    due = now + timedelta(seconds=back_off.after(1))
    found = Undeleted(scene, blob.name, blob.etag, blob.size_bytes, place, now, 1, due, why.failure())
    try:
        state.write(_name(found), _encode(found), if_absent=True, metadata={NEXT_TRY: due.isoformat()})
    except Conflict:
        log.debug("%s is noted already", blob.name)


def keeper(state: BlobStore, scene: str, kind: str, now: datetime, told: list[str] | None = None) -> Kept:
    """For `moves.move`: notes a version that is copied and cannot be deleted. kind: of the container of its copy.

    told: collects a line for each, instead of an alert for each.
    """

    def keep(blob: InputBlob, name: str, why: SceneJobError) -> None:
        note(state, scene, blob, f"{kind}/{name}", why, now)
        line = f"{blob.name}: {why}"
        if told is None:
            alert(scene, f"an upload is archived and cannot be deleted, {line}")
        else:
            told.append(line)

    return keep


def alert(scene: str, text: str) -> None:
    log_alert(log, Alert.BLOCKED, f"scene {scene}: {text}", scene=scene)


def alert_still(kept: Iterable[Undeleted]) -> None:
    """One line for each scene."""
    first: dict[str, Undeleted] = {}
    for found in kept:
        first.setdefault(found.scene, found)
    for scene, found in sorted(first.items()):
        alert(scene, f"{found.name} still cannot be deleted: {found.why.cause}: {found.why.advice}")


def of_scene(state: BlobStore, scene: str, uploads: Iterable[BlobInfo]) -> list[Undeleted]:
    """The notes about those of a scene's uploads that are done with. Raises StorageError."""
    names = {undeleted_name(scene, version(blob.name, blob.etag)) for blob in uploads}
    noted = [info.name for info in state.list(undeleted_folder(scene)) if info.name in names]
    return [found for name in noted if (found := read(state, name)) is not None]


def read(state: BlobStore, name: str) -> Undeleted | None:
    """None where it is gone. Raises StorageError when it cannot be understood."""
    try:
        data, _ = state.read(name, limit_bytes=SMALL_BYTES)
        return Undeleted.from_json(codec.loads(data))
    except NotFound:
        return None
    except ValueError as exc:
        raise StorageError(f"{name} cannot be read: {exc}", advice="remove it: the upload counts as new then") from exc


def clear_away(
    state: BlobStore,
    uploads: BlobStore,
    notes: Iterable[BlobInfo],
    now: datetime,
    goes_on: Callable[[], bool] = lambda: True,
    *,
    due_now: bool = False,
) -> list[Undeleted]:
    """Deletes what can be deleted by now; returns what still cannot, and was due.

    No lease is needed: each version is named by its ETag, its copy was verified before the note was written, and no run
    uses it again. notes: a listing of UNDELETED. goes_on: whether there is time for another. due_now: all are due, for
    what kept them is mended. Raises StorageError.
    """
    due = [info for info in notes if due_now or _is_due(info, now)]
    kept = []
    for info in due[:MOST_TRIES]:
        if not goes_on():
            break
        found = read(state, info.name)
        if found is None:
            continue
        still = _tried(found, uploads, now)
        if still is None:
            log.info("%s could be deleted at last; it lies in %s", found.name, found.place)
            _forget(state, info)
            continue
        kept.append(still)
        _replace(state, info, still)
    return kept


def _tried(found: Undeleted, uploads: BlobStore, now: datetime) -> Undeleted | None:
    """Tries to delete it. None: it is gone, or was replaced; otherwise the note with the next try."""
    reasons: list[SceneJobError] = []
    if remove(found.blob, uploads, reasons.append):
        return None
    tries = found.tries + 1
    due = now + timedelta(seconds=back_off.after(tries))
    return replace(found, tries=tries, next_try_at=due, why=reasons[0].failure())


def _is_due(info: BlobInfo, now: datetime) -> bool:
    try:
        return codec.parse_time(info.metadata[NEXT_TRY]) <= now
    except (KeyError, ValueError):
        return True


def _forget(state: BlobStore, info: BlobInfo) -> None:
    try:
        state.delete(info.name, if_match=info.etag)
    except (NotFound, Conflict):
        log.debug("another runner was faster: %s", info.name)


def _replace(state: BlobStore, info: BlobInfo, found: Undeleted) -> None:
    metadata = {NEXT_TRY: found.next_try_at.isoformat()}
    try:
        state.write(info.name, _encode(found), if_match=info.etag, metadata=metadata)
    except Conflict:
        log.debug("another runner was faster: %s", info.name)


def _name(found: Undeleted) -> str:
    return undeleted_name(found.scene, version(found.name, found.etag))


def _version_of(name: str) -> str:
    return name.rpartition("/")[2].removesuffix(".json")


def _encode(found: Undeleted) -> bytes:
    return json.dumps(found.to_json(), indent=1).encode()
