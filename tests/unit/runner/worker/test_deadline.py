"""An attempt's deadline follows from what it plans to do, and an execution ends by itself before it is ended."""

from __future__ import annotations

from dataclasses import replace

import pytest

from runner.pipeline import estimate
from runner.pipeline.presets import PRESETS
from runner.process.signals import StopFlag
from runner.worker import deadline
from scenejobs.errors import ConfigurationError, Interrupted
from scenejobs.settings.groups import RunnerSettings
from scenejobs.settings.pipeline import PipelineSettings

SETTINGS = RunnerSettings()


def planned(preset: str, **overrides: int) -> float:
    return estimate.planned_s(replace(PipelineSettings(preset=preset), **overrides))


def test_larger_presets_plan_more_time() -> None:
    order = ["smoke", "laptop", "laptop-high", "standard", "high"]
    assert order == sorted(order, key=planned)


def test_the_plan_of_the_fox_is_not_below_what_it_took() -> None:
    """267 s on two cores, with 50 frames (benchmarks/results/end_to_end.md)."""
    assert 267 < planned("laptop", frame_count=50) < 3 * 267


@pytest.mark.parametrize("preset", PRESETS)
def test_the_deadline_leaves_room_for_the_training_budget_and_a_mapping(preset: str) -> None:
    chosen = PRESETS[preset]
    least = chosen.train.budget_s
    if preset in ("smoke", "laptop", "laptop-high", "draft"):
        least += chosen.poses.max_runtime_s  # `standard` and `high` reach the longest deadline
    assert deadline.attempt_s(SETTINGS, planned(preset)) > least


def test_a_smoke_run_that_hangs_costs_minutes_not_hours() -> None:
    assert deadline.attempt_s(SETTINGS, planned("smoke")) < 30 * 60


def test_more_frames_features_and_bytes_mean_a_later_deadline() -> None:
    base = planned("laptop")
    assert planned("laptop", frame_count=140) > base
    assert planned("laptop", features=8192) > base
    assert estimate.planned_s(PipelineSettings(preset="laptop"), 2 * 10**9) == base + 800


def test_auto_plans_for_the_largest_it_may_become() -> None:
    assert planned("auto") == planned("standard")


@pytest.mark.parametrize(
    ("settings", "planned_s", "expected"),
    [
        (RunnerSettings(), 1000, 4000),
        (RunnerSettings(), 5000, 10_800),  # never more than JOB_TIMEOUT_SECS
        (RunnerSettings(deadline_factor=0), 1000, 10_800),
        (RunnerSettings(deadline_factor=1.5), 1000, 1500),
        (RunnerSettings(replica_timeout_s=3600), 1000, 3420),  # ends before an execution that began with it
        (RunnerSettings(replica_timeout_s=7200), 1000, 4000),
    ],
)
def test_the_deadline(settings: RunnerSettings, planned_s: float, expected: float) -> None:
    assert deadline.attempt_s(settings, planned_s) == expected


@pytest.mark.parametrize(
    ("taken", "left_s", "expected"), [(0, 10.0, True), (1, 999.0, False), (1, 1000.0, True), (5, None, True)]
)
def test_what_is_left_must_hold_a_typical_job(taken: int, left_s: float | None, expected: bool) -> None:
    """The first is always taken: an execution that takes nothing would be started again for ever."""
    assert deadline.takes_another(taken, left_s, 1000.0) is expected


@pytest.mark.parametrize("limit_s", [1, 120, 360])
def test_a_platform_limit_that_leaves_no_time_is_refused(limit_s: float) -> None:
    with pytest.raises(ConfigurationError, match="REPLICA_TIMEOUT_SECS"):
        deadline.check(RunnerSettings(replica_timeout_s=limit_s))
    deadline.check(RunnerSettings(replica_timeout_s=361))


def test_a_stop_flag_with_an_end_stops_by_itself() -> None:
    now = [0.0]
    flag = StopFlag(lambda: now[0])
    assert flag.left_s() is None
    flag.end_in(100)
    now[0] = 99.0
    assert (flag.is_set(), flag.left_s()) == (False, 1.0)
    now[0] = 100.0
    assert flag.is_set()
    with pytest.raises(Interrupted, match="out of time"):
        flag.check("working")
