"""Messages that nobody can misread, and a record that only moves as the table allows."""

from __future__ import annotations

import base64
import itertools
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenejobs.errors import Failure, UnreadableMessage
from scenejobs.names import refusal
from scenejobs.state.blobs import InputBlob, OutputFile, digest
from scenejobs.state.messages import DebounceCheck, JobMessage
from scenejobs.state.record import MOVES, AttemptFailure, Ending, Outcome, Phase, SceneRecord

NOW = datetime(2026, 11, 1, 10, 30, 0, 250_000, tzinfo=UTC)
BLOBS = (InputBlob("lobby/a.mp4", "0x1", 100), InputBlob("lobby/b.mp4", "0x2", 200))
FAILURE = Failure("training", "JOB_CRASHED", "signal 9", "use less memory")


# ---- digest ----


def test_the_digest_is_that_of_the_set() -> None:
    assert digest(BLOBS) == digest(reversed(BLOBS))
    assert len(digest(BLOBS)) == 16
    changes = [replace(BLOBS[0], name="lobby/c.mp4"), replace(BLOBS[0], etag="0x9"), replace(BLOBS[0], size_bytes=101)]
    sets = [BLOBS, BLOBS[:1], BLOBS[1:], (), *[(changed, BLOBS[1]) for changed in changes]]
    assert len({digest(blobs) for blobs in sets}) == len(sets)


# ---- messages ----

TEXT = st.text(alphabet=st.characters(blacklist_categories=("Cs",)), min_size=1, max_size=200)
TIMES = st.datetimes(min_value=datetime(1970, 1, 1), timezones=st.just(UTC))


@given(TEXT, st.just("") | TEXT, TIMES, st.booleans())
def test_a_check_reads_what_was_written(scene: str, blob: str, seen_at: datetime, ready: bool) -> None:
    check = DebounceCheck(scene, blob, seen_at, ready)
    assert DebounceCheck.from_json(check.to_json()) == check
    assert check.to_json().isascii()


@given(TEXT, TEXT, TIMES, st.just("") | TEXT)
def test_a_job_message_reads_what_was_written(scene: str, batch: str, sent_at: datetime, trace: str) -> None:
    message = JobMessage(scene, batch, sent_at, trace)
    assert JobMessage.from_json(message.to_json()) == message
    assert message.to_json().isascii()


GOOD: dict[str, Any] = {
    "v": 1,
    "scene": "lobby",
    "batch": "b",
    "blob": "lobby/a",
    "seen_at": "2026-11-01T10:00:00+00:00",
}
GOOD["sent_at"] = GOOD["seen_at"]


def test_times_of_other_zones_become_utc() -> None:
    seen_at = "2026-11-01T12:00:00+02:00"
    check = DebounceCheck.from_json(json.dumps({**GOOD, "seen_at": seen_at}))
    assert check.seen_at == datetime(2026, 11, 1, 10, tzinfo=UTC)
    assert check.seen_at.tzinfo is UTC


def test_fields_of_a_newer_minor_program_are_ignored() -> None:
    assert JobMessage.from_json(json.dumps({**GOOD, "colour": "red"})).scene == "lobby"


BAD_BODIES = {
    "nothing": "",
    "no JSON": "lobby",
    "base64 of no JSON": "bG9iYnk=",
    "base64 of a message without fields": "eyJ2IjoxfQ==",
    "base64 of base64 of a message": base64.b64encode(base64.b64encode(json.dumps(GOOD).encode())).decode(),
    "base64 of bytes": "//79/A==",
    "base64 of nesting": base64.b64encode(b"[" * 8000).decode(),
    "a list": "[1]",
    "a text": '"lobby"',
    "nesting": "[" * 8000,
    "a huge number": '{"v":1,"scene":' + "9" * 5000 + "}",
    "too long": json.dumps({**GOOD, "x": "y" * 25_000}),
    **{
        f"{key}={value!r}": json.dumps({**GOOD, key: value})
        for key, values in {
            "v": (None, 0, 2, "1", True, [1]),
            "scene": (None, "", 5, ["lobby"], {"a": 1}),
            "seen_at": (None, "", "yesterday", "2026-11-01T10:00:00", 5, "0001-01-01T00:00:00+14:00"),
            "sent_at": (None, "", "yesterday", "2026-11-01T10:00:00", 5, "9999-12-31T23:59:59-14:00"),
        }.items()
        for value in values
    },
}


