"""On days on which the first job gets no machine, waiting work goes to the fallback job, and back when it gets one."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from function_app.starter import AWAY_S, START_TIMEOUT_S, Starter
from function_app.wiring import fallback_of
from scenejobs.adapters.memory import MemoryCompute
from scenejobs.errors import AccessDenied, ComputeError, ConfigurationError, SceneJobError, StartUnknown
from scenejobs.settings.groups import ComputeSettings
from scenejobs.state.executions import usage
from tests.dispatch import Desk

LOOK_S = 300.0  # between two sweeps
AFTER = 3


class Two(Desk):
    """A desk with two jobs. `no_machine`: what becomes of a start of the first job at the next look."""

    def __init__(self, waiting: int = 1, limit: int = 3) -> None:
        super().__init__(waiting, limit=limit)
        self.second = MemoryCompute(self.clock, starts=100)  # execution-101, ...
        self.starter: Starter = replace(self.starter, elsewhere=self.second, fallback_after=AFTER)
        self.no_machine = True
        self.alive: dict[str, bool] = {}  # executions whose runner reports, and whether it is in the fallback job

    def look(self, seconds: float = LOOK_S) -> int:
        """A sweep's look; executions of the first job have ended by then where there is no machine."""
        self.clock.advance(seconds)
        if self.no_machine:
            self.executions_end()
        for execution, fallback in self.alive.items():
            self.begins(execution, fallback=fallback)
        return self.starter.look_after()

    def without_machine(self) -> None:
        """Until the first job has failed so often that the fallback job gets the work."""
        self.starter.ensure_started()
        for _ in range(40):
            if self.second.starts > 100:
                return
            self.look()
        pytest.fail("nothing was started at the fallback job")

    def begins(self, execution: str, *, fallback: bool) -> None:
        now = self.clock()
        usage.write(self.state, f"{execution}-0001", now, now.date(), 0.0, beats=True, fallback=fallback)

    @property
    def told(self) -> str:
        return self.starter.load().held_back(self.clock())


def test_after_so_many_starts_that_never_began_the_fallback_job_is_started_and_status_says_so() -> None:
    desk = Two()
    desk.without_machine()
    assert desk.compute.starts >= AFTER
    assert desk.starter.load().never_began == AFTER
    assert [execution.name for execution in desk.second.live()] == ["execution-101"]
    assert desk.told.startswith("the first job got no machine in 3 starts since 2026-01-01 00:0")
    assert desk.told.endswith("what waits goes to the fallback job")


def test_one_start_fewer_and_without_a_fallback_job_nothing_changes() -> None:
    desk = Two()
    desk.starter = replace(desk.starter, fallback_after=1000)
    alone = Desk()
    alone.starter.ensure_started()
    desk.starter.ensure_started()
    for _ in range(50):
        alone.clock.advance(LOOK_S)
        alone.executions_end()
        assert alone.starter.look_after() == desk.look()
    assert (desk.second.starts, desk.compute.starts) == (100, alone.compute.starts)
    assert "fallback" not in desk.told


@pytest.mark.parametrize("error", [ComputeError("no capacity"), AccessDenied("403")])
def test_refused_starts_count_where_the_service_has_no_machine_and_not_where_a_right_is_missing(
    error: SceneJobError,
) -> None:
    desk = Two()
    desk.compute.fail_with = [error] * 1000
    for _ in range(20):
        try:
            desk.look()
        except (ComputeError, AccessDenied):
            continue
    assert (desk.second.starts > 100) is isinstance(error, ComputeError)


def test_what_the_first_job_refuses_is_no_failure_where_the_fallback_job_takes_it() -> None:
    desk = Two()
    desk.compute.fail_with = [ComputeError("no capacity")] * 1000
    for _ in range(AFTER - 1):
        with pytest.raises(ComputeError):
            desk.look(LOOK_S * 3)
    assert desk.look(LOOK_S * 3) == 1, "nothing is raised: the work is taken"


def test_a_lost_answer_says_nothing_of_machines() -> None:
    desk = Two()
    desk.compute.fail_with = [StartUnknown("no answer")] * 1000
    for _ in range(20):
        desk.look()
    assert desk.second.starts == 100


