"""An attempt goes on from what the one before achieved, on another machine and with nothing but the storage between."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from runner.job.request import Job
from runner.job.supervise import Supervision
from runner.scene.stages import RESUME_FILES
from scenejobs.errors import Code, InputError, Interrupted, ResourceError, RunnerError, SceneJobError
from scenejobs.state.record import Outcome
from tests.doubles.faults import Killed
from tests.invariants import assert_at_rest
from tests.runner_world import PAST_EVERYTHING_S, ByHand, Cloud, echo_job

OUT_OF_MEMORY = ResourceError("killed for memory", code=Code.OUT_OF_MEMORY, stage="training")


@pytest.fixture
def cloud(tmp_path: Path) -> Cloud:
    cloud = Cloud(tmp_path, by_hand=ByHand())
    cloud.upload("lobby/view1.mp4", b"first")
    cloud.queue("lobby")
    return cloud


class Training:
    """A job that finds or leaves a state, notes what it found, and ends as the test says: an error each, or success."""

    def __init__(self, *ends: BaseException, during: Callable[[], None] = lambda: None) -> None:
        self.ends = list(ends)
        self.during = during
        self.found: list[int] = []  # the step that each attempt found
        self.jobs: list[Job] = []

    def __call__(self, job: Job, supervision: Supervision) -> dict[str, Any]:
        state = job.workspace / "training" / "state.npz"
        step = int(state.read_text()) if state.is_file() else 0
        self.found.append(step)
        self.jobs.append(job)
        for file in (file for files in RESUME_FILES.values() for file in files):
            (job.workspace / file).parent.mkdir(parents=True, exist_ok=True)
            (job.workspace / file).write_text(str(step + 100))
        self.during()
        if self.ends:
            raise self.ends.pop(0)
        return echo_job(job, supervision)


def saved(cloud: Cloud) -> list[str]:
    return cloud.names("state", "work/")


def run(cloud: Cloud, job: Training, end: type[BaseException] | None = None, **settings: Any) -> None:
    """One execution, on a machine of its own."""
    if end is None:
        cloud.worker(job, **settings).drain()
    else:
        with pytest.raises(end):
            cloud.worker(job, **settings).drain()
    assert list(Path(cloud.settings.workspace).iterdir()) == [] or end is Killed
    cloud.clock.advance(PAST_EVERYTHING_S)
    cloud.dispatch()


@pytest.mark.parametrize(
    "error",
    [Interrupted("told to stop"), ResourceError("disk full"), RunnerError("hung", code=Code.JOB_TIMED_OUT),
     RunnerError("SIGSEGV", code=Code.JOB_CRASHED)],
    ids=lambda error: error.code,
)  # fmt: skip
def test_the_next_attempt_finds_the_newest_state_and_success_leaves_none(cloud: Cloud, error: SceneJobError) -> None:
    job = Training(error)
    if isinstance(error, Interrupted):
        run(cloud, job, Interrupted)
        assert len(saved(cloud)) == 1 + len({"100"})  # the pointer and one content, which all files share here
    run(cloud, job)
    run(cloud, job)
    assert job.found == [0, 100]
    assert saved(cloud) == []
    assert_at_rest(cloud)


def test_what_was_saved_on_the_way_survives_a_kill(cloud: Cloud) -> None:
    assert cloud.by_hand is not None
    job = Training(Killed(), during=lambda: cloud.by_hand.acts["resume saver"]())  # type: ignore[union-attr]
    run(cloud, job, Killed)
    run(cloud, job)
    assert job.found == [0, 100]
    assert_at_rest(cloud)


def test_a_chain_of_preemptions_moves_on(cloud: Cloud) -> None:
    job = Training(*[Interrupted("told to stop")] * 5)
    for _ in range(5):
        run(cloud, job, Interrupted)
    run(cloud, job)
    assert job.found == [0, 100, 200, 300, 400, 500]
    assert_at_rest(cloud)


def test_a_new_upload_makes_the_saved_work_foreign(cloud: Cloud) -> None:
    job = Training(Interrupted("told to stop"))
    run(cloud, job, Interrupted)
    cloud.upload("lobby/view2.mp4", b"second")
    run(cloud, job)
    assert job.found == [0, 0]
    assert saved(cloud) == []
    assert_at_rest(cloud)


def test_other_settings_of_the_program_make_it_foreign(cloud: Cloud) -> None:
    """A setting of the runner around the pipeline does not."""
    job = Training(Interrupted("told to stop"), Interrupted("told to stop"))
    run(cloud, job, Interrupted)
    run(cloud, job, Interrupted, max_attempts=7)
    cloud.pipeline = replace(cloud.pipeline, seed=3)
    run(cloud, job)
    assert job.found == [0, 100, 0]


@pytest.mark.parametrize("code", [Code.BUG, Code.TRAINING_DIVERGED])
def test_what_may_have_caused_the_failure_is_not_gone_on_from(cloud: Cloud, code: Code) -> None:
    job = Training(Interrupted("told to stop"), RunnerError("it broke", code=code, stage="training"))
    run(cloud, job, Interrupted)
    run(cloud, job)
    run(cloud, job)
    assert job.found == [0, 100, 0]
    assert_at_rest(cloud)


def test_after_two_crashes_the_work_begins_from_nothing(cloud: Cloud) -> None:
    crash = RunnerError("SIGSEGV", code=Code.JOB_CRASHED, stage="training")
    job = Training(crash, crash)
    for _ in range(3):
        run(cloud, job)
    assert job.found == [0, 100, 0]
    assert_at_rest(cloud)


def test_a_dead_letter_leaves_no_saved_work(cloud: Cloud) -> None:
    job = Training(Interrupted("told to stop"), InputError("no video"))
    run(cloud, job, Interrupted)
    run(cloud, job)
    ending = cloud.record("lobby").ending
    assert ending is not None
    assert ending.outcome is Outcome.DEAD_LETTERED
    assert saved(cloud) == []
    assert_at_rest(cloud)


def test_an_interval_of_zero_saves_nothing(cloud: Cloud) -> None:
    job = Training(Interrupted("told to stop"))
    run(cloud, job, Interrupted, checkpoint_s=0)
    assert saved(cloud) == []
    run(cloud, job, checkpoint_s=0)
    assert job.found == [0, 0]
    assert_at_rest(cloud)


def test_the_job_saves_twice_as_often_so_that_the_upload_has_its_half(cloud: Cloud) -> None:
    job = Training()
    run(cloud, job, checkpoint_s=120)
    assert job.jobs[0].save_s == 60


# ---- out of memory ---------------------------------------------------------------------------------------------------


def test_out_of_memory_is_tried_once_more_with_less(cloud: Cloud) -> None:
    job = Training(OUT_OF_MEMORY)
    run(cloud, job)
    run(cloud, job)
    assert [attempt.out_of_memory for attempt in job.jobs] == ["", "training"]
    ending = cloud.record("lobby").ending
    assert ending is not None
    assert ending.outcome is Outcome.SUCCEEDED
    assert_at_rest(cloud)


def test_out_of_memory_with_less_is_a_dead_letter_that_says_so(cloud: Cloud) -> None:
    job = Training(OUT_OF_MEMORY, OUT_OF_MEMORY)
    run(cloud, job, max_attempts=9)
    run(cloud, job, max_attempts=9)
    assert len(job.jobs) == 2
    reason = cloud.json("error", "lobby/error.json")
    assert reason["code"] == "OUT_OF_MEMORY"
    assert reason["cause"] == (
        "killed for memory; the attempt before ran out of memory as well, and this one asked for less"
    )
    assert_at_rest(cloud)
