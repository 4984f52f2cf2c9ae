"""As many executions run as the waiting work needs, never more than allowed, and failures are not hammered on."""

from __future__ import annotations

import itertools
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from function_app import starter
from function_app.starter import Starter, starts_needed
from scenejobs.adapters.azure import container_apps
from scenejobs.adapters.memory import ManualClock, MemoryBlobStore, MemoryCompute, MemoryQueue
from scenejobs.errors import AccessDenied, Busy, ComputeError, LeaseLost, StartUnknown
from scenejobs.logs.alerts import Alert
from scenejobs.ports import Execution
from scenejobs.state import usage
from scenejobs.state.layout import DISPATCHER_RECORD
from scenejobs.state.start_backoff import BACK_OFF_MAX_S, LISTED_AFTER_S, back_off_s
from tests.doubles.faults import Fault, FaultPlan, FaultyBlobStore, Rule


@pytest.mark.parametrize(
    ("waiting", "total", "live", "expected"),
    [
        (0, 0, 0, 0),
        (1, 1, 0, 1),
        (5, 5, 0, 3),  # no more than the limit
        (1, 1, 1, 0),  # an execution that holds nothing will take it
        (1, 2, 1, 1),  # the one that runs is busy with another message
        (2, 3, 2, 1),  # one busy, one idle
        (5, 8, 3, 0),  # the limit is reached
        (5, 8, 4, 0),  # and passed, after it was lowered
        (0, 3, 3, 0),  # all held
        (1, 3, 1, 1),  # two hidden by back-off or a dead runner: their executions are gone
        (32, 500, 0, 3),  # visible messages are counted up to 32 only
    ],
)
def test_the_formula(waiting: int, total: int, live: int, expected: int) -> None:
    assert starts_needed(waiting, total, live, limit=3) == expected


@pytest.mark.parametrize(
    ("failures", "retry_after_s", "expected"),
    [(1, None, 30), (2, None, 60), (5, None, 480), (6, None, 900), (1000, None, 900), (1, 120, 120), (1, 3600, 3600)],
)
def test_the_back_off(failures: int, retry_after_s: float | None, expected: float) -> None:
    assert back_off_s(failures, retry_after_s) == expected


class Desk:
    """A starter with its twins."""

    def __init__(self, waiting: int = 1, max_gpu_minutes: float = 0) -> None:
        self.clock = ManualClock()
        self.state = MemoryBlobStore("state", self.clock)
        self.jobs = MemoryQueue("jobs", self.clock)
        self.compute = MemoryCompute(self.clock)
        self.pauses: list[float] = []
        self.starter = Starter(
            self.state, self.jobs, self.compute, 3, self.pauses.append, max_gpu_minutes=max_gpu_minutes
        )
        for number in range(waiting):
            self.jobs.send(str(number))

    def runner_begins(self, name: str = "runner", seconds: float = 0.0) -> None:
        usage.write(self.state, name, self.clock(), self.clock().date(), seconds)

    def executions_end(self) -> None:
        for execution in self.compute.live():
            self.compute.finish(execution.name)


def test_where_somebody_else_starts_executions_nothing_is_asked_and_nothing_is_held_back() -> None:
    """MAX_PARALLEL_JOBS=0: KEDA watches the queue. A job that does not exist is no failure then."""
    desk = Desk(waiting=3)
    desk.compute.fail_with = [ComputeError("must not be asked")]
    nobody = replace(desk.starter, limit=0)
    assert nobody.ensure_started() == 0
    assert list(desk.state.list()) == []
    assert nobody.load().held_back(desk.clock()) == ""


def test_nothing_is_asked_of_the_compute_service_while_no_message_waits() -> None:
    desk = Desk(waiting=0)
    desk.compute.fail_with = [ComputeError("must not be asked")]
    assert desk.starter.ensure_started() == 0
    assert list(desk.state.list()) == []


def test_starting_twice_in_a_row_starts_once() -> None:
    desk = Desk(waiting=2)
    assert desk.starter.ensure_started() == 2
    assert desk.starter.ensure_started() == 0
    assert desk.starter.load().last_start == desk.clock()


def test_an_execution_that_died_before_it_took_its_message_is_started_again() -> None:
    desk = Desk()
    desk.starter.ensure_started()
    desk.compute.finish("execution-1")
    assert desk.starter.ensure_started() == 1