def test_no_more_run_there_than_may_and_the_first_is_asked_for_one_machine_at_a_time() -> None:
    desk = Two(waiting=30, limit=2)
    desk.without_machine()
    for _ in range(40):
        for execution in desk.second.live():
            if execution.name not in desk.alive:
                assert desk.jobs.receive(1e6) is not None
                desk.alive[execution.name] = True
        before = desk.compute.starts
        desk.look()
        assert len(desk.second.live()) <= 2
        assert desk.compute.starts <= before + 1
    assert len(desk.second.live()) == 2
    assert desk.compute.starts > AFTER + 5, "it is asked all the time"


def test_a_runner_of_the_fallback_job_does_not_prove_that_the_first_has_machines() -> None:
    desk = Two()
    desk.without_machine()
    desk.begins("execution-101", fallback=True)
    desk.look()
    assert desk.starter.load().is_away(desk.clock())
    assert desk.starter.load().never_began >= AFTER


def test_a_runner_of_the_first_job_takes_everything_back() -> None:
    desk = Two(waiting=5, limit=1)
    desk.without_machine()
    desk.second.finish("execution-101")
    desk.no_machine = False
    for _ in range(6):  # the probe of the first job is due
        desk.second.executions.clear()
        desk.look()
    (probe,) = desk.compute.live()
    started = desk.second.starts
    desk.alive[probe.name] = False
    desk.jobs.receive(1e6)
    for _ in range(10):
        desk.second.executions.clear()
        desk.look()
    assert desk.second.starts == started
    assert desk.told == ""
    assert desk.starter.load().never_began == 0


def test_a_probe_of_the_first_job_that_hangs_keeps_nothing_from_the_fallback_job() -> None:
    """It is listed, no runner begins in it, and it may take half an hour until that is known."""
    desk = Two(limit=1)
    desk.without_machine()
    desk.second.finish("execution-101")
    desk.no_machine = False
    for _ in range(4):
        desk.second.executions.clear()
        desk.look()
    assert len(desk.compute.live()) == 1
    assert desk.second.starts >= 102


def test_an_execution_of_the_fallback_job_that_shows_no_life_is_stopped() -> None:
    desk = Two()
    desk.without_machine()
    desk.jobs.receive(1e6)  # nothing waits any more
    desk.look(START_TIMEOUT_S + 1)
    assert desk.second.live() == ()


def test_days_later_the_first_job_is_asked_alone() -> None:
    desk = Two()
    desk.without_machine()
    message = desk.jobs.receive(1e6)
    assert message is not None
    desk.jobs.complete(message)
    desk.second.executions.clear()
    desk.look(AWAY_S + START_TIMEOUT_S + 1)
    desk.jobs.send("the next")
    desk.no_machine = False
    desk.look()
    assert (len(desk.compute.live()), len(desk.second.live())) == (1, 0)
    assert "fallback" not in desk.told


def test_one_failure_then_is_enough() -> None:
    desk = Two()
    desk.without_machine()
    started = desk.second.starts
    desk.second.executions.clear()
    desk.clock.advance(AWAY_S + START_TIMEOUT_S + 1)
    assert not desk.starter.load().is_away(desk.clock())
    for _ in range(3):
        desk.look()
    assert desk.second.starts > started


def test_a_state_that_the_version_before_wrote_says_nothing_of_a_fallback_job() -> None:
    desk = Two()
    desk.starter.ensure_started()
    assert desk.starter.load().fallback is None
    assert desk.starter.load().to_json().keys().isdisjoint({"fallback", "never_began", "away_until"})


def test_the_fallback_job_is_another_job() -> None:
    job = ComputeSettings("sub", "rg", "job-a")
    assert fallback_of(job) is None
    other = fallback_of(replace(job, fallback_job_name="job-b"))
    assert other is not None
    assert (other.resource_group, other.job_name) == ("rg", "job-b")
    far = fallback_of(replace(job, fallback_job_name="job-a", fallback_resource_group="rg-2"))
    assert far is not None
    assert (far.resource_group, far.job_name) == ("rg-2", "job-a")
    with pytest.raises(ConfigurationError, match="is the job itself"):
        fallback_of(replace(job, fallback_job_name="JOB-A", fallback_resource_group="RG"))


def test_what_is_known_of_the_fallback_job_is_kept_beside_the_first() -> None:
    desk = Two()
    desk.without_machine()
    there = desk.starter.load().fallback
    assert there is not None
    assert set(there.known_since) == {"execution-101"}
    assert there.last_start is not None
    assert there.last_start <= desk.clock() <= there.last_start + timedelta(seconds=LOOK_S)
