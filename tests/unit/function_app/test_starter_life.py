"""An execution that lives and does nothing stops nobody else, and is stopped itself; one that works never is."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from function_app.executions import STOP_AGAIN_S
from function_app.starter import START_TIMEOUT_S
from scenejobs.errors import AccessDenied
from scenejobs.logs.alerts import Alert
from scenejobs.state import records
from scenejobs.state.executions import usage
from scenejobs.state.executions.life import SILENT_S
from scenejobs.state.incoming.uploads import snapshot
from scenejobs.state.layout import DISPATCHER_RECORD, progress_name, record_name
from tests.dispatch import Desk
from tests.doubles.faults import Fault, Rule

LOOK_S = 300.0  # between two sweeps


def advance(desk: Desk, seconds: float, *alive: str) -> int:
    """Time passes, with a sweep's look every five minutes; those who live report. Returns what was started."""
    started, left = 0, seconds
    while left > 0:
        desk.clock.advance(min(LOOK_S, left))
        left -= LOOK_S
        for name in alive:
            desk.beat(name)
        started += desk.starter.look_after()
    return started


def guards(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [getattr(line, "execution", "") for line in caplog.records if getattr(line, "event", "") == Alert.NO_LIFE]


def take_scene(desk: Desk, execution: str, *, told: bool = True) -> None:
    """An execution begins to work on scene lobby, and holds its lease."""
    records.ensure(desk.state, "lobby")
    lease = desk.state.lease(record_name("lobby"), 60)
    stored = records.load(desk.state, "lobby")
    assert stored is not None
    records.save(desk.state, stored, stored.record.attempted("run-1", snapshot(()), desk.clock()), lease)
    if told:
        progress = {"scene": "lobby", "run": "run-1", "attempt": 1, "execution": execution}
        desk.state.write(progress_name("lobby"), json.dumps(progress).encode())


@pytest.mark.parametrize("limit", [1, 3])
def test_an_execution_in_which_nothing_begins_is_stopped_and_another_is_started(
    limit: int, caplog: pytest.LogCaptureFixture
) -> None:
    """It kept the waiting scene from being started for up to four hours."""
    desk = Desk(waiting=1, limit=limit)
    assert desk.starter.ensure_started() == 1
    assert advance(desk, START_TIMEOUT_S) == 0, "it may still begin"
    assert advance(desk, LOOK_S) == 1
    assert desk.live == ["execution-2"]
    assert guards(caplog) == ["execution-1"]
    assert "no runner has begun in it since 2026-01-01 00:00:00 UTC; it is stopped and counts no more" in caplog.text


def test_the_time_to_begin_is_a_setting() -> None:
    desk = Desk(waiting=1)
    desk.starter = type(desk.starter)(desk.state, desk.jobs, desk.service, 1, start_timeout_s=600)
    desk.starter.ensure_started()
    assert advance(desk, 600) == 0
    assert advance(desk, LOOK_S) == 1


@pytest.mark.parametrize("limit", [1, 3])
def test_an_execution_that_falls_silent_is_stopped_and_another_is_started(
    limit: int, caplog: pytest.LogCaptureFixture
) -> None:
    desk = Desk(waiting=1, limit=limit)
    desk.starter.ensure_started()
    assert advance(desk, 3600, "execution-1") == 0
    assert advance(desk, SILENT_S) == 0
    assert advance(desk, LOOK_S) == 1
    assert desk.live == ["execution-2"]
    assert guards(caplog) == ["execution-1"]


@pytest.mark.parametrize("limit", [1, 3])
def test_an_execution_that_has_ended_counts_no_more_though_it_is_listed(
    limit: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Its end may never be noticed. At first nothing is asked of it: usually it goes by itself a moment later."""
    desk = Desk(waiting=1, limit=limit)
    desk.starter.ensure_started()
    desk.beat("execution-1", ended=True)
    assert desk.starter.ensure_started() == 1
    assert desk.live == ["execution-1", "execution-2"]
    assert guards(caplog) == []
    assert advance(desk, LOOK_S, "execution-2") == 0
    assert desk.live == ["execution-2"]
    assert guards(caplog) == ["execution-1"]


@pytest.mark.parametrize("limit", [1, 3])
def test_of_several_that_are_dead_each_is_replaced_and_nothing_is_started_past_the_limit(limit: int) -> None:
    desk = Desk(waiting=9, limit=limit)
    assert desk.starter.ensure_started() == limit
    first = list(desk.live)
    desk.beat(first[0])  # there are machines: no probe is needed
    assert advance(desk, START_TIMEOUT_S + LOOK_S, first[0]) == limit - 1
    assert first[0] in desk.live
    assert len(desk.live) == limit
    assert not set(first[1:]) & set(desk.live)


def test_while_no_runner_begins_at_all_one_probe_is_started_at_a_time() -> None:
    """A bad day of the platform costs one idle machine, not as many as there are scenes."""
    desk = Desk(waiting=9)
    assert desk.starter.ensure_started() == 3
    assert advance(desk, START_TIMEOUT_S + LOOK_S) == 1
    assert advance(desk, 8 * 3600) == 8 * 3600 // (START_TIMEOUT_S + LOOK_S)
    assert len(desk.live) == 1
    desk.beat(desk.live[0])
    assert desk.starter.ensure_started() == 2


@pytest.mark.parametrize("limit", [1, 3])
def test_one_that_was_to_stop_and_begins_after_all_counts_and_is_left_alone(
    limit: int, caplog: pytest.LogCaptureFixture
) -> None:
    desk = Desk(waiting=1, limit=limit)
    desk.service.on_stop = lambda name: None  # accepted, and nothing comes of it
    desk.starter.ensure_started()
    assert advance(desk, START_TIMEOUT_S + LOOK_S) == 1
    for name in desk.live:
        desk.beat(name)
    assert advance(desk, 3600, *desk.live) == 0
    assert desk.live == ["execution-1", "execution-2"]
    assert desk.plan.count("stop") == 1
    assert desk.starter.load().stop_asked == {}
    assert "was to stop and works" in caplog.text


def test_one_that_stays_in_the_listing_is_asked_again_now_and_then_and_told_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    desk = Desk(waiting=1, limit=1)
    desk.service.on_stop = lambda name: None  # accepted, and nothing comes of it
    desk.starter.ensure_started()
    advance(desk, START_TIMEOUT_S + LOOK_S)
    assert advance(desk, 2 * 3600, "execution-2") == 0
    assert desk.plan.count("stop") == 1 + 2 * 3600 // STOP_AGAIN_S
    assert guards(caplog) == ["execution-1"]


@pytest.mark.parametrize("limit", [1, 3])
def test_those_that_the_service_does_not_stop_do_not_add_up_without_end(
    limit: int, caplog: pytest.LogCaptureFixture
) -> None:
    desk = Desk(waiting=9, limit=limit)
    desk.plan.rules = [Rule(Fault.BUSY, "stop", times=1_000_000)]
    desk.starter.ensure_started()
    for _ in range(20):
        advance(desk, START_TIMEOUT_S)
        desk.beat("nobody")  # a runner has begun elsewhere: no backoff hides the number
    assert len(desk.live) == 2 * limit
    assert "cannot be stopped" in caplog.text


def test_a_role_that_may_not_stop_is_told_and_keeps_nothing_from_being_started(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def refuse(name: str) -> None:
        raise AccessDenied("403 stop/execution", advice="the role on the job")

    desk = Desk(waiting=1, limit=1)
    desk.starter.ensure_started()
    desk.service.on_stop = refuse
    assert advance(desk, START_TIMEOUT_S + LOOK_S) == 1
    assert "403 stop/execution" in caplog.text


def test_what_does_nothing_is_stopped_also_while_nothing_waits_and_when_the_day_is_used_up() -> None:
    """It costs."""
    idle, poor = Desk(waiting=1), Desk(waiting=1, max_gpu_minutes=60)
    for desk in (idle, poor):
        desk.starter.ensure_started()
    message = idle.jobs.receive(60)
    assert message is not None
    idle.jobs.complete(message)
    poor.runner_begins("somebody", 3600)
    for desk in (idle, poor):
        assert advance(desk, START_TIMEOUT_S + LOOK_S) == 0
        assert desk.live == []


def test_while_nothing_waits_and_nothing_lives_the_service_is_not_asked() -> None:
    desk = Desk(waiting=0)
    desk.state.write(DISPATCHER_RECORD, b"{}")
    advance(desk, 3600)
    assert desk.plan.calls == []


def test_the_time_of_an_execution_that_had_to_be_stopped_counts_for_the_days_minutes() -> None:
    """No runner has told it. Otherwise a day on which every execution hangs would cost without end."""
    desk = Desk(waiting=1, max_gpu_minutes=30)
    desk.starter.ensure_started()
    assert advance(desk, START_TIMEOUT_S + LOOK_S) == 0
    assert usage.minutes_on(desk.state, desk.clock().date()) == (START_TIMEOUT_S + LOOK_S) / 60
    assert "daily budget" in desk.starter.load().held_back(desk.clock())
    assert not usage.begun_since(desk.state, desk.clock() - timedelta(days=1), desk.clock()), "nobody has begun"


def test_an_execution_whose_container_was_started_again_is_one_execution() -> None:
    desk = Desk(waiting=1, limit=1)
    desk.starter.ensure_started()
    desk.beat("execution-1", start="0001")
    desk.clock.advance(SILENT_S + 60)
    desk.beat("execution-1", start="0002")
    assert desk.starter.look_after() == 0
    desk.beat("execution-1", start="0001", ended=True)  # late: the first start's last word
    desk.clock.advance(1)
    desk.beat("execution-1", start="0002")
    assert advance(desk, 60) == 0
    assert desk.live == ["execution-1"]
    assert desk.plan.count("stop") == 0


def test_a_runner_of_the_version_before_is_not_stopped_during_an_upgrade() -> None:
    """It wrote the same blob, without the promise to repeat it."""
    desk = Desk(waiting=1)
    desk.starter.ensure_started()
    desk.beat("execution-1", beats=False)
    assert advance(desk, 4 * 3600) == 0
    assert desk.live == ["execution-1"]


@pytest.mark.parametrize("told", [True, False])
def test_a_training_whose_heartbeat_is_frozen_goes_on_as_long_as_it_holds_its_scene(told: bool) -> None:
    """Also where it is not known who holds it: no progress was written yet, or a runner of the version before did."""
    desk = Desk(waiting=1)
    desk.starter.ensure_started()
    desk.beat("execution-1")
    desk.clock.advance(3600)
    take_scene(desk, "execution-1", told=told)
    assert desk.starter.look_after() == 0
    assert desk.live == ["execution-1"]
    desk.clock.advance(61)  # the lease has ended
    assert desk.starter.look_after() == 1
    assert desk.live == ["execution-2"]


def test_the_lease_of_another_execution_spares_nobody() -> None:
    desk = Desk(waiting=2)
    desk.starter.ensure_started()
    desk.beat("execution-1")
    desk.beat("execution-2")
    desk.clock.advance(3600)
    desk.beat("execution-2")
    take_scene(desk, "execution-2")
    desk.starter.look_after()
    assert desk.live == ["execution-2", "execution-3"]


def test_a_start_without_a_name_is_known_from_the_listing() -> None:
    desk = Desk(waiting=1)
    desk.service.names_starts = False
    desk.starter.ensure_started()
    assert advance(desk, START_TIMEOUT_S + 2 * LOOK_S) == 1
    assert desk.live == ["execution-2"]


def test_what_the_version_before_wrote_about_starts_is_read() -> None:
    desk = Desk(waiting=1)
    old = {"last_start": "2026-01-01T00:00:00+00:00", "unanswered": ["execution-1"],
           "unanswered_since": "2026-01-01T00:00:00+00:00"}  # fmt: skip
    desk.compute.start()
    desk.state.write(DISPATCHER_RECORD, json.dumps(old).encode())
    assert advance(desk, START_TIMEOUT_S) == 0
    assert advance(desk, 2 * LOOK_S) == 1, "its time counts from the first look of the new version"
