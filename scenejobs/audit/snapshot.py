"""Everything an audit looks at, read once.

While work goes on, a version moves from `input` to `processed` or `error`, and a record learns of it afterwards. So
the containers are listed in the order in which versions move, and the records are read last. A scene whose record is
leased, or changed meanwhile, is *moving*: what looks wrong about it may be a step that was seen half.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from scenejobs.errors import NotFound, StorageError
from scenejobs.names import scene_key
from scenejobs.ports import BlobInfo, BlobStore, Containers, Queues
from scenejobs.settings import waits
from scenejobs.settings.groups import DispatchSettings
from scenejobs.state import cancelling, codec, generations, records, redrive
from scenejobs.state.cancelling import Cancelled
from scenejobs.state.copies import is_input
from scenejobs.state.generations import Generation
from scenejobs.state.incoming import duplicates, undeleted
from scenejobs.state.incoming.duplicates import Duplicate
from scenejobs.state.incoming.undeleted import Known, Undeleted
from scenejobs.state.incoming.uploads import sort_uploads
from scenejobs.state.layout import (
    CANCELLED,
    DUPLICATES,
    ERROR_DOCUMENT,
    GENERATIONS,
    RECORDS,
    REDRIVES,
    UNDELETED,
    document_names,
    generation_name,
)
from scenejobs.state.record import Phase, SceneRecord
from scenejobs.state.redrive import Redrive

DAY = timedelta(days=1)
KINDS = ("input", "processed", "error", "output", "state")


@dataclass(frozen=True)
class Finding:
    """One thing worth saying."""

    invariant: str  # "I1" ... "I8"
    violation: bool  # False: a note; nothing is wrong, or it cannot be told yet
    where: str  # the blob, as "<container kind>/<name>", or a queue
    what: str
    remedy: str = ""

    def line(self) -> str:
        text = f"{'VIOLATION' if self.violation else 'note'} {self.invariant} {self.where}: {self.what}"
        return f"{text}: {self.remedy}" if self.remedy else text


@dataclass(frozen=True)
class SceneEvidence:
    """One scene."""

    record: SceneRecord
    info: BlobInfo  # of the record
    generations: dict[int, Generation] = field(default_factory=dict)  # as noted when they ended
    redrives: dict[int, Redrive] = field(default_factory=dict)
    duplicates: tuple[Duplicate, ...] = ()  # uploads that were archived without a run
    moving: bool = False

    @property
    def scene(self) -> str:
        return self.record.scene

    @property
    def is_being_erased(self) -> bool:
        """Everything of it is being deleted; that nobody finishes that is said of its record (check_pending.py)."""
        return bool(self.record.held) and self.record.expired is not None and self.record.expired.everything

    @property
    def closed(self) -> list[Generation]:
        """Those that are over. One that is noted is over, unless the record is still about to close it."""
        closing = self.record.generation if self.ongoing else 0
        return [found for number, found in sorted(self.generations.items()) if number != closing]

    @property
    def ongoing(self) -> Generation | None:
        """The one whose outcome is decided, and that is being published and archived."""
        if self.record.phase not in (Phase.COMMITTED, Phase.FAILING):
            return None
        return generations.of(self.record, {})


@dataclass(frozen=True)
class Evidence:
    """What lies in the storage account."""

    now: datetime
    depth: int  # folder levels that name a scene
    blobs: dict[str, dict[str, BlobInfo]]  # container kind -> name -> blob
    scenes: dict[str, SceneEvidence]  # by name
    reasons: dict[str, Any]  # scene -> content of its error.json; None: not readable
    damaged: tuple[Finding, ...]  # what could not be read
    waiting: int  # visible work messages
    messages: int  # all work messages
    poison: int
    patience: timedelta  # longer than any healing takes: what has not moved for so long is forgotten
    max_attempts: int
    damaged_keys: frozenset[str] = frozenset()  # of scenes with unreadable evidence: nothing else is said of them
    undeleted: dict[str, Undeleted] = field(default_factory=dict)  # by ETag, why uploads stay that are done with
    cancelled: dict[str, Cancelled] = field(default_factory=dict)  # scenes that were called off, by name
    retention: timedelta | None = None  # archived inputs may be gone after so long; None: never

    def below(self, kind: str, folder: str) -> list[BlobInfo]:
        """Every blob of a container whose name begins with `folder/`."""
        return self._folders[kind].get(folder, [])

    @cached_property
    def done_with(self) -> Known:
        """Uploads that are noted as finished with, and cannot be deleted."""
        return Known(info for name, info in self.blobs["state"].items() if name.startswith(UNDELETED))

    @cached_property
    def _folders(self) -> dict[str, dict[str, list[BlobInfo]]]:
        return {kind: by_folder(blobs.values()) for kind, blobs in self.blobs.items()}

    def is_expired(self, found: Generation) -> bool:
        """Whether a generation ended so long ago that its inputs were removed in order."""
        note = self.blobs["state"].get(generation_name(found.scene, found.number))
        # They are older than the note about them, and lifecycle rules run once a day.
        return self.retention is not None and note is not None and note.modified < self.now - self.retention + DAY

    def owner(self, name: str) -> SceneEvidence | None:
        """The scene below whose folder a blob lies."""
        parts = name.split("/")[:-1]
        for count in range(len(parts), 0, -1):
            found = self.scenes.get("/".join(parts[:count]))
            if found is not None:
                return found
        return None


def by_folder(blobs: Iterable[BlobInfo]) -> dict[str, list[BlobInfo]]:
    """Blobs by every folder that they lie in, directly or not."""
    found: dict[str, list[BlobInfo]] = {}
    for info in blobs:
        parts = info.name.split("/")
        for count in range(1, len(parts)):
            found.setdefault("/".join(parts[:count]), []).append(info)
    return found


def collect(
    containers: Containers,
    queues: Queues,
    settings: DispatchSettings,
    max_attempts: int,
    now: datetime,
    retention_days: float = 0.0,
) -> Evidence:
    """retention_days: of RETENTION_DAYS; 0: nothing is ever removed.

    Raises StorageError when something cannot be listed; what cannot be understood is a finding."""
    before = {info.name: info for info in containers.state.list(RECORDS)}
    blobs = {kind: {info.name: info for info in getattr(containers, kind).list()} for kind in KINDS}
    folders = by_folder(blobs["state"].values())
    damaged: list[Finding] = []
    damaged_keys: set[str] = set()
    scenes: dict[str, SceneEvidence] = {}
    for name, info in blobs["state"].items():
        if not name.startswith(RECORDS):
            continue
        key = name.removeprefix(RECORDS).removesuffix(".json")
        try:
            stored = records.read(containers.state, name)
            if stored is None:
                continue
            noted = {found.number: found for found in _noted(containers.state, folders, key)}
            noted = {number: found for number, found in noted.items() if number > stored.record.erased}
            returned = {found.generation: found for found in _returned(containers.state, folders, key)}
            again = tuple(duplicates.read(containers.state, info.name) for info in _below(folders, DUPLICATES, key))
        except StorageError as exc:
            remedy = exc.advice or "restore it (soft delete, versions)"
            damaged.append(Finding("I1", True, f"state/{name}", exc.cause, remedy))
            damaged_keys.add(key)
            continue
        if scene_key(stored.record.scene) != key:
            what = f"it says that it is the record of {stored.record.scene!r}"
            damaged.append(Finding("I2", True, f"state/{name}", what, "somebody copied it: remove it"))
            damaged_keys.add(key)
            continue
        moving = info.leased or name not in before or before[name].etag != stored.etag
        scenes[stored.record.scene] = SceneEvidence(stored.record, info, noted, returned, again, moving)
    return Evidence(
        now=now,
        depth=settings.prefix_depth,
        blobs=blobs,
        scenes=scenes,
        reasons={name: _reason(containers.error, scene, blobs["error"]) for name, scene in scenes.items()},
        damaged=tuple(damaged),
        waiting=queues.jobs.waiting(),
        messages=queues.jobs.total(),
        poison=queues.poison.total(),
        patience=waits.patience(settings),
        max_attempts=max_attempts,
        damaged_keys=frozenset(damaged_keys),
        undeleted=_undeleted(containers.state, blobs["state"]),
        cancelled=_cancelled(containers, blobs, settings.prefix_depth),
        retention=timedelta(days=retention_days) if retention_days else None,
    )


def _below(folders: dict[str, list[BlobInfo]], kind: str, key: str) -> list[BlobInfo]:
    return folders.get(f"{kind}{key}", [])


def _noted(state: BlobStore, folders: dict[str, list[BlobInfo]], key: str) -> list[Generation]:
    return [generations.read(state, info.name) for info in folders.get(f"{GENERATIONS}{key}", [])]


def _returned(state: BlobStore, folders: dict[str, list[BlobInfo]], key: str) -> list[Redrive]:
    found = folders.get(f"{REDRIVES}{key}", [])
    return [redrive.read(state, info.name)[0] for info in found if info.name.count("/") == 2]  # not the documents


def _undeleted(state: BlobStore, listed: dict[str, BlobInfo]) -> dict[str, Undeleted]:
    found: dict[str, Undeleted] = {}
    for name in listed:
        if not name.startswith(UNDELETED):
            continue
        with suppress(StorageError):  # that it is noted is enough to know
            note = undeleted.read(state, name)
            if note is not None:
                found[note.etag] = note
    return found


def _cancelled(containers: Containers, blobs: dict[str, dict[str, BlobInfo]], depth: int) -> dict[str, Cancelled]:
    if not any(name.startswith(CANCELLED) for name in blobs["state"]):
        return {}
    scenes = sort_uploads(blobs["input"].values(), depth).scenes
    found = {scene: cancelling.load(containers.state, scene) for scene in scenes}
    return {scene: noted.note for scene, noted in found.items() if noted is not None}


def _reason(error: BlobStore, scene: SceneEvidence, listed: dict[str, BlobInfo]) -> Any:
    generation = max([scene.record.generation, *scene.generations])
    beside = [document_names(scene.scene, number, ERROR_DOCUMENT)[1] for number in range(generation, 0, -1)]
    plain = document_names(scene.scene, generation, ERROR_DOCUMENT)[0]
    for name in (plain, *beside):
        if name in listed and not is_input(listed[name]):
            try:
                return codec.loads(error.read(name)[0])
            except (NotFound, ValueError):
                return None
    return None
