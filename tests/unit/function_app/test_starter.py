"""As many executions run as the waiting work needs, never more than allowed, and failures are not hammered on."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from function_app.starter import Starter, starts_needed
from scenejobs.errors import AccessDenied, Busy, ComputeError, NotDeployed
from scenejobs.state.executions.start_backoff import BACK_OFF_MAX_S, back_off_s
from scenejobs.state.layout import DISPATCHER_RECORD
from tests.dispatch import Desk
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
    desk.plan.rules = [Rule(Fault.BUSY, "start", skip=1)]
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


def test_dispatchers_at_once_never_start_more_than_the_limit() -> None:
    """Eight threads over two starters, while messages keep coming."""
    desk = Desk(waiting=20)
    starters = [Starter(desk.state, desk.jobs, desk.compute, 3) for _ in range(2)]
    with ThreadPoolExecutor(8) as pool:
        started = list(pool.map(lambda number: starters[number % 2].ensure_started(), range(16)))
    assert sum(started) == desk.compute.starts == len(desk.compute.live()) == 3


def test_before_the_first_deployment_work_is_held_back_told_and_then_begins(caplog: pytest.LogCaptureFixture) -> None:
    """It is no failure: nobody is alarmed, the look comes again each minute, however long the first build takes."""
    desk = Desk(waiting=2)
    reason = "the job runner still has the image that does nothing"
    for _ in range(30):
        desk.compute.fail_with = [NotDeployed(reason, advice="azd deploy runner")]
        assert desk.starter.ensure_started() == 0
        assert reason in desk.starter.load().held_back(desk.clock())
        assert "azd deploy runner" in desk.starter.load().held_back(desk.clock())
        desk.clock.advance(60)
    assert desk.compute.starts == 0
    assert not [line for line in caplog.records if line.levelname == "ERROR"]
    assert desk.starter.ensure_started() == 2
    assert desk.starter.load().held_back(desk.clock()) == ""
