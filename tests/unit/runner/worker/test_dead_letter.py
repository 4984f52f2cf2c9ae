"""The reason beside a dead letter: written once and whole, and never replaced by an older one."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from runner.scene.inputs.file_use import NOT_LOOKED_AT
from runner.worker.ending.dead_letter import error_document, write_reason
from scenejobs.adapters.memory import ManualClock, MemoryBlobStore
from scenejobs.errors import Code, Conflict, Failure, InputError, LeaseLost
from scenejobs.state.blobs import InputBlob
from scenejobs.state.record import SceneRecord
from tests.doubles.faults import Fault, FaultPlan, Meanwhile, Rule

NOW = datetime(2026, 11, 23, tzinfo=UTC)


def nothing() -> None: ...


def given_up(cause: str) -> SceneRecord:
    failure = Failure("training", str(Code.DISK_FULL), cause, "a larger disk")
    manifest = (InputBlob("lobby/a.mp4", "E1", 3),)
    running = SceneRecord("lobby").attempted("run-1", manifest, NOW)
    return running.failed_for_now(failure, NOW).attempted("run-2", manifest, NOW).given_up(
        failure, manifest, "run-2", NOW
    )  # fmt: skip


@pytest.fixture
def error() -> MemoryBlobStore:
    return MemoryBlobStore("error", ManualClock())


def test_the_document_names_stage_cause_advice_attempts_and_inputs() -> None:
    document = error_document(given_up("no space left"))
    assert document == {
        "stage": "training", "code": "DISK_FULL", "cause": "no space left", "advice": "a larger disk",
        "scene": "lobby", "run": "run-2", "job_id": "run-2", "run_id": "run-2",
        "generation": 1, "at": "2026-11-23T00:00:00+00:00",
        "attempts": [
            {"run": run, "at": "2026-11-23T00:00:00+00:00", "stage": "training", "code": "DISK_FULL",
             "cause": "no space left", "advice": "a larger disk"} for run in ("run-1", "run-2")
        ],
        "inputs": [
            {"name": "lobby/a.mp4", "etag": "E1", "size_bytes": 3, "used": False, "reason": NOT_LOOKED_AT},
        ],
        "log": "run.log",
    }  # fmt: skip


def test_who_finishes_the_work_of_another_keeps_its_log(error: MemoryBlobStore) -> None:
    write_reason(given_up("c"), error, b"log of the run", nothing)
    before = error.head("lobby/error.json").etag
    write_reason(given_up("c"), error, b"", nothing)
    assert error.read("lobby/run.log")[0] == b"run run-2\nlog of the run"
    assert error.head("lobby/error.json").etag == before, "the same reason was written again"


def test_who_finishes_a_killed_runners_work_says_that_its_log_is_lost(error: MemoryBlobStore) -> None:
    """Also where a log of an earlier run lies: it would tell of another failure."""
    for earlier in (None, b"run run-1\nof the generation before"):
        if earlier is not None:
            error.write("lobby/run.log", earlier)
        write_reason(given_up("c"), error, b"", nothing)
        assert error.read("lobby/run.log")[0] == b"run run-2\nIts log was lost with the runner that kept it.\n"


def test_a_runner_paused_before_it_writes_its_log_finds_the_name_taken(error: MemoryBlobStore) -> None:
    """Its rival had no log to write; all the same nothing may appear after the rival has finished."""
    names: list[str] = []

    def rival_finishes() -> None:
        if not names:
            names.append("once")
            write_reason(given_up("c"), error, b"", nothing)

    with pytest.raises(Conflict):
        write_reason(given_up("c"), error, b"log", rival_finishes)
    assert b"lost" in error.read("lobby/run.log")[0]


def test_a_paused_runner_does_not_replace_a_newer_reason(error: MemoryBlobStore) -> None:
    for last in ("before the check", "after the check"):
        write_reason(given_up("oldest"), error, b"", nothing)

        def check(last: str = last) -> None:
            write_reason(given_up("newer"), error, b"", nothing)
            if last == "before the check":
                raise LeaseLost("paused for too long")

        with pytest.raises((LeaseLost, Conflict)):
            write_reason(given_up("old"), error, b"", check)
        assert json.loads(error.read("lobby/error.json")[0])["cause"] == "newer"


@pytest.mark.parametrize("meanwhile", ["a lost answer", "a rival that writes the same"])
def test_a_refusal_by_the_very_bytes_that_were_to_be_written_is_no_conflict(
    error: MemoryBlobStore, meanwhile: str
) -> None:
    plan = FaultPlan(error.clock)
    if meanwhile == "a lost answer":
        plan.rules = [Rule(Fault.LOST_ANSWER, "write", times=2)]
    else:
        plan.meanwhile = [Meanwhile(lambda: write_reason(given_up("c"), error, b"log", nothing), "write")]
    write_reason(given_up("c"), plan.store(error), b"log", nothing)
    assert json.loads(error.read("lobby/error.json")[0])["cause"] == "c"


def test_a_reason_stays_short_however_long_its_cause() -> None:
    failure = InputError("é" * 5000, advice="film " * 500).failure()
    assert len(failure.cause.encode()) + len(failure.advice.encode()) <= 2048
    assert failure.cause.endswith("é...")
    assert InputError("\udcff is no name").failure().cause == "\\udcff is no name"


def test_a_document_is_never_written_over_an_input(error: MemoryBlobStore) -> None:
    """Earlier programs archived an input of scene `site`, generation 2, where scene `site/2` has its documents."""
    for name in ("lobby/error.json", "lobby/run.log"):
        error.write(name, b"a person's own", metadata={"source_etag": "E9"})
    write_reason(given_up("no space left"), error, b"log", nothing)
    assert {error.read(f"lobby/{name}")[0] for name in ("error.json", "run.log")} == {b"a person's own"}
    beside = "lobby/generation~1~reason/error.json"
    assert json.loads(error.read(beside)[0])["cause"] == "no space left"
    write_reason(given_up("no space left"), error, b"", nothing)  # whoever finishes it writes the same
    assert error.read("lobby/generation~1~reason/run.log")[0].endswith(b"log")
