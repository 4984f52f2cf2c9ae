"""Nothing costs without end: each guard holds work back, says so in one line an alarm can find, and lets go again."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from runner.job.request import Job
from runner.job.supervise import Supervision
from runner.process.signals import StopFlag
from scenejobs.errors import Code, InfrastructureError, Interrupted, RunnerError
from scenejobs.logs.alerts import Alert
from scenejobs.logs.setup import JsonFormatter
from scenejobs.state import records
from scenejobs.state.executions import usage
from scenejobs.state.record import Phase
from tests.dispatch import World
from tests.invariants import assert_at_rest
from tests.runner_world import Cloud, echo_job

DAY_S = 86_400


@pytest.fixture
def cloud(tmp_path: Path) -> Cloud:
    cloud = Cloud(tmp_path)
    cloud.upload("lobby/view1.mp4", b"first")
    cloud.queue("lobby")
    return cloud


def alarms(caplog: pytest.LogCaptureFixture) -> set[str]:
    """What an alarm rule on `guard.` would see: errors whose message begins with the name in their field `event`."""
    found = set()
    for line in caplog.records:
        event = getattr(line, "event", "")
        if event:
            assert line.levelno == logging.ERROR
            assert line.getMessage().startswith(f"{event}: ")
            found.add(event)
    return found


# ---- one scene, uploaded again and again ----------------------------------------------------------------------------


def test_a_scene_that_is_uploaded_again_and_again_waits_for_the_next_day(
    cloud: Cloud, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(10):
        cloud.upload("lobby/view1.mp4", b"upload %d" % number)
        cloud.queue("lobby")
        cloud.worker(max_scene_runs=4).drain()
    assert cloud.jobs_run == 4
    assert alarms(caplog) == {Alert.SCENE_RUNS}
    assert cloud.queues["jobs"].waiting() == 0, "executions would be started to look at it in vain"
    record = cloud.record("lobby")
    assert record.not_before == usage.next_day(cloud.clock())
    cloud.clock.advance(DAY_S)
    cloud.worker(max_scene_runs=4).drain()
    assert cloud.jobs_run == 5
    cloud.settle()
    assert_at_rest(cloud)
    assert cloud.stores["processed"].read("lobby/generation~5/view1.mp4")[0] == b"upload 9"


def test_new_uploads_of_such_a_scene_start_no_execution_before_the_next_day() -> None:
    world = World()
    records.ensure(world.state, "lobby")
    stored = records.load(world.state, "lobby")
    assert stored is not None
    tomorrow = usage.next_day(world.clock())
    lease = world.state.lease("scenes/lobby.json", 15)
    records.save(world.state, stored, stored.record.postponed(tomorrow), lease)
    lease.release()
    world.upload("lobby/a.mp4")
    world.advance(70)
    for _ in range(20):
        world.clock.advance(1800)
        assert world.app.sweeper.sweep().requeued == 0
    assert (len(world.sent), world.compute.starts) == (1, 0)
    world.clock.advance((tomorrow - world.clock()).total_seconds())
    assert world.app.sweeper.sweep().started == 1


def test_without_a_limit_a_scene_may_run_as_often_as_it_is_uploaded(cloud: Cloud) -> None:
    for number in range(30):
        cloud.upload("lobby/view1.mp4", b"upload %d" % number)
        cloud.queue("lobby")
        cloud.worker(max_scene_runs=0).drain()
    assert cloud.jobs_run == 30


def test_batch_mode_does_not_wait_for_the_next_day_on_a_machine_that_costs(cloud: Cloud) -> None:
    for number in range(2):
        cloud.worker(batch_prefix="lobby", max_scene_runs=2).batch()
        cloud.upload("lobby/view1.mp4", b"again %d" % number)
    with pytest.raises(InfrastructureError, match="must not be run for another 1440 min"):
        cloud.worker(batch_prefix="lobby", max_scene_runs=2).batch()
    assert cloud.names("input") == ["lobby/view1.mp4"]


# ---- minutes per day ------------------------------------------------------------------------------------------------


def test_a_runner_takes_no_further_scene_when_the_days_minutes_are_used_up(
    cloud: Cloud, caplog: pytest.LogCaptureFixture
) -> None:
    cloud.upload("hall/a.mp4", b"a")
    cloud.queue("hall")

    def long_job(job: Job, supervision: Supervision) -> dict[str, object]:
        usage.write(cloud.stores["state"], "another", cloud.clock(), cloud.clock().date(), 3600)
        return echo_job(job, supervision)

    assert cloud.worker(long_job, max_gpu_minutes=60).drain() == 0
    assert cloud.jobs_run == 1, "the running attempt was not left alone, or another one was begun"
    assert cloud.names("output", "lobby/manifest.json")
    assert cloud.queues["jobs"].waiting() == 1
    assert alarms(caplog) == {Alert.GPU_BUDGET}
    cloud.clock.advance(DAY_S)
    cloud.worker(max_gpu_minutes=60).drain()
    assert cloud.jobs_run == 2


# ---- attempts -------------------------------------------------------------------------------------------------------


def test_a_scene_that_kills_its_job_is_tried_three_times_and_then_explained(
    cloud: Cloud, caplog: pytest.LogCaptureFixture
) -> None:
    def crash(job: Job, supervision: Supervision) -> dict[str, object]:
        raise RunnerError("the job died of SIGSEGV in training", code=Code.JOB_CRASHED, stage="training")

    cloud.upload("hall/a.mp4", b"a")
    cloud.settle(crash)
    assert cloud.jobs_run == 3
    assert alarms(caplog) == {Alert.ATTEMPTS}
    error = cloud.json("error", "lobby/error.json")
    assert (error["code"], len(error["attempts"])) == (Code.JOB_CRASHED, 3)
    cloud.queue("hall")
    cloud.settle()
    assert_at_rest(cloud)


def test_a_hanging_job_raises_an_alarm_of_its_own(cloud: Cloud, caplog: pytest.LogCaptureFixture) -> None:
    def hangs(job: Job, supervision: Supervision) -> dict[str, object]:
        assert supervision.deadline_s is not None
        raise RunnerError("the job was not done in time", code=Code.JOB_TIMED_OUT, stage="training")

    cloud.worker(hangs).drain()
    assert alarms(caplog) == {Alert.DEADLINE}


# ---- the end of an execution ----------------------------------------------------------------------------------------


def ending(cloud: Cloud, seconds: float) -> list[float]:
    """Gives the runner an execution of this length; returns its clock, to be moved."""
    now = [0.0]
    cloud.stop = StopFlag(lambda: now[0])
    cloud.stop.end_in(seconds)
    return now


def test_the_attempt_is_given_back_before_the_platform_ends_the_execution(cloud: Cloud) -> None:
    now = ending(cloud, 3000)

    def slow(job: Job, supervision: Supervision) -> dict[str, object]:
        assert not supervision.stop_requested()
        now[0] = 3000.0
        assert supervision.stop_requested()
        raise Interrupted("told to stop", stage="training")

    with pytest.raises(Interrupted):
        cloud.worker(slow).drain()
    record = cloud.record("lobby")
    assert (record.phase, record.attempts, record.preemptions) == (Phase.IDLE, 0, 1)
    assert cloud.queues["jobs"].waiting() == 1
    cloud.stop = StopFlag()
    cloud.settle()
    assert_at_rest(cloud)


def test_no_scene_is_taken_when_the_rest_of_the_execution_cannot_hold_it(cloud: Cloud) -> None:
    cloud.upload("hall/a.mp4", b"a")
    cloud.queue("hall")
    now = ending(cloud, 100_000)

    def until_nearly_the_end(job: Job, supervision: Supervision) -> dict[str, object]:
        now[0] = 99_000.0
        return echo_job(job, supervision)

    assert cloud.worker(until_nearly_the_end).drain() == 0
    assert cloud.jobs_run == 1
    assert cloud.queues["jobs"].waiting() == 1, "the other scene is not there for the next execution"


# ---- executions at the same time, and a held scene ------------------------------------------------------------------


def test_a_held_scene_is_not_begun_and_its_message_comes_back_later(
    cloud: Cloud, caplog: pytest.LogCaptureFixture
) -> None:
    records.ensure(cloud.stores["state"], "lobby")
    stored = records.load(cloud.stores["state"], "lobby")
    assert stored is not None
    lease = cloud.stores["state"].lease("scenes/lobby.json", 15)
    records.save(cloud.stores["state"], stored, stored.record.holding("generation 1 is being brought back"), lease)
    lease.release()
    cloud.worker().drain()
    assert cloud.jobs_run == 0
    assert alarms(caplog) == {Alert.HELD}
    assert (cloud.queues["jobs"].total(), cloud.queues["jobs"].waiting()) == (1, 0)


def test_every_alarm_is_documented() -> None:
    text = (Path(__file__).parents[4] / "docs" / "configuration.md").read_text()
    assert [guard for guard in Alert if f"`{guard}`" not in text] == []


def test_an_alarm_is_one_line_of_json_with_its_fields(cloud: Cloud, caplog: pytest.LogCaptureFixture) -> None:
    cloud.worker(max_scene_runs=1).drain()
    cloud.upload("lobby/view1.mp4", b"again")
    cloud.queue("lobby")
    cloud.worker(max_scene_runs=1).drain()
    (line,) = [record for record in caplog.records if getattr(record, "event", "")]
    fields = json.loads(JsonFormatter({}).format(line))
    assert (fields["event"], fields["scene"], fields["level"]) == ("guard.scene_runs", "lobby", "ERROR")
