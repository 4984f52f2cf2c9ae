"""What an execution's reports say about it. Stopping one that works is worse than waiting for one that does not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from scenejobs.ports import Execution
from scenejobs.state.executions.life import SILENT_S, Judged, Life, judge, spared
from scenejobs.state.executions.usage import HEARTBEAT_S, ExecutionUsage

NOW = datetime(2026, 1, 2, 12, tzinfo=UTC)
TIMEOUT_S = 1800.0
KNOWN_S = 3600.0  # long enough for anything to have begun


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


def report(
    age_s: float, name: str = "x-0001", *, beats: bool = True, ended: bool = False, dispatcher: bool = False
) -> ExecutionUsage:
    return ExecutionUsage(name, ago(7200), 0.0, ago(age_s), beats, ended, dispatcher)


def life_of(*reports: ExecutionUsage, known_s: float | None = KNOWN_S, name: str = "x") -> Life:
    known = {} if known_s is None else {name: ago(known_s)}
    (judged,) = judge([Execution(name, "Running", None)], reports, known, NOW, TIMEOUT_S)
    return judged.life


@pytest.mark.parametrize(
    ("known_s", "expected"),
    [(None, Life.BEGINS), (0, Life.BEGINS), (TIMEOUT_S, Life.BEGINS), (TIMEOUT_S + 1, Life.NEVER_BEGAN)],
)
def test_a_runner_has_until_the_time_limit_to_begin(known_s: float | None, expected: Life) -> None:
    """One that is seen for the first time has all of it, whatever the platform says about its start."""
    assert life_of(known_s=known_s) is expected


@pytest.mark.parametrize(
    ("age_s", "ended", "expected"),
    [
        (0, False, Life.WORKS),
        (SILENT_S, False, Life.WORKS),
        (SILENT_S + 1, False, Life.SILENT),
        (0, True, Life.ENDS),
        (SILENT_S, True, Life.ENDS),
        (SILENT_S + 1, True, Life.ENDED),
    ],
)
def test_a_runner_that_has_begun_lives_as_long_as_it_reports_and_has_not_said_that_it_ends(
    age_s: float, ended: bool, expected: Life
) -> None:
    assert life_of(report(age_s, ended=ended)) is expected


def test_two_reports_may_fail_before_an_execution_counts_as_silent() -> None:
    assert SILENT_S == 3 * HEARTBEAT_S == 180


@pytest.mark.parametrize("old", [report(500), report(500, ended=True), report(500, beats=False)])
def test_a_container_that_was_started_again_is_judged_by_its_newest_start(old: ExecutionUsage) -> None:
    assert life_of(old, report(5, "x-0002")) is Life.WORKS
    assert life_of(report(5, "x-0002"), old) is Life.WORKS
    assert life_of(old, report(5, "x-0002", ended=True)) is Life.ENDS
    assert life_of(old, report(400, "x-0002")) is Life.SILENT


def test_a_program_that_promised_no_heartbeat_is_never_silent() -> None:
    """During an upgrade a runner of the version before goes on to its end."""
    assert life_of(report(10_000, beats=False)) is Life.WORKS
    assert life_of(report(10_000, beats=False, ended=True)) is Life.ENDED


def test_while_a_runner_reports_that_does_not_know_its_name_nothing_is_said_against_others() -> None:
    assert life_of(report(5, "execution-0001")) is Life.WORKS
    assert life_of(report(5, "execution-0001", ended=True)) is Life.NEVER_BEGAN
    assert life_of(report(500, "execution-0001")) is Life.NEVER_BEGAN
    assert life_of(report(500), report(5, "execution-0001")) is Life.SILENT, "it has a name, and stopped"


def test_an_execution_without_a_name_cannot_be_judged() -> None:
    assert life_of(name="") is Life.WORKS
    assert life_of(report(500), name="") is Life.WORKS


def test_the_reports_of_others_and_of_the_dispatcher_are_no_sign_of_life() -> None:
    assert life_of(report(5, "xy-0001"), report(5, "x-y-0001")) is Life.NEVER_BEGAN
    assert life_of(report(5, "x-stopped", dispatcher=True)) is Life.NEVER_BEGAN


@pytest.mark.parametrize("life", [Life.NEVER_BEGAN, Life.SILENT])
def test_who_holds_a_scene_works_and_so_does_everybody_who_may_hold_one(life: Life) -> None:
    judged = (Judged("x", life, NOW),)
    assert spared(judged, ["x"])[0].life is Life.WORKS
    assert spared(judged, ["y", ""])[0].life is Life.WORKS, "somebody holds one, nobody knows who"
    assert spared(judged, ["y"])[0].life is life
    assert spared(judged, [])[0].life is life


def test_who_has_said_that_it_ends_holds_nothing() -> None:
    assert spared((Judged("x", Life.ENDED, NOW),), ["x", ""])[0].life is Life.ENDED
