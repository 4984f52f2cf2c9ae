"""A record that only moves as the table allows, and is read whole or not at all."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from scenejobs.errors import Failure
from scenejobs.state.blobs import InputBlob, OutputFile
from scenejobs.state.record import MOVES, AttemptFailure, Ending, Outcome, Phase, SceneRecord

NOW = datetime(2026, 11, 1, 10, 30, 0, 250_000, tzinfo=UTC)
BLOBS = (InputBlob("lobby/a.mp4", "0x1", 100), InputBlob("lobby/b.mp4", "0x2", 200))
FAILURE = Failure("training", "JOB_CRASHED", "signal 9", "use less memory")


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


NEWER_FIELDS = {"not_before", "day", "runs_today", "held", "run_id"}  # not written by the first program


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