@pytest.mark.parametrize("error", [ComputeError("no capacity"), AccessDenied("403")])
def test_a_failed_start_is_raised_and_then_waited_for(error: Exception) -> None:
    desk = Desk()
    desk.compute.fail_with = [error, error]
    with pytest.raises(type(error)):
        desk.starter.ensure_started()
    assert desk.starter.ensure_started() == 0  # backing off
    assert desk.compute.starts == 0
    desk.clock.advance(30)
    with pytest.raises(type(error)):
        desk.starter.ensure_started()
    desk.clock.advance(59)
    assert desk.starter.ensure_started() == 0
    assert desk.starter.load().failures_in_row == 2
    desk.clock.advance(1)
    assert desk.starter.ensure_started() == 1
    assert (desk.starter.load().failures_in_row, desk.starter.load().not_before) == (0, None)


def test_the_wait_the_service_asks_for_is_kept() -> None:
    desk = Desk()
    desk.compute.fail_with = [ComputeError("throttled", retry_after_s=200)]
    with pytest.raises(ComputeError):
        desk.starter.ensure_started()
    assert desk.starter.load().not_before == desk.clock() + timedelta(seconds=200)


def test_a_day_without_capacity_costs_few_starts() -> None:
    """Looked at every 5 minutes for a day, the service is asked about 100 times, not once per waiting message."""
    desk = Desk(waiting=30)
    desk.compute.fail_with = [ComputeError("no capacity") for _ in range(1000)]
    tried = 0
    for _ in range(24 * 12):
        try:
            desk.starter.ensure_started()
        except ComputeError:
            tried += 1
        desk.clock.advance(300)
    assert tried <= 24 * 3600 / BACK_OFF_MAX_S + 6


def test_what_was_started_before_a_failure_counts() -> None:
    """The second of three starts fails: the first execution runs, and the others are tried after the back-off."""
    desk = Desk(waiting=3)
    start, calls = desk.compute.start, []

    def second_fails() -> str:
        calls.append(1)
        if len(calls) == 2:
            raise ComputeError("no capacity")
        return start()

    desk.compute.start = second_fails  # type: ignore[method-assign]
    with pytest.raises(ComputeError):
        desk.starter.ensure_started()
    assert len(desk.compute.live()) == 1
    desk.clock.advance(30)
    assert desk.starter.ensure_started() == 2


def test_two_instances_never_start_at_once() -> None:
    """While one counts and starts, another waits, and then counts what the first has started."""
    desk = Desk(waiting=3)
    desk.state.write(DISPATCHER_RECORD, b"{}")
    lease = desk.state.lease(DISPATCHER_RECORD, 30)

    def other_finishes(_: float) -> None:
        for _ in range(3):
            desk.compute.start()
        lease.release()

    starter = Starter(desk.state, desk.jobs, desk.compute, 3, other_finishes)
    assert starter.ensure_started() == 0
    assert len(desk.compute.live()) == 3


def test_a_starter_that_died_is_waited_out() -> None:
    desk = Desk()
    desk.state.write(DISPATCHER_RECORD, b"{}")
    desk.state.lease(DISPATCHER_RECORD, 15)  # and never released
    assert Starter(desk.state, desk.jobs, desk.compute, 3, desk.clock.advance).ensure_started() == 1


@pytest.mark.parametrize("fault", [Fault.BUSY, Fault.UNANSWERED])
def test_a_renewal_whose_answer_is_lost_stops_no_start(fault: Fault) -> None:
    desk = Desk()
    store = FaultyBlobStore(desk.state, FaultPlan(desk.clock, [Rule(fault, "renew", DISPATCHER_RECORD)]))
    assert Starter(store, desk.jobs, desk.compute, 3, desk.clock.advance).ensure_started() == 1
    assert len(desk.compute.live()) == 1


def test_a_starter_that_keeps_starting_makes_the_others_try_later() -> None:
    desk = Desk()
    desk.state.write(DISPATCHER_RECORD, b"{}")
    desk.state.lease(DISPATCHER_RECORD, 60)
    with pytest.raises(Busy):
        desk.starter.ensure_started()
    assert 10 <= sum(desk.pauses) <= 30  # well inside the function's five minutes


def test_a_damaged_record_does_not_stop_starts() -> None:
    desk = Desk()
    desk.state.write(DISPATCHER_RECORD, b"\x00 no JSON")
    assert desk.starter.ensure_started() == 1
    assert json.loads(desk.state.read(DISPATCHER_RECORD)[0])["failures_in_row"] == 0


# ---- starts whose answer is lost -------------------------------------------------------------------------------------


def lose_answers(desk: Desk) -> None:
    """Every start happens from now on, and its answer never arrives."""
    start = desk.compute.start

    def lost() -> str:
        start()
        raise StartUnknown("starting job runner: connection aborted")

    desk.compute.start = lost  # type: ignore[method-assign]


