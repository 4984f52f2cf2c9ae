"""Events about scenes as CloudEvents 1.0, made from the record and its notes alone: whoever makes them makes the same.

    SceneQueued      its uploads are sealed, or a run was wished for
    SceneStarted     the first attempt of a generation
    SceneCompleted   the result is published, or withheld (`withheld`), or in doubt (`doubtful`)
    SceneFailed      given up: the inputs and the reason are in the error container
    SceneRefused     no execution could hold it: refused before any is paid

The id names what happened, not when it was told: the same event has the same id however often it comes. How a
generation ended is for the targets that its scene.yaml names, too; before a run has read that file nobody knows them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from scenejobs.errors import Failure, NotFound
from scenejobs.ports import BlobStore
from scenejobs.state import generations
from scenejobs.state.generations import Generation
from scenejobs.state.incoming import batches
from scenejobs.state.layout import generation_name
from scenejobs.state.record import Outcome, Phase, SceneRecord

SOURCE = "/video-splat"
PREFIX = "video-splat."


class Type(StrEnum):
    """What happened. The names never change: receivers route by them."""

    QUEUED = "SceneQueued"
    STARTED = "SceneStarted"
    COMPLETED = "SceneCompleted"
    FAILED = "SceneFailed"
    REFUSED = "SceneRefused"


@dataclass(frozen=True)
class Queued:
    """That work was sent for a generation, or refused."""

    generation: int
    at: datetime
    refused: bool = False  # no execution could hold it, and no message was sent


@dataclass(frozen=True)
class Event:
    """One. key: what tells it from the others of its type and scene."""

    type: Type
    scene: str
    key: str
    time: datetime
    data: dict[str, Any]
    notify: tuple[str, ...] = ()  # targets that it is for, beside those that get every event

    @property
    def id(self) -> str:
        text = "\0".join((self.scene, self.type, self.key))
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]

    def to_json(self) -> str:
        """In the JSON format of CloudEvents (structured mode)."""
        body = {
            "specversion": "1.0", "id": self.id, "source": SOURCE, "type": f"{PREFIX}{self.type}",
            "subject": self.scene, "time": self.time.isoformat(), "datacontenttype": "application/json",
            "data": {"scene": self.scene, **self.data},
        }  # fmt: skip
        return json.dumps(body, ensure_ascii=True, separators=(",", ":"))


def happened(state: BlobStore, record: SceneRecord, queued: tuple[Queued, ...]) -> Iterator[Event]:
    """Everything since the first of `queued`, in its order. Generations that no message was sent for, because one was
    under way, are among them. Raises StorageError.
    """
    scene, first = record.scene, queued[0]
    asked = {each.generation: each.at for each in queued if not each.refused}
    for number in range(first.generation, max([record.generation, *asked]) + 1):
        active = number == record.generation and (record.phase is not Phase.IDLE or record.attempts > 0)
        note = _note(state, scene, number) if number < record.generation else None
        if number not in asked and note is None and not active:
            continue
        at, key = asked.get(number, first.at), f"{number} {first.at.isoformat()}"
        yield Event(Type.QUEUED, scene, key, at, {"generation": number})
        if note is not None:
            when = record.ending.at if record.ending and record.ending.generation == number else at
            if note.attempts:
                yield _started(scene, key, number, note.run, note.attempts, when)
            yield _ended(note, when)
        elif active:
            yield _started(scene, key, number, record.run, record.attempts, record.started_at or at)
    for batch in batches.of_scene(state, scene):
        if batch.batch.unfit:
            data = {"generation": record.generation, "uploads": len(batch.batch.blobs)}
            reason = {"reason": {"cause": batch.batch.unfit}}
            yield Event(Type.REFUSED, scene, batch.batch.digest, batch.batch.sealed_at, data | reason)


def _note(state: BlobStore, scene: str, generation: int) -> Generation | None:
    try:
        return generations.read(state, generation_name(scene, generation))
    except NotFound:  # deleted with everything else
        return None


def _started(scene: str, key: str, generation: int, run: str, attempt: int, at: datetime) -> Event:
    data = {"generation": generation, "run_id": run, "attempt": attempt}
    return Event(Type.STARTED, scene, key, at, data)


def _ended(note: Generation, at: datetime) -> Event:
    data: dict[str, Any] = {"generation": note.number, "run_id": note.run, "uploads": len(note.manifest)}
    if note.outcome is Outcome.SUCCEEDED:
        data |= {"doubtful": note.doubt is not None, "withheld": note.withheld}
        return Event(Type.COMPLETED, note.scene, note.run, at, data | _why(note.doubt), note.notify)
    return Event(Type.FAILED, note.scene, note.run, at, data | _why(note.failure), note.notify)


def _why(failure: Failure | None) -> dict[str, Any]:
    if failure is None:
        return {}
    return {"reason": {"code": failure.code, "stage": failure.stage, "cause": failure.cause, "advice": failure.advice}}
