"""What a generation consisted of, once it has ended: `state/generations/<key>/<n>.json`, created once, kept for good.

A record only has its last ending. These blobs say of every version that ever left the input container which run used it
and where it went, so that the state of the containers can be proven from the blobs alone (scenejobs/audit).
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass, field
from typing import Any

from scenejobs.errors import Conflict, Failure, StorageError
from scenejobs.ports import BlobInfo, BlobStore
from scenejobs.state import codec
from scenejobs.state.blobs import InputBlob, OutputFile
from scenejobs.state.layout import generation_name
from scenejobs.state.record import Outcome, Phase, SceneRecord

VERSION = 1
ADDED = ("doubt", "withheld", "notify")  # fields that earlier programs did not write


@dataclass(frozen=True)
class Generation:
    """One generation that has come, or is coming, to its end."""

    scene: str
    number: int  # "generation" in the blob
    outcome: Outcome
    run: str
    attempts: int
    manifest: tuple[InputBlob, ...]
    outputs: tuple[OutputFile, ...] = ()
    archived: dict[str, str] = field(default_factory=dict)  # input name -> "<container kind>/<name>" or "superseded"
    failure: Failure | None = None
    doubt: Failure | None = None  # why its result, a success, may be wrong
    withheld: bool = False  # its result was not published: a better one was there
    notify: tuple[str, ...] = ()  # who is told of its end beside those who are told of everything

    def to_json(self) -> dict[str, Any]:
        body = codec.to_json(self)
        return {
            "schema_version": VERSION,
            "scene": self.scene,
            "generation": body.pop("number"),
            **body,
            "run_id": self.run,
        }

    @staticmethod
    def from_json(value: Any) -> Generation:
        """Raises ValueError."""
        codec.check_version(value, "generation", VERSION)
        return codec.from_json({**value, "number": value.get("generation")}, Generation, ADDED)


def of(record: SceneRecord, archived: dict[str, str]) -> Generation:
    """The generation that a COMMITTED or FAILING record is ending."""
    succeeded = record.phase is Phase.COMMITTED
    return Generation(
        record.scene,
        record.generation,
        Outcome.SUCCEEDED if succeeded else Outcome.DEAD_LETTERED,
        record.run,
        record.attempts,
        record.manifest,
        record.outputs,
        archived,
        record.failures[-1].failure if record.failures and not succeeded else None,
        record.doubt,
        record.withheld,
        record.notify,
    )


def note(state: BlobStore, record: SceneRecord, archived: dict[str, str], execution: str = "") -> None:
    """Before the record is closed. Whoever finishes a generation notes the same, so the first one stands.

    execution: in which it ended, for those who count what they did; a listing shows it (`ended_in`).
    """
    data = json.dumps(of(record, archived).to_json(), separators=(",", ":")).encode()
    metadata = {"execution": execution} if execution.isascii() and execution else None
    with contextlib.suppress(Conflict):
        state.write(generation_name(record.scene, record.generation), data, if_absent=True, metadata=metadata)


def ended_in(note: BlobInfo) -> str:
    """The execution in which a generation ended, from the listing of its note; "" where it is not known."""
    return note.metadata.get("execution", "")


def read(state: BlobStore, name: str) -> Generation:
    """Raises NotFound; StorageError when it cannot be understood."""
    data, _ = state.read(name)
    try:
        return Generation.from_json(codec.loads(data))
    except ValueError as exc:
        raise StorageError(f"{name} cannot be read: {exc}", advice="restore it (soft delete)") from exc