def test_a_start_whose_answer_was_lost_is_no_failure(caplog: pytest.LogCaptureFixture) -> None:
    """Nothing is known to be wrong: it is told without an alarm, and the listing is looked at later."""
    desk = Desk()
    lose_answers(desk)
    assert desk.starter.ensure_started() == 0
    assert [line.levelname for line in caplog.records] == ["WARNING"]
    told = desk.starter.load().held_back(desk.clock())
    assert told == "whether an execution was started is not known: starting job runner: connection aborted"


def test_a_start_that_happened_unheard_is_not_made_again_while_the_listing_does_not_show_it() -> None:
    desk = Desk()
    lose_answers(desk)
    live, begin = desk.compute.live, desk.clock()

    def late() -> tuple[Execution, ...]:
        return live() if (desk.clock() - begin).total_seconds() >= LISTED_AFTER_S else ()

    desk.compute.live = late  # type: ignore[method-assign]
    for _ in range(20):
        desk.starter.ensure_started()
        desk.clock.advance(10)
    assert desk.compute.starts == 1
    assert desk.starter.load().held_back(desk.clock()) == "", "the listing has shown it"


def test_a_start_that_did_not_happen_is_made_once_the_listing_would_show_it() -> None:
    desk = Desk()
    desk.compute.fail_with = [StartUnknown("lost"), StartUnknown("lost")]
    looks_s = []
    for second in range(0, 600, 10):
        left = len(desk.compute.fail_with)
        started = desk.starter.ensure_started()
        if started or len(desk.compute.fail_with) < left:
            looks_s.append(second)
        desk.clock.advance(10)
    assert looks_s == [0, 60, 120], "each after the time in which the listing may lag"
    assert desk.compute.starts == 1