@pytest.mark.parametrize("case", BAD_BODIES)
def test_a_message_nobody_can_act_on_is_unreadable_with_a_reason(case: str) -> None:
    """Nothing else is raised, whatever somebody put into the queue."""
    kinds = [DebounceCheck, JobMessage]
    if case.startswith("seen_at"):
        kinds = [DebounceCheck]
    if case.startswith("sent_at"):
        kinds = [JobMessage]
    for kind in kinds:
        with pytest.raises(UnreadableMessage) as error:
            kind.from_json(BAD_BODIES[case])
        assert error.value.cause


@pytest.mark.parametrize("wrap", [
    lambda text: text, lambda text: f" \n{text}\r\n", lambda text: f"\ufeff{text}",
    lambda text: base64.b64encode(text.encode()).decode(), lambda text: base64.encodebytes(text.encode()).decode(),
    lambda text: base64.b64encode(b"\xef\xbb\xbf" + text.encode()).decode(),
])  # fmt: skip
def test_a_message_is_read_however_it_was_sent(wrap: Callable[[str], str]) -> None:
    """Portals and other SDKs send base64, editors a byte order mark."""
    text = json.dumps(GOOD)
    assert JobMessage.from_json(wrap(text)) == JobMessage.from_json(text)
    assert DebounceCheck.from_json(wrap(text)) == DebounceCheck.from_json(text)


@pytest.mark.parametrize("ready", [None, 1, "true", []])
def test_ready_is_true_or_false(ready: object) -> None:
    with pytest.raises(UnreadableMessage):
        DebounceCheck.from_json(json.dumps({**GOOD, "ready": ready}))


ANY_JSON = st.recursive(st.none() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x))


@given(st.text() | ANY_JSON.map(json.dumps))
def test_any_text_is_a_message_or_unreadable(text: str) -> None:
    for kind in (DebounceCheck, JobMessage):
        try:
            kind.from_json(text)
        except UnreadableMessage:
            continue


# ---- the record ----


def at(phase: Phase) -> SceneRecord:
    """A record in that phase, reached by moves alone."""
    record = SceneRecord("lobby")
    if phase is Phase.RUNNING:
        return record.attempted("run-1", BLOBS, NOW)
    if phase is Phase.COMMITTED:
        return at(Phase.RUNNING).committed((OutputFile("scene.ply", 5, "ab"),))
    if phase is Phase.FAILING:
        return at(Phase.RUNNING).given_up(FAILURE, BLOBS, "run-1", NOW)
    return record


MOVE = {
    "attempted": (Phase.RUNNING, lambda record: record.attempted("run-2", BLOBS, NOW)),
    "given back": (Phase.IDLE, lambda record: record.given_back()),
    "failed for now": (Phase.IDLE, lambda record: record.failed_for_now(FAILURE, NOW)),
    "committed": (Phase.COMMITTED, lambda record: record.committed(())),
    "given up": (Phase.FAILING, lambda record: record.given_up(FAILURE, BLOBS, "run-2", NOW)),
    "closed": (Phase.IDLE, lambda record: record.closed({}, NOW)),
}


@pytest.mark.parametrize(("phase", "move"), list(itertools.product(Phase, MOVE)))
def test_a_record_moves_as_the_table_says_and_not_otherwise(phase: Phase, move: str) -> None:
    target, go = MOVE[move]
    if target in MOVES[phase]:
        assert go(at(phase)).phase is target
    else:
        with pytest.raises(ValueError, match="cannot become"):
            go(at(phase))


def test_every_phase_can_be_left_and_reached() -> None:
    assert set(MOVES) == set(Phase)
    assert all(MOVES.values())
    assert set().union(*MOVES.values()) == set(Phase)


def test_a_committed_scene_only_goes_forward() -> None:
    assert MOVES[Phase.COMMITTED] == {Phase.IDLE}
    assert MOVES[Phase.FAILING] == {Phase.IDLE}


def test_attempts_are_counted_before_the_work_and_given_back_when_stopped() -> None:
    record = SceneRecord("lobby").attempted("run-1", BLOBS, NOW)
    assert (record.attempts, record.run, record.manifest, record.started_at) == (1, "run-1", BLOBS, NOW)
    crashed = record.attempted("run-2", BLOBS, NOW)
    assert (crashed.attempts, crashed.run) == (2, "run-2")
    stopped = crashed.given_back()
    assert (stopped.attempts, stopped.preemptions, stopped.started_at) == (1, 1, None)


