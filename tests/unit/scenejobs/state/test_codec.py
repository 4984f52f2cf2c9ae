"""What lies in storage keeps its form: the same JSON, to the byte, and no check less when it is read."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from scenejobs.errors import Failure
from scenejobs.state.blobs import InputBlob, OutputFile
from scenejobs.state.executions.start_backoff import StarterState
from scenejobs.state.generations import Generation
from scenejobs.state.incoming.batches import Batch
from scenejobs.state.record import AttemptFailure, Ending, Outcome, Phase, SceneRecord
from scenejobs.state.redrive import Redrive, Returned

NOW = datetime(2026, 11, 1, 10, 30, tzinfo=UTC)
LATER = datetime(2026, 11, 1, 10, 30, 0, 250_000, tzinfo=UTC)
FAILURE = Failure("training", "DISK_FULL", "no space — 界", "a larger disk")
BLOBS = (InputBlob("lobby/a.mp4", "0x1", 100),)
OUTPUTS = (OutputFile("lobby.ply", 5, "ab"),)

RECORD = SceneRecord(
    "lobby", Phase.COMMITTED, 2, 1, 3, "run-2", BLOBS, OUTPUTS, (AttemptFailure("run-1", NOW, FAILURE),), NOW, LATER,
    "2026-11-01", 4, "brought back",
    Ending(1, Outcome.DEAD_LETTERED, "run-0", NOW, {"lobby/b.mp4": "error/lobby/b.mp4"}, FAILURE),
)  # fmt: skip
FAILURE_TEXT = r'"stage":"training","code":"DISK_FULL","cause":"no space \u2014 \u754c","advice":"a larger disk"'
BLOBS_TEXT = '[{"name":"lobby/a.mp4","etag":"0x1","size_bytes":100}]'
OUTPUTS_TEXT = '[{"name":"lobby.ply","size_bytes":5,"sha256":"ab"}]'
RECORD_TEXT = (
    '{"schema_version":1,"scene":"lobby","phase":"committed","generation":2,"attempts":1,"preemptions":3,"run":"run-2",'
    f'"manifest":{BLOBS_TEXT},"outputs":{OUTPUTS_TEXT},'
    f'"failures":[{{"run":"run-1","at":"2026-11-01T10:30:00+00:00",{FAILURE_TEXT}}}],'
    '"started_at":"2026-11-01T10:30:00+00:00","not_before":"2026-11-01T10:30:00.250000+00:00","day":"2026-11-01",'
    '"runs_today":4,"held":"brought back","ending":{"generation":1,"outcome":"dead_lettered","run":"run-0",'
    f'"at":"2026-11-01T10:30:00+00:00","archived":{{"lobby/b.mp4":"error/lobby/b.mp4"}},"failure":{{{FAILURE_TEXT}}}}},'
    '"run_id":"run-2"}'
)
IDLE_TEXT = (
    '{"schema_version":1,"scene":"lobby","phase":"idle","generation":1,"attempts":0,"preemptions":0,"run":"",'
    '"manifest":[],"outputs":[],"failures":[],"started_at":null,"not_before":null,"day":"","runs_today":0,"held":"",'
    '"ending":null}'
)
GENERATION = Generation("lobby", 2, Outcome.SUCCEEDED, "run-2", 1, BLOBS, OUTPUTS, {"lobby/a.mp4": "superseded"}, None)
GENERATION_TEXT = (
    '{"schema_version":1,"scene":"lobby","generation":2,"outcome":"succeeded","run":"run-2","attempts":1,'
    f'"manifest":{BLOBS_TEXT},"outputs":{OUTPUTS_TEXT},"archived":{{"lobby/a.mp4":"superseded"}},"failure":null,'
    '"run_id":"run-2"}'
)
BATCH = Batch("lobby", BLOBS, NOW, "quiet", LATER, 2, "00-trace")
BATCH_TEXT = (
    f'{{"scene":"lobby","digest":"{BATCH.digest}","blobs":{BLOBS_TEXT},"sealed_at":"2026-11-01T10:30:00+00:00",'
    '"why":"quiet","queued_at":"2026-11-01T10:30:00.250000+00:00","sends":2,"traceparent":"00-trace"}'
)
REDRIVE = Redrive(
    "lobby", 1, "DISK_FULL", (Returned("lobby/1/a.mp4", "0x9", 100, "lobby/a.mp4", "0xA", superseded=True),), NOW
)
REDRIVE_TEXT = (
    '{"schema_version":1,"scene":"lobby","generation":1,"reason":"DISK_FULL","inputs":[{"place":"lobby/1/a.mp4",'
    '"etag":"0x9","size_bytes":100,"name":"lobby/a.mp4","copied_etag":"0xA","left":true}],'
    '"done_at":"2026-11-01T10:30:00+00:00"}'
)
STARTER = StarterState(
    NOW, 1, True, LATER, "throttled", ("a", ""), NOW, 2, LATER, {"a": NOW}, {"a": LATER}, ("a",), NOW
)
STARTER_TEXT = (
    '{"last_start":"2026-11-01T10:30:00+00:00","failures_in_row":1,"unsure":true,'
    '"not_before":"2026-11-01T10:30:00.250000+00:00","last_error":"throttled","unanswered":["a",""],'
    '"unanswered_since":"2026-11-01T10:30:00+00:00","ghosts_in_row":2,"budget_until":"2026-11-01T10:30:00.250000+00:00",'
    '"known_since":{"a":"2026-11-01T10:30:00+00:00"},"stop_asked":{"a":"2026-11-01T10:30:00.250000+00:00"},'
    '"not_stopped":["a"],"looked_at":"2026-11-01T10:30:00+00:00"}'
)
STORED = [
    (RECORD, RECORD_TEXT), (SceneRecord("lobby"), IDLE_TEXT), (GENERATION, GENERATION_TEXT), (BATCH, BATCH_TEXT),
    (REDRIVE, REDRIVE_TEXT), (STARTER, STARTER_TEXT),
]  # fmt: skip
each_kind = pytest.mark.parametrize(("value", "text"), STORED, ids=lambda item: type(item).__name__)


@each_kind
def test_the_json_is_the_same_to_the_byte(value: Any, text: str) -> None:
    assert json.dumps(value.to_json(), separators=(",", ":")) == text


@each_kind
def test_what_was_written_is_read(value: Any, text: str) -> None:
    assert type(value).from_json(json.loads(text)) == value


@each_kind
def test_a_field_that_a_newer_program_added_is_ignored(value: Any, text: str) -> None:
    assert type(value).from_json({**json.loads(text), "colour": "red"}) == value


@each_kind
def test_a_value_of_another_kind_is_refused_in_every_field(value: Any, text: str) -> None:
    body = json.loads(text)
    for key in body.keys() - {"digest", "schema_version", "run_id"}:  # made from others; compared
        for wrong in ([5], {"a": 5}, 5.5, True if body[key] is not True else "yes"):
            with pytest.raises(ValueError):  # noqa: PT011
                type(value).from_json({**body, key: wrong})


@pytest.mark.parametrize(("value", "text"), STORED[:-1], ids=lambda item: type(item).__name__)
def test_a_missing_field_is_refused_unless_older_programs_did_not_write_it(value: Any, text: str) -> None:
    body = json.loads(text)
    added = {"not_before", "day", "runs_today", "held"} if isinstance(value, SceneRecord) else set[str]()
    for key in body.keys() - added - {"digest", "run_id"}:
        with pytest.raises(ValueError):  # noqa: PT011
            type(value).from_json({name: item for name, item in body.items() if name != key})


@pytest.mark.parametrize("key", ["archived", "failure", "outcome", "at", "run", "generation"])
def test_an_ending_is_whole_or_the_record_is_refused(key: str) -> None:
    body = json.loads(RECORD_TEXT)
    del body["ending"][key]
    with pytest.raises(ValueError, match=key):
        SceneRecord.from_json(body)


def test_an_input_that_is_brought_back_has_no_field_that_this_program_does_not_know() -> None:
    body = json.loads(REDRIVE_TEXT)
    body["inputs"][0]["colour"] = "red"
    with pytest.raises(ValueError, match="colour"):
        Redrive.from_json(body)


def test_the_first_starter_wrote_fewer_fields() -> None:
    assert StarterState.from_json({}) == StarterState()
    assert StarterState.from_json({"failures_in_row": 3}) == replace(StarterState(), failures_in_row=3)


@pytest.mark.parametrize("kind", [SceneRecord, Generation, Batch, Redrive, StarterState])
@pytest.mark.parametrize("value", [None, [], "text", 5, {"schema_version": 2}, {"schema_version": "1"}])
def test_what_is_something_else_altogether_is_refused(kind: Any, value: object) -> None:
    if kind is StarterState and isinstance(value, dict):
        return  # all its fields may be missing
    with pytest.raises(ValueError):  # noqa: PT011
        kind.from_json(value)