def test_starts_that_are_never_answered_and_never_run_are_asked_for_less_and_less_often(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Then something is wrong after all, and an alarm tells it."""
    desk = Desk(waiting=30)
    lose_answers(desk)
    for _ in range(24 * 12):
        desk.starter.ensure_started()
        desk.executions_end()
        desk.clock.advance(300)
    assert desk.compute.starts <= 24 * 3600 / BACK_OFF_MAX_S + 6
    assert Alert.START_REFUSED in {getattr(line, "event", "") for line in caplog.records}


def test_what_was_started_before_an_answer_was_lost_counts() -> None:
    desk = Desk(waiting=3)
    start = desk.compute.start
    desk.starter.ensure_started()
    desk.executions_end()
    desk.runner_begins()

    def second_is_lost() -> str:
        name = start()
        if desk.compute.starts == 5:
            raise StartUnknown("lost")
        return name

    desk.compute.start = second_is_lost  # type: ignore[method-assign]
    assert desk.starter.ensure_started() == 1
    desk.clock.advance(LISTED_AFTER_S)
    assert desk.starter.ensure_started() == 1
    assert len(desk.compute.live()) == 3


def test_a_listing_that_took_longer_than_the_lease_starts_nothing() -> None:
    """Another instance may have counted and started meanwhile."""
    desk = Desk()

    def slow() -> tuple[Execution, ...]:
        desk.clock.advance(31)
        desk.state.lease(DISPATCHER_RECORD, 30)
        return ()

    desk.compute.live = slow  # type: ignore[method-assign]
    with pytest.raises(LeaseLost):
        desk.starter.ensure_started()
    assert desk.compute.starts == 0


def test_the_lease_lasts_as_long_as_an_unanswered_start_takes() -> None:
    """What is then known must be written while nobody else counts."""
    assert starter.LEASE_S >= container_apps.CONNECT_S + container_apps.READ_S + 5
    desk = Desk()
    desk.compute.fail_with = [StartUnknown("lost")]
    live, start = desk.compute.live, desk.compute.start

    def slow_live() -> tuple[Execution, ...]:
        desk.clock.advance(20)
        return live()

    def slow_start() -> str:
        desk.clock.advance(25)
        return start()

    desk.compute.live, desk.compute.start = slow_live, slow_start  # type: ignore[method-assign]
    assert desk.starter.ensure_started() == 0
    assert desk.starter.load().not_before == desk.clock() + timedelta(seconds=LISTED_AFTER_S)


# ---- accepted starts that never begin -------------------------------------------------------------------------------


def looks(desk: Desk, minutes: int, every_s: float = 60) -> list[float]:
    """Looks regularly while every execution ends before it begins; returns when starts were made, in seconds."""
    begin, starts = desk.clock(), []
    for _ in range(int(minutes * 60 / every_s)):
        if desk.starter.ensure_started():
            starts.append((desk.clock() - begin).total_seconds())
        desk.executions_end()
        desk.clock.advance(every_s)
    return starts


def test_without_a_gpu_one_probe_is_started_at_growing_intervals(caplog: pytest.LogCaptureFixture) -> None:
    desk = Desk(waiting=30)
    starts = looks(desk, 120)
    assert desk.compute.starts == 3 + len(starts) - 1, "only the first round may be more than a probe"
    gaps = [later - earlier for earlier, later in itertools.pairwise(starts)]
    assert gaps == sorted(gaps)
    assert BACK_OFF_MAX_S <= gaps[-1] <= BACK_OFF_MAX_S + 2 * 60
    assert Alert.NO_GPU in {getattr(line, "event", "") for line in caplog.records}
    state = desk.starter.load()
    assert state.held_back(desk.clock()) == "waiting for a GPU since 2026-01-01 00:00 UTC"


def test_a_day_without_a_gpu_costs_few_starts() -> None:
    desk = Desk(waiting=30)
    looks(desk, 24 * 60, every_s=300)
    assert desk.compute.starts <= 24 * 3600 / BACK_OFF_MAX_S + 12


def test_the_first_runner_that_begins_ends_the_back_off_at_once() -> None:
    desk = Desk(waiting=5)
    looks(desk, 60)
    before = desk.compute.starts
    assert desk.starter.load().not_before > desk.clock()  # type: ignore[operator]
    desk.runner_begins()
    assert desk.starter.ensure_started() == 3
    assert desk.compute.starts == before + 3
    state = desk.starter.load()
    assert (state.ghosts_in_row, state.held_back(desk.clock())) == (0, "")


def test_a_probe_that_waits_for_its_gpu_is_not_joined_by_another() -> None:
    desk = Desk(waiting=5)
    looks(desk, 10)
    desk.clock.advance(BACK_OFF_MAX_S)
    assert desk.starter.ensure_started() == 1
    for _ in range(20):
        desk.clock.advance(600)
        assert desk.starter.ensure_started() == 0


def test_executions_that_ran_and_ended_are_no_ghosts() -> None:
    desk = Desk(waiting=3)
    for round_ in range(10):
        assert desk.starter.ensure_started() == 3
        desk.runner_begins(f"runner{round_}")
        desk.clock.advance(300)
        desk.executions_end()
    assert desk.starter.load().ghosts_in_row == 0


def test_starts_whose_names_the_service_does_not_tell_are_judged_when_nothing_lives() -> None:
    desk = Desk(waiting=1)
    start = desk.compute.start
    desk.compute.start = lambda: void(start())  # type: ignore[method-assign]
    desk.starter.ensure_started()
    desk.clock.advance(300)
    desk.starter.ensure_started()
    assert desk.starter.load().ghosts_in_row == 0
    desk.executions_end()
    desk.starter.ensure_started()
    assert desk.starter.load().ghosts_in_row == 1


def void(_: str) -> str:
    return ""


# ---- minutes per day ------------------------------------------------------------------------------------------------


def test_nothing_is_started_when_the_days_minutes_are_used_up_until_the_next_day(
    caplog: pytest.LogCaptureFixture,
) -> None:
    desk = Desk(waiting=2, max_gpu_minutes=60)
    desk.runner_begins("one", 1800)
    assert desk.starter.ensure_started() == 2
    desk.executions_end()
    desk.runner_begins("two", 1799)
    desk.clock.advance(10)
    assert desk.starter.ensure_started() == 2
    desk.executions_end()
    desk.runner_begins("three", 1)
    assert desk.starter.ensure_started() == 0
    assert {line.event for line in caplog.records if hasattr(line, "event")} == {Alert.GPU_BUDGET}
    assert desk.starter.load().held_back(desk.clock()) == "held back by the daily budget until 2026-01-02 00:00 UTC"
    desk.clock.advance(24 * 3600)
    assert desk.starter.load().held_back(desk.clock()) == ""
    assert desk.starter.ensure_started() == 2


def test_executions_that_run_are_left_alone_when_the_budget_is_used_up() -> None:
    desk = Desk(waiting=3, max_gpu_minutes=1)
    desk.starter.ensure_started()
    desk.runner_begins("one", 3600)
    desk.clock.advance(10)
    assert desk.starter.ensure_started() == 0
    assert len(desk.compute.live()) == 3


def test_dispatchers_at_once_never_start_more_than_the_limit() -> None:
    """Eight threads over two starters, while messages keep coming."""
    desk = Desk(waiting=20)
    starters = [Starter(desk.state, desk.jobs, desk.compute, 3) for _ in range(2)]
    with ThreadPoolExecutor(8) as pool:
        started = list(pool.map(lambda number: starters[number % 2].ensure_started(), range(16)))
    assert sum(started) == desk.compute.starts == len(desk.compute.live()) == 3
