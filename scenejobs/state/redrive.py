"""Brings the inputs of a dead-lettered generation back: `error` -> `input`, so that the scene is tried again.

A move as safe as the one that brought them there: copy, verify, delete, each naming the version it means, each safe to
repeat. While it is under way the record is *held*: no attempt begins on half of the videos, and after a crash the same
command finishes what it began. An input is never in none of the containers, and at rest in exactly one: the original
is deleted as soon as its copy is verified and written down, not when the new run commits, because nobody but the
operator may delete in `error`, and a second visit for that would be forgotten. If the new run fails too, the inputs go
to `error` again, as those of a new generation.

What was done is kept in `state/redrive/<key>/<generation>.json`, the old reason and log beside it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import msgspec

from scenejobs.errors import Code, Conflict, InputError, NotFound, StorageError
from scenejobs.names import scene_key
from scenejobs.ports import BlobStore, Containers, Queues
from scenejobs.state import cancelling, codec, generations, records
from scenejobs.state.copies import SOURCE_ETAG, find, is_copy, is_input
from scenejobs.state.generations import Generation
from scenejobs.state.layout import (
    ERROR_DOCUMENT,
    GENERATIONS,
    RECORDS,
    RUN_LOG,
    document_names,
    generation_name,
    redrive_history_name,
    redrive_name,
)
from scenejobs.state.record import Outcome, SceneRecord, Wish
from scenejobs.state.wishes import call_for, change, idle_record

VERSION = 1
DOCUMENTS = (ERROR_DOCUMENT, RUN_LOG)


JSON_NAMES = {"archived_as": "place", "superseded": "left"}  # as the first program called them


class NothingToBringBack(InputError):
    """The generation did not fail, or was brought back before."""


class Returned(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename=JSON_NAMES):
    """One input on its way back."""

    archived_as: str  # its name in the error container
    etag: str  # of the blob there
    size_bytes: int
    name: str  # in the input container
    copied_etag: str = ""  # of the verified copy there
    superseded: bool = False  # the user replaced or deleted the copy meanwhile: the original stays where it is


@dataclass(frozen=True)
class Redrive:
    """One generation that is, or was, brought back."""

    scene: str
    generation: int
    reason: str  # the code it was dead-lettered with
    inputs: tuple[Returned, ...]
    done_at: datetime | None = None

    def to_json(self) -> dict[str, Any]:
        return {"schema_version": VERSION, **codec.to_json(self)}

    @staticmethod
    def from_json(value: Any) -> Redrive:
        """Raises ValueError."""
        codec.check_version(value, "redrive", VERSION)
        return codec.from_json(value, Redrive)


@dataclass(frozen=True)
class Plan:
    """What `carry_out` would do."""

    redrive: Redrive
    replaces: tuple[str, ...] = ()  # newer uploads of the same names that would be overwritten
    stays: tuple[str, ...] = ()  # inputs of the generation that are no longer in the error container

    @property
    def is_begun(self) -> bool:
        return any(item.copied_etag for item in self.redrive.inputs)


def read(state: BlobStore, name: str) -> tuple[Redrive, str]:
    """With its ETag. Raises NotFound; StorageError when it cannot be understood."""
    data, etag = state.read(name)
    try:
        return Redrive.from_json(codec.loads(data)), etag
    except ValueError as exc:
        raise StorageError(f"{name} cannot be read: {exc}", advice="restore it (soft delete)") from exc


def plan(containers: Containers, scene: str, *, generation: int = 0, replacing: bool = False) -> Plan:
    """What bringing back the last generation (or the one named) would do; one that was begun is taken up again.

    Raises InputError when there is nothing to bring back or something is in its way.
    """
    record = idle_record(containers.state, scene)
    number = generation or (record.ending.generation if record.ending else 0)
    try:
        found = generations.read(containers.state, generation_name(scene, number))
    except NotFound as exc:
        raise InputError(f"scene {scene} has no generation {number or ''} that ended", code=Code.NO_SCENE) from exc
    if found.outcome is not Outcome.DEAD_LETTERED:
        raise NothingToBringBack(
            f"generation {number} of scene {scene} succeeded", code=Code.NO_SCENE, advice=_choices(containers, scene)
        )
    try:
        redrive, _ = read(containers.state, redrive_name(scene, number))
    except NotFound:
        redrive = _new(containers.error, found)
    if redrive.done_at and not record.held:
        raise NothingToBringBack(
            f"generation {number} of scene {scene} was brought back at {redrive.done_at.isoformat()}",
            code=Code.NO_SCENE,
            advice="see its status",
        )
    shown = {member.place for member in record.contents or () if member.published}
    if any(f"error/{item.archived_as}" in shown for item in redrive.inputs):
        raise NothingToBringBack(
            f"files of generation {number} of scene {scene} are part of its published result, which reads them there",
            code=Code.NO_SCENE,
            advice=f"scenejobs retry {scene} runs the scene again with all it has",
        )
    stays = {blob.name for blob in found.manifest} - {item.name for item in redrive.inputs}
    taken = [item.name for item in redrive.inputs if not item.copied_etag and _is_taken(containers.input, item)]
    if taken and not replacing:
        raise InputError(
            f"the input container holds another {', '.join(taken[:5])}",
            code=Code.NO_SCENE,
            advice="wait until that one is processed, or overwrite it with --replace",
        )
    return Plan(redrive, tuple(taken), tuple(sorted(stays)))


def carry_out(
    containers: Containers,
    queues: Queues,
    plan: Plan,
    pause: Callable[[float], None] = time.sleep,
    wish: Wish | None = None,
) -> Redrive:
    """Does it. Killed after any line, the same command finishes it. wish: for the run that follows.

    Raises InputError when somebody works on the scene, StorageError.
    """
    redrive, state = plan.redrive, containers.state
    name = redrive_name(redrive.scene, redrive.generation)
    why = f"generation {redrive.generation} is being brought back: `scenejobs redrive --apply` finishes it"
    _hold(state, redrive.scene, why, pause)
    cancelling.lift(state, redrive.scene)
    try:
        etag = state.write(name, _encode(redrive), if_absent=True)
    except Conflict:
        redrive, etag = read(state, name)
    if not redrive.done_at:
        copies = tuple(_copied(containers, item, item.name in plan.replaces) for item in redrive.inputs)
        redrive = replace(redrive, inputs=copies)
        etag = state.write(name, _encode(redrive), if_match=etag)  # before the first delete
        redrive = replace(redrive, inputs=tuple(_removed(containers, item) for item in redrive.inputs))
        _keep_documents(containers, redrive)
        redrive = replace(redrive, done_at=state.now())
        state.write(name, _encode(redrive), if_match=etag)
    _hold(state, redrive.scene, "", pause, wish)
    call_for(queues, redrive.scene, state)
    return redrive


def dead_lettered(containers: Containers, code: str = "") -> list[str]:
    """Scenes whose last generation ended in `error` (with this code), or whose bringing back was begun.

    With POSES_SUSPECT those whose last result, a success, is suspect.
    """
    found = []
    for info in containers.state.list(RECORDS):
        stored = records.read(containers.state, info.name)
        ending = stored.record.ending if stored else None
        if stored and ending and ending.doubt and ending.doubt.code == code:
            found.append(stored.record.scene)
        if stored is None or ending is None or ending.outcome is not Outcome.DEAD_LETTERED:
            continue
        failure = ending.failure.code if ending.failure else ""
        waits = any(location.startswith("error/") for location in ending.archived.values())
        if (not code or failure == code) and waits and (stored.record.held or _is_there(containers, ending.archived)):
            found.append(stored.record.scene)
    return sorted(found)


def _new(error: BlobStore, found: Generation) -> Redrive:
    entries = []
    for blob in found.manifest:
        kind, _, name = found.archived.get(blob.name, "").partition("/")
        info = find(error, name) if kind == "error" else None
        if info is not None and info.metadata.get(SOURCE_ETAG) == blob.etag and info.size_bytes == blob.size_bytes:
            entries.append(Returned(name, info.etag, info.size_bytes, blob.name))
    if not entries:
        raise InputError(
            f"no input of generation {found.number} of scene {found.scene} is in the error container",
            code=Code.INPUT_GONE,
            advice="upload them again",
        )
    return Redrive(found.scene, found.number, found.failure.code if found.failure else "", tuple(entries))


def _choices(containers: Containers, scene: str) -> str:
    folder = f"{GENERATIONS}{scene_key(scene)}/"
    found = [generations.read(containers.state, info.name) for info in containers.state.list(folder)]
    failed = sorted(item.number for item in found if item.outcome is Outcome.DEAD_LETTERED)
    return (
        f"--generation brings back one of {', '.join(map(str, failed))}" if failed else "there is nothing to bring back"
    )


def _is_taken(store: BlobStore, item: Returned) -> bool:
    found = find(store, item.name)
    return found is not None and not is_copy(found, item.etag, item.size_bytes)


def _is_there(containers: Containers, archived: dict[str, str]) -> bool:
    names = [location.removeprefix("error/") for location in archived.values() if location.startswith("error/")]
    return any(find(containers.error, name) is not None for name in names)


def _hold(state: BlobStore, scene: str, why: str, pause: Callable[[float], None], wish: Wish | None = None) -> None:
    """Holds the scene, or with an empty `why` lets it go, with a wish for the run that follows."""

    def held(record: SceneRecord) -> SceneRecord:
        record = record.holding(why)
        return record.wishing(wish) if wish is not None else record

    change(state, scene, held, pause, insist=not why)


def _copied(containers: Containers, item: Returned, replacing: bool) -> Returned:
    if item.copied_etag:
        return item
    found = find(containers.input, item.name)
    if found is None or not is_copy(found, item.etag, item.size_bytes):
        found = containers.input.copy_from(
            containers.error, item.archived_as, item.name, source_etag=item.etag, if_absent=not replacing
        )
    if not is_copy(found, item.etag, item.size_bytes):
        raise StorageError(f"the copy of {item.archived_as} is not whole", advice="nothing was deleted; try again")
    return msgspec.structs.replace(item, copied_etag=found.etag)


def _removed(containers: Containers, item: Returned) -> Returned:
    """The original is deleted, when its copy is what was written down."""
    original = find(containers.error, item.archived_as)
    if original is None or original.etag != item.etag:
        return item  # done before
    copy = find(containers.input, item.name)
    if copy is None or copy.etag != item.copied_etag:
        return msgspec.structs.replace(item, superseded=True)
    containers.error.delete(item.archived_as, if_match=item.etag)
    return item


def _keep_documents(containers: Containers, redrive: Redrive) -> None:
    """Reason and log are kept as history, and leave `error` with the last input they explain."""
    error, scene = containers.error, redrive.scene
    documents = [name for file in DOCUMENTS for name in document_names(scene, redrive.generation, file)]
    inputs_left = any(info.name not in documents or is_input(info) for info in error.list(f"{scene}/"))
    for name in documents:
        info = find(error, name)
        if info is None or is_input(info):
            continue
        kept = redrive_history_name(scene, redrive.generation, name.removeprefix(f"{scene}/"))
        containers.state.copy_from(error, name, kept, source_etag=info.etag, if_absent=True)
        if not inputs_left:
            error.delete(name, if_match=info.etag)


def _encode(redrive: Redrive) -> bytes:
    return json.dumps(redrive.to_json(), indent=1).encode()
