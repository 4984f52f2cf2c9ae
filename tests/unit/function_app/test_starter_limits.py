"""Accepted starts that never begin, and the minutes of a day: both hold starts back, and end by themselves."""

from __future__ import annotations

import itertools
import logging

import pytest

from scenejobs.errors import ComputeError
from scenejobs.logs.alerts import Alert
from scenejobs.state.executions.start_backoff import BACK_OFF_MAX_S
from tests.dispatch import Desk


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
    """Until START_TIMEOUT_SECS are over: then it is stopped, and the next one takes its place."""
    desk = Desk(waiting=5)
    looks(desk, 10)
    desk.clock.advance(BACK_OFF_MAX_S)
    assert desk.starter.ensure_started() == 1
    for _ in range(3):
        desk.clock.advance(600)
        assert desk.starter.ensure_started() == 0
    desk.clock.advance(1)
    assert desk.starter.ensure_started() == 1
    assert len(desk.compute.live()) == 1


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
    desk.service.names_starts = False
    desk.starter.ensure_started()
    desk.clock.advance(300)
    desk.starter.ensure_started()
    assert desk.starter.load().ghosts_in_row == 0
    desk.executions_end()
    desk.starter.ensure_started()
    assert desk.starter.load().ghosts_in_row == 1


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


def test_a_budget_that_is_nearly_used_up_warns_and_says_how_to_raise_it(caplog: pytest.LogCaptureFixture) -> None:
    desk = Desk(waiting=1, max_gpu_minutes=600)
    desk.runner_begins("one", 479 * 60)
    desk.starter.ensure_started()
    assert "MAX_GPU_MINUTES_PER_DAY" not in caplog.text
    desk.runner_begins("two", 60)
    desk.starter.ensure_started()
    assert "480 of 600 minutes of today are used up; to raise it: azd env set MAX_GPU_MINUTES_PER_DAY" in caplog.text


def test_executions_that_run_are_left_alone_when_the_budget_is_used_up() -> None:
    desk = Desk(waiting=3, max_gpu_minutes=1)
    desk.starter.ensure_started()
    desk.runner_begins("one", 3600)
    desk.clock.advance(10)
    assert desk.starter.ensure_started() == 0
    assert len(desk.compute.live()) == 3


def test_a_wait_is_logged_once_and_not_at_every_look(caplog: pytest.LogCaptureFixture) -> None:
    """Watch mode looks every few seconds, for up to a quarter of an hour."""
    desk = Desk()
    for _ in range(2):  # a second wait is another line
        desk.compute.fail_with.append(ComputeError("no quota"))
        with pytest.raises(ComputeError):
            desk.starter.ensure_started()
        caplog.clear()
        with caplog.at_level(logging.INFO, "function_app.starter"):
            for _ in range(20):
                assert desk.starter.ensure_started() == 0
        assert [line.getMessage()[:15] for line in caplog.records] == ["no start before"]
        desk.clock.advance(3600)
