"""A start whose answer was lost is neither made twice nor called a failure, until it keeps happening."""

from __future__ import annotations

from datetime import timedelta

import pytest

from function_app import starter
from scenejobs.adapters.azure import container_apps
from scenejobs.errors import LeaseLost, StartUnknown
from scenejobs.logs.alerts import Alert
from scenejobs.state.executions.start_backoff import BACK_OFF_MAX_S, LISTED_AFTER_S
from scenejobs.state.layout import DISPATCHER_RECORD
from tests.dispatch import Desk
from tests.doubles.faults import Fault, Meanwhile, Rule


def lose_answers(desk: Desk) -> None:
    """Every start happens from now on, and its answer never arrives."""
    desk.plan.rules = [Rule(Fault.UNANSWERED, "start", times=1_000_000)]


def test_a_start_whose_answer_was_lost_is_no_failure(caplog: pytest.LogCaptureFixture) -> None:
    """Nothing is known to be wrong: it is told without an alarm, and the listing is looked at later."""
    desk = Desk()
    lose_answers(desk)
    assert desk.starter.ensure_started() == 0
    assert [line.levelname for line in caplog.records] == ["WARNING"]
    held_back = desk.starter.load().held_back(desk.clock())
    assert held_back == "whether an execution was started is not known: start job: no answer came"


def test_a_start_that_happened_unheard_is_not_made_again_while_the_listing_does_not_show_it() -> None:
    desk = Desk()
    lose_answers(desk)
    desk.service.listed_after_s = LISTED_AFTER_S
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
    assert desk.starter.ensure_started() == 3
    desk.executions_end()
    desk.runner_begins()
    desk.plan.rules = [Rule(Fault.UNANSWERED, "start", skip=1)]
    assert desk.starter.ensure_started() == 1
    desk.clock.advance(LISTED_AFTER_S)
    assert desk.starter.ensure_started() == 1
    assert len(desk.compute.live()) == 3


def test_a_listing_that_took_longer_than_the_lease_starts_nothing() -> None:
    """Another instance may have counted and started meanwhile."""
    desk = Desk()

    def another_begins() -> None:
        desk.clock.advance(starter.LEASE_S + 1)
        desk.state.lease(DISPATCHER_RECORD, 30)

    desk.plan.meanwhile = [Meanwhile(another_begins, "live")]
    with pytest.raises(LeaseLost):
        desk.starter.ensure_started()
    assert desk.compute.starts == 0


def test_the_lease_lasts_as_long_as_an_unanswered_start_takes() -> None:
    """What is then known must be written while nobody else counts."""
    looked_s = container_apps.CONNECT_S + container_apps.LOOK_S  # at the job's image, before the start
    assert looked_s + container_apps.CONNECT_S + container_apps.READ_S + 5 <= starter.LEASE_S
    desk = Desk()
    desk.compute.fail_with = [StartUnknown("lost")]
    desk.plan.meanwhile = [
        Meanwhile(lambda: desk.clock.advance(20), "live"),
        Meanwhile(lambda: desk.clock.advance(35), "start"),
    ]
    assert desk.starter.ensure_started() == 0
    assert desk.starter.load().not_before == desk.clock() + timedelta(seconds=LISTED_AFTER_S)