def test_failures_are_remembered_until_the_generation_succeeds() -> None:
    record = at(Phase.RUNNING).failed_for_now(FAILURE, NOW)
    assert record.failures == (AttemptFailure("run-1", NOW, FAILURE),)
    done = record.attempted("run-2", BLOBS, NOW).committed(()).closed({"a": "processed/a"}, NOW)
    assert done.failures == ()
    assert (done.generation, done.attempts, done.manifest) == (2, 0, ())
    assert done.ending is not None
    assert (done.ending.generation, done.ending.outcome, done.ending.run) == (1, Outcome.SUCCEEDED, "run-2")


def test_a_dead_lettered_generation_ends_as_one() -> None:
    done = at(Phase.FAILING).closed({}, NOW)
    assert done.ending is not None
    assert done.ending.outcome is Outcome.DEAD_LETTERED
    assert done.ending.failure == FAILURE
    assert (done.generation, done.attempts, done.failures) == (2, 0, ())


@pytest.mark.parametrize("phase", Phase)
def test_a_record_reads_what_was_written(phase: Phase) -> None:
    endings = (
        None,
        Ending(1, Outcome.SUCCEEDED, "r", NOW, {"a": "b"}, None),
        Ending(1, Outcome.DEAD_LETTERED, "r", NOW, {}, FAILURE),
    )
    for record in (replace(at(phase), ending=ending) for ending in endings):
        assert SceneRecord.from_json(json.loads(json.dumps(record.to_json()))) == record


@pytest.mark.parametrize("char", ["n", "界", "📱", '"'])
def test_messages_about_the_longest_names_can_be_read(char: str) -> None:
    scene = char * 500
    name = f"{scene}/{char * 519}.mp4"
    assert refusal(name) is None
    check = DebounceCheck(scene, name, NOW)
    assert DebounceCheck.from_json(check.to_json()) == check
    message = JobMessage(char * 1000, "0" * 16, NOW, "0" * 55)
    assert JobMessage.from_json(message.to_json()) == message
    assert len(message.to_json().encode()) < 48 * 1024  # what a queue takes


NEWER_FIELDS = {"not_before", "day", "runs_today", "held"}  # not written by the first program


def test_a_record_of_the_first_program_is_read() -> None:
    record = at(Phase.COMMITTED)
    old = {name: value for name, value in record.to_json().items() if name not in NEWER_FIELDS}
    assert SceneRecord.from_json(old) == replace(record, not_before=None, day="", runs_today=0, held="")


def test_runs_of_a_day_are_counted_over_generations_and_forgotten_the_next_day() -> None:
    record = SceneRecord("lobby").attempted("a", BLOBS, NOW).committed(()).closed({}, NOW).attempted("b", BLOBS, NOW)
    today, tomorrow = NOW.date().isoformat(), NOW + timedelta(days=1)
    assert record.runs_on(today) == 2
    assert record.runs_on(tomorrow.date().isoformat()) == 0
    assert record.given_back().attempted("c", BLOBS, tomorrow).runs_today == 1


def test_a_torn_record_is_never_read_as_another() -> None:
    """Each field missing or of another kind is a ValueError, never an AttributeError or a default."""
    good = at(Phase.RUNNING).to_json()
    for key in good.keys() - NEWER_FIELDS:
        with pytest.raises(ValueError, match="record"):
            SceneRecord.from_json({name: value for name, value in good.items() if name != key})
    wrong = {"schema_version": 2, "phase": "dreaming", "manifest": 5, "started_at": 5, "ending": [1], "generation": "x"}
    torn = [{**good, key: value} for key, value in wrong.items()]
    for value in ([], "text", None, 5, {}, {**good, "manifest": [5]}, *torn):
        with pytest.raises(ValueError, match=r"record|valid|literal"):
            SceneRecord.from_json(value)  # type: ignore[arg-type]


def test_times_keep_their_microseconds_and_zone() -> None:
    east = NOW.astimezone(timezone(timedelta(hours=9)))
    record = SceneRecord("lobby").attempted("r", BLOBS, east)
    assert SceneRecord.from_json(record.to_json()).started_at == NOW
