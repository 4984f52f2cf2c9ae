"""What happens next with a scene, as pure decisions."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from runner.worker.decisions import (
    VANISHED,
    Attempt,
    GiveBack,
    GiveUp,
    NothingToDo,
    Retry,
    RollForward,
    after_failure,
    may_resume,
    next_step,
    out_of_memory_in,
)
from scenejobs.errors import (
    AccessDenied,
    Busy,
    Code,
    ConfigurationError,
    InputError,
    Interrupted,
    ResourceError,
    RunnerError,
    SceneJobError,
    UploadsChanged,
)
from scenejobs.state.blobs import InputBlob
from scenejobs.state.record import Phase, SceneRecord

NOW = datetime(2026, 11, 23, tzinfo=UTC)
MAX_PREEMPTIONS = 5
INPUTS = (InputBlob("lobby/a.mp4", "E1", 3),)


def decide(record: SceneRecord, inputs: tuple[InputBlob, ...] = INPUTS) -> object:
    return next_step(record, inputs, max_attempts=3, run="new", now=NOW)


def fail(record: SceneRecord, error: SceneJobError) -> object:
    return after_failure(
        record, error, max_attempts=3, max_preemptions=MAX_PREEMPTIONS, retry_base_s=2, retry_max_s=5, now=NOW
    )


def running(attempts: int = 1) -> SceneRecord:
    record = SceneRecord("lobby")
    for number in range(attempts):
        record = record.attempted(f"run-{number}", INPUTS, NOW)
    return record


def test_uploads_of_an_idle_scene_are_worked_on_and_the_attempt_counts_first() -> None:
    step = decide(SceneRecord("lobby"))
    assert step == Attempt(SceneRecord("lobby").attempted("new", INPUTS, NOW))
    assert isinstance(step, Attempt)
    assert step.record.attempts == 1


def test_no_uploads_is_nothing_to_do() -> None:
    assert decide(SceneRecord("lobby"), ()) == NothingToDo()


@pytest.mark.parametrize("name", ["lobby/transforms.json", "lobby/sparse/0/cameras.bin", "lobby/_READY"])
def test_what_is_nothing_without_videos_is_nothing_to_do(name: str) -> None:
    """A message too many must not dead-letter poses or a marker that wait for the next videos."""
    assert decide(SceneRecord("lobby"), (InputBlob(name, "e1", 5),)) == NothingToDo()
    assert isinstance(decide(SceneRecord("lobby"), (InputBlob(name, "e1", 5), *INPUTS)), Attempt)


def test_an_attempt_whose_runner_vanished_is_recorded_as_a_failure() -> None:
    step = decide(running())
    assert isinstance(step, Attempt)
    assert step.record.attempts == 2
    assert [(failure.run, failure.failure) for failure in step.record.failures] == [("run-0", VANISHED)]


def test_a_vanished_attempt_whose_uploads_are_gone_leaves_an_idle_record() -> None:
    step = decide(running(), ())
    assert isinstance(step, NothingToDo)
    assert step.record is not None
    assert step.record.phase is Phase.IDLE


def test_used_up_attempts_give_up_with_the_last_cause() -> None:
    step = decide(running(3))
    assert isinstance(step, GiveUp)
    failure = step.record.failures[-1].failure
    assert failure.code == Code.TOO_MANY_ATTEMPTS
    assert failure.cause == f"3 of 3 attempts are used up; the last one: {VANISHED.cause}"


@pytest.mark.parametrize("inputs", [INPUTS, ()])
def test_what_is_decided_is_only_rolled_forward(inputs: tuple[InputBlob, ...]) -> None:
    committed = running().committed(())
    failing = running().given_up(VANISHED, INPUTS, "run-0", NOW)
    assert decide(committed, inputs) == decide(failing, inputs) == RollForward()


NOT_ITS_FAULT = [Interrupted("stop"), ConfigurationError("no GPU"), AccessDenied("403"), UploadsChanged("replaced")]


@pytest.mark.parametrize("error", NOT_ITS_FAULT)
def test_what_is_not_the_scenes_fault_costs_no_attempt(error: SceneJobError) -> None:
    decision = fail(running(), error)
    assert isinstance(decision, GiveBack)
    assert (decision.record.attempts, decision.record.phase) == (0, Phase.IDLE)


@pytest.mark.parametrize("error", NOT_ITS_FAULT)
def test_a_scene_cannot_be_given_back_for_ever(error: SceneJobError) -> None:
    record, given_back, ended = running(), 0, None
    for _ in range(20):
        decision = fail(record, error)
        given_back += isinstance(decision, GiveBack)
        if isinstance(decision, GiveUp):
            ended = decision.record.failures[-1].failure
            break
        record = decision.record.attempted("run", INPUTS, NOW)
    assert given_back == MAX_PREEMPTIONS
    assert record.attempts == 3
    assert ended is not None
    assert ended.cause == error.cause


@pytest.mark.parametrize(("attempts", "delay_s"), [(1, 2), (2, 4)])
def test_failures_of_the_world_wait_longer_each_time(attempts: int, delay_s: float) -> None:
    decision = fail(running(attempts), Busy("throttled"))
    assert isinstance(decision, Retry)
    assert decision.delay_s == delay_s


def test_the_wait_has_a_limit() -> None:
    decision = after_failure(
        running(9), ResourceError("full"),
        max_attempts=99, max_preemptions=9, retry_base_s=2, retry_max_s=5, now=NOW,
    )  # fmt: skip
    assert isinstance(decision, Retry)
    assert decision.delay_s == 5


@pytest.mark.parametrize(
    ("attempts", "error"), [(1, InputError("no video")), (3, ResourceError("full")), (3, RunnerError("crash"))]
)
def test_bad_input_and_the_last_attempt_give_up(attempts: int, error: SceneJobError) -> None:
    decision = fail(running(attempts), error)
    assert isinstance(decision, GiveUp)
    assert decision.record.phase is Phase.FAILING
    assert decision.record.failures[-1].failure.cause == error.cause


def test_the_same_bug_twice_gives_up() -> None:
    bug = RunnerError("KeyError", code=Code.BUG, stage="training")
    first = fail(running(), bug)
    assert isinstance(first, Retry)
    assert isinstance(fail(first.record.attempted("run-1", INPUTS, NOW), bug), GiveUp)


# ---- what the failures so far mean for the next attempt --------------------------------------------------------------


def failed(*errors: SceneJobError) -> SceneRecord:
    """A record with one failed attempt for each error."""
    record = SceneRecord("lobby")
    for number, error in enumerate(errors):
        record = record.attempted(f"run-{number}", INPUTS, NOW).failed_for_now(error.failure(), NOW)
    return record


def crash() -> RunnerError:
    return RunnerError("SIGSEGV", code=Code.JOB_CRASHED, stage="training")


@pytest.mark.parametrize(
    ("errors", "allowed"),
    [
        ((), True),
        ((ResourceError("full"), Busy("throttled"), RunnerError("hung", code=Code.JOB_TIMED_OUT)), True),
        ((crash(),), True),
        ((crash(), crash()), False),
        ((RunnerError("KeyError", code=Code.BUG),), False),
        ((RunnerError("NaN", code=Code.TRAINING_DIVERGED), Busy("throttled")), False),
    ],
)
def test_saved_work_is_used_unless_it_may_be_what_breaks(errors: tuple[SceneJobError, ...], allowed: bool) -> None:
    assert may_resume(failed(*errors)) is allowed


def test_runners_that_vanish_cast_no_doubt_on_the_saved_work() -> None:
    """Machines are taken away without a word; that may happen to one scene again and again."""
    record = failed()
    for number in range(3):
        record = record.attempted(f"run-{number}", INPUTS, NOW).failed_for_now(VANISHED, NOW)
    assert may_resume(record)


def test_out_of_memory_is_retried_once_with_less_and_then_final() -> None:
    error = ResourceError("CUDA out of memory", code=Code.OUT_OF_MEMORY, stage="training")
    assert out_of_memory_in(SceneRecord("lobby")) == ""
    assert out_of_memory_in(failed(Busy("throttled"))) == ""
    first = fail(running(), error)
    assert isinstance(first, Retry)
    assert out_of_memory_in(first.record) == "training"
    again = fail(first.record.attempted("run-1", INPUTS, NOW), error)
    assert isinstance(again, GiveUp)
    assert again.record.failures[-1].failure.code == "OUT_OF_MEMORY"
    assert "asked for less" in again.record.failures[-1].failure.cause


def test_a_process_killed_for_memory_before_any_stage_means_training() -> None:
    assert out_of_memory_in(failed(ResourceError("killed", code=Code.OUT_OF_MEMORY))) == "training"
