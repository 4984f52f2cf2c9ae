"""The data of a job: inputs, messages, and the record that is the truth about a scene.

A queue message only points at a scene. What is known about it is in its record, `state/scenes/<key>.json`, which
changes by compare-and-swap under a lease. Every value is frozen; a change is a copy.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from scenejobs.errors import Failure, UnreadableMessage

MESSAGE_VERSION = 1
RECORD_VERSION = 1
BYTE_ORDER_MARK = "\ufeff"
MAX_MESSAGE_CHARS = 24_576  # of ours, the longest holds two names of 800 characters, each of them 12 when escaped


@dataclass(frozen=True)
class InputBlob:
    """One version of one upload. A new upload of the same name has another ETag."""

    name: str  # in the input container
    etag: str  # without quotes
    size_bytes: int

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "etag": self.etag, "size_bytes": self.size_bytes}

    @staticmethod
    def from_json(value: dict[str, Any]) -> InputBlob:
        return InputBlob(str(value["name"]), str(value["etag"]), int(value["size_bytes"]))


def digest(blobs: Iterable[InputBlob]) -> str:
    """Id of a set of uploads: the same set gives the same id, so doing it twice is harmless."""
    lines = sorted(f"{blob.name}\0{blob.etag}\0{blob.size_bytes}" for blob in blobs)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


# ---- messages -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class DebounceCheck:
    """Delayed message, one per upload event: "look at this scene once the quiet time has passed"."""

    scene: str
    blob: str  # the upload this message stands for; "" when it stands for the scene as a whole
    seen_at: datetime  # when the event came in; MAX_WAIT counts from the oldest upload, not from here
    ready: bool = False  # an end marker was uploaded: do not wait

    def to_json(self) -> str:
        body = {"v": MESSAGE_VERSION, "scene": self.scene, "blob": self.blob, "seen_at": self.seen_at.isoformat()}
        return _dump({**body, "ready": self.ready})

    @staticmethod
    def from_json(text: str) -> DebounceCheck:
        """Raises UnreadableMessage."""
        body = _load(text)
        ready = body.get("ready", False)
        if not isinstance(ready, bool):
            raise UnreadableMessage("the message's field 'ready' is not true or false")
        return DebounceCheck(_text(body, "scene"), _text(body, "blob", empty=True), _time(body, "seen_at"), ready)


@dataclass(frozen=True)
class JobMessage:
    """Work message: "there is something to do for this scene". It carries no paths, URLs, commands or settings."""

    scene: str
    batch: str  # digest of the sealed uploads; for logs, the runner takes its own snapshot
    sent_at: datetime
    traceparent: str = ""  # W3C trace context of the event that caused it

    def to_json(self) -> str:
        body = {"v": MESSAGE_VERSION, "scene": self.scene, "batch": self.batch, "sent_at": self.sent_at.isoformat()}
        return _dump({**body, "traceparent": self.traceparent} if self.traceparent else body)

    @staticmethod
    def from_json(text: str) -> JobMessage:
        """Raises UnreadableMessage."""
        body = _load(text)
        return JobMessage(
            _text(body, "scene"),
            _text(body, "batch", empty=True),
            _time(body, "sent_at"),
            _text({"traceparent": "", **body}, "traceparent", empty=True),
        )


def _dump(body: dict[str, Any]) -> str:
    return json.dumps(body, ensure_ascii=True, separators=(",", ":"))


def json_object(text: str, max_chars: int = MAX_MESSAGE_CHARS) -> dict[str, Any]:
    """The JSON object of a message: plain, or in base64 as portals and other clients send it.

    Raises UnreadableMessage.
    """
    if len(text) > max_chars:
        raise UnreadableMessage(f"the message has {len(text)} characters, more than {max_chars}")
    try:
        body = json.loads(_decoded(text))
    except (ValueError, RecursionError) as exc:
        raise UnreadableMessage("the message is not JSON") from exc
    if not isinstance(body, dict):
        raise UnreadableMessage("the message is not a JSON object")
    return body


def _load(text: str) -> dict[str, Any]:
    body = json_object(text)
    version = body.get("v")
    if version != MESSAGE_VERSION or isinstance(version, bool):
        shown = repr(version)[:40] if isinstance(version, str | int | float | None) else f"a {type(version).__name__}"
        raise UnreadableMessage(f"the message's version is {shown}; this program reads {MESSAGE_VERSION}")
    return body


def _decoded(text: str) -> str:
    """Raises ValueError when it is neither."""
    text = text.strip().removeprefix(BYTE_ORDER_MARK)
    if text.startswith("{"):
        return text
    return base64.b64decode("".join(text.split()), validate=True).decode().removeprefix(BYTE_ORDER_MARK)


def _text(body: dict[str, Any], key: str, *, empty: bool = False) -> str:
    value = body.get(key)
    if not isinstance(value, str) or not (value or empty):
        raise UnreadableMessage(f"the message's field {key!r} is not a text")
    return value


def _time(body: dict[str, Any], key: str) -> datetime:
    try:
        value = datetime.fromisoformat(_text(body, key))
        if value.tzinfo is None:
            raise UnreadableMessage(f"the message's field {key!r} has no time zone")
        return value.astimezone(UTC)
    except (ValueError, OverflowError) as exc:  # overflow: the first or last day of all, in another zone
        raise UnreadableMessage(f"the message's field {key!r} is not a time") from exc


# ---- the record ---------------------------------------------------------------------------------


class Phase(StrEnum):
    """Where a scene stands."""

    IDLE = "idle"  # nobody works on it; what lies in input has not been taken yet
    RUNNING = "running"  # an attempt works on the snapshot
    COMMITTED = "committed"  # the result is final; publishing and archiving are under way
    FAILING = "failing"  # given up; the inputs are being moved to the error container


MOVES: dict[Phase, frozenset[Phase]] = {
    Phase.IDLE: frozenset({Phase.RUNNING, Phase.FAILING}),
    # RUNNING again: the last runner vanished. IDLE: retried later, given back, or the uploads changed.
    Phase.RUNNING: frozenset({Phase.RUNNING, Phase.IDLE, Phase.COMMITTED, Phase.FAILING}),
    Phase.COMMITTED: frozenset({Phase.IDLE}),
    Phase.FAILING: frozenset({Phase.IDLE}),
}


class Outcome(StrEnum):
    """How a generation ended."""

    SUCCEEDED = "succeeded"
    DEAD_LETTERED = "dead_lettered"


@dataclass(frozen=True)
class OutputFile:
    """One file of a result, by its name below `output/<scene>/`."""

    name: str
    size_bytes: int
    sha256: str

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "size_bytes": self.size_bytes, "sha256": self.sha256}

    @staticmethod
    def from_json(value: dict[str, Any]) -> OutputFile:
        return OutputFile(str(value["name"]), int(value["size_bytes"]), str(value["sha256"]))


@dataclass(frozen=True)
class AttemptFailure:
    """Why one attempt failed."""

    run: str
    at: datetime
    failure: Failure

    def to_json(self) -> dict[str, Any]:
        return {"run": self.run, "at": self.at.isoformat(), **self.failure.to_json()}

    @staticmethod
    def from_json(value: dict[str, Any]) -> AttemptFailure:
        return AttemptFailure(str(value["run"]), datetime.fromisoformat(value["at"]), Failure.from_json(value))


@dataclass(frozen=True)
class Ending:
    """The last generation that ended."""

    generation: int
    outcome: Outcome
    run: str
    at: datetime
    archived: dict[str, str] = field(default_factory=dict)  # input name -> "<container kind>/<name>" where it lies now
    failure: Failure | None = None  # why it was dead-lettered

    def to_json(self) -> dict[str, Any]:
        body = {"generation": self.generation, "outcome": str(self.outcome), "run": self.run}
        failure = self.failure.to_json() if self.failure else None
        return {**body, "at": self.at.isoformat(), "archived": self.archived, "failure": failure}

    @staticmethod
    def from_json(value: dict[str, Any]) -> Ending:
        return Ending(
            int(value["generation"]),
            Outcome(value["outcome"]),
            str(value["run"]),
            datetime.fromisoformat(value["at"]),
            dict(value["archived"]),
            Failure.from_json(value["failure"]) if value["failure"] else None,
        )


@dataclass(frozen=True)
class SceneRecord:
    """The truth about one scene."""

    scene: str
    phase: Phase = Phase.IDLE
    generation: int = 1  # counts sets of uploads that were brought to an end
    attempts: int = 0  # of this generation, counted before the work
    preemptions: int = 0  # attempts of this generation that were given back
    run: str = ""  # id of the present or last attempt
    manifest: tuple[InputBlob, ...] = ()  # the snapshot that RUNNING, COMMITTED and FAILING work on
    outputs: tuple[OutputFile, ...] = ()  # of a committed run
    failures: tuple[AttemptFailure, ...] = ()  # of this generation, oldest first
    started_at: datetime | None = None  # of the present attempt
    not_before: datetime | None = None  # the next attempt is due then: a retry, or the day's runs are used up
    day: str = ""  # of the last attempt, as 2026-01-31 (UTC) ...
    runs_today: int = 0  # ... and how many there were on that day, over all generations
    held: str = ""  # why nobody may begin an attempt now: inputs are being brought back
    ending: Ending | None = None

    @property
    def batch(self) -> str:
        return digest(self.manifest)

    def _moved(self, phase: Phase, **changes: Any) -> SceneRecord:
        if phase not in MOVES[self.phase]:
            raise ValueError(f"scene {self.scene}: {self.phase} cannot become {phase}")
        return replace(self, phase=phase, **changes)

    def attempted(self, run: str, manifest: tuple[InputBlob, ...], now: datetime) -> SceneRecord:
        """A new attempt starts. It counts before the work, so that work that kills its runner cannot loop."""
        day = now.date().isoformat()
        return self._moved(
            Phase.RUNNING,
            run=run,
            manifest=manifest,
            attempts=self.attempts + 1,
            outputs=(),
            started_at=now,
            not_before=None,
            day=day,
            runs_today=self.runs_on(day) + 1,
        )

    def runs_on(self, day: str) -> int:
        return self.runs_today if self.day == day else 0

    def holding(self, why: str) -> SceneRecord:
        """No attempt begins as long as `why` is not empty. Only where nobody works on the scene."""
        if self.phase is not Phase.IDLE:
            raise ValueError(f"scene {self.scene}: {self.phase} cannot be held")
        return replace(self, held=why)

    def postponed(self, until: datetime) -> SceneRecord:
        """No attempt before then. Not a move: nothing began."""
        return replace(self, not_before=until)

    def given_back(self) -> SceneRecord:
        """Told to stop, or the uploads changed: the attempt does not count."""
        return self._moved(
            Phase.IDLE, attempts=max(0, self.attempts - 1), preemptions=self.preemptions + 1, started_at=None
        )

    def failed_for_now(self, failure: Failure, now: datetime, retry_at: datetime | None = None) -> SceneRecord:
        """This attempt failed; another may succeed."""
        failures = (*self.failures, AttemptFailure(self.run, now, failure))
        return self._moved(Phase.IDLE, failures=failures, started_at=None, not_before=retry_at)

    def committed(self, outputs: tuple[OutputFile, ...]) -> SceneRecord:
        """The result is final. From here on only forward."""
        return self._moved(Phase.COMMITTED, outputs=outputs)

    def given_up(self, failure: Failure, manifest: tuple[InputBlob, ...], run: str, now: datetime) -> SceneRecord:
        """No further attempt; the inputs go to the error container."""
        failures = (*self.failures, AttemptFailure(run, now, failure))
        return self._moved(Phase.FAILING, failures=failures, manifest=manifest, run=run, outputs=())

    def closed(self, archived: dict[str, str], now: datetime) -> SceneRecord:
        """Everything of this generation is where it belongs."""
        succeeded = self.phase is Phase.COMMITTED
        outcome = Outcome.SUCCEEDED if succeeded else Outcome.DEAD_LETTERED
        failure = self.failures[-1].failure if self.failures and not succeeded else None
        return self._moved(
            Phase.IDLE,
            generation=self.generation + 1,
            attempts=0,
            preemptions=0,
            manifest=(),
            failures=(),
            started_at=None,
            not_before=None,
            ending=Ending(self.generation, outcome, self.run, now, archived, failure),
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "schema_version": RECORD_VERSION,
            "scene": self.scene,
            "phase": str(self.phase),
            "generation": self.generation,
            "attempts": self.attempts,
            "preemptions": self.preemptions,
            "run": self.run,
            "manifest": [blob.to_json() for blob in self.manifest],
            "outputs": [file.to_json() for file in self.outputs],
            "failures": [failure.to_json() for failure in self.failures],
            "started_at": self.started_at.isoformat() if self.started_at else None,
            "not_before": self.not_before.isoformat() if self.not_before else None,
            "day": self.day,
            "runs_today": self.runs_today,
            "held": self.held,
            "ending": self.ending.to_json() if self.ending else None,
        }

    @staticmethod
    def from_json(value: dict[str, Any]) -> SceneRecord:
        """Raises ValueError for a record of a version this program does not know, or one that is torn."""
        if not isinstance(value, dict):
            raise ValueError("the record of a scene is not an object")
        if value.get("schema_version") != RECORD_VERSION:
            raise ValueError(f"record version {value.get('schema_version')!r}; this program knows {RECORD_VERSION}")
        try:
            return SceneRecord(
                scene=str(value["scene"]),
                phase=Phase(value["phase"]),
                generation=int(value["generation"]),
                attempts=int(value["attempts"]),
                preemptions=int(value["preemptions"]),
                run=str(value["run"]),
                manifest=tuple(InputBlob.from_json(item) for item in value["manifest"]),
                outputs=tuple(OutputFile.from_json(item) for item in value["outputs"]),
                failures=tuple(AttemptFailure.from_json(item) for item in value["failures"]),
                started_at=datetime.fromisoformat(value["started_at"]) if value["started_at"] else None,
                not_before=datetime.fromisoformat(value["not_before"]) if value.get("not_before") else None,
                day=str(value.get("day", "")),
                runs_today=int(value.get("runs_today", 0)),
                held=str(value.get("held", "")),
                ending=Ending.from_json(value["ending"]) if value["ending"] else None,
            )
        except (KeyError, TypeError) as exc:
            raise ValueError(f"the record of a scene is incomplete: {exc}") from exc
