"""The runner is killed, or the store fails, before and after every single call it makes; the end is always the same."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

import pytest

from scenejobs.errors import Busy, LeaseLost
from scenejobs.state.record import Outcome
from tests.doubles.faults import Fault, Killed, killed_at, nth_call
from tests.invariants import assert_at_rest
from tests.runner_world import PAST_EVERYTHING_S, Cloud, bad_video, echo_job


def scene(folder: Path) -> Cloud:
    """Two videos, queued; an older result is published and an older video archived under a name that comes again."""
    cloud = Cloud(folder)
    cloud.upload("lobby/view1.mp4", b"older")
    cloud.queue("lobby")
    cloud.worker().drain()
    cloud.upload("lobby/view1.mp4", b"first")
    cloud.upload("lobby/view2.mp4", b"second")
    cloud.queue("lobby")
    cloud.jobs_run = 0
    return cloud


def calls_of(folder: Path, job: Callable[..., object]) -> list[str]:
    cloud = scene(folder)
    unbroken = cloud.plan()
    cloud.worker(job, unbroken).drain()
    assert_at_rest(cloud)
    return unbroken.calls


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("job", [echo_job, bad_video], ids=["success", "dead letter"])
def test_a_kill_at_any_call_loses_nothing(tmp_path: Path, job: Callable[..., object], after: bool) -> None:
    calls = calls_of(tmp_path, job)
    assert len(calls) > 25
    for at, call in enumerate(calls, start=1):
        cloud = scene(tmp_path)
        with pytest.raises(Killed):
            cloud.worker(job, cloud.plan(killed_at(at, after=after))).drain()
        cloud.settle(job)
        assert_ended_well(cloud, job, f"killed {'after' if after else 'before'} {call}")
        assert cloud.jobs_run <= 2, call


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("job", [echo_job, bad_video], ids=["success", "dead letter"])
def test_a_store_that_fails_at_any_call_loses_nothing(tmp_path: Path, job: Callable[..., object], after: bool) -> None:
    """With `after`, the answer is lost: the call had its effect and looks failed."""
    for at, call in enumerate(calls_of(tmp_path, job), start=1):
        cloud = scene(tmp_path)
        with contextlib.suppress(Busy, LeaseLost):  # the whole execution may end
            cloud.worker(job, cloud.plan(nth_call(at, Fault.UNANSWERED if after else Fault.BUSY))).drain()
        cloud.settle(job)
        assert_ended_well(cloud, job, f"failed {'after' if after else 'before'} {call}")


@pytest.mark.parametrize("gap", [1, 3, 8])
def test_two_kills_in_a_row_lose_nothing(tmp_path: Path, gap: int) -> None:
    for at in range(1, len(calls_of(tmp_path, echo_job)) + 1):
        cloud = scene(tmp_path)
        for kill_at in (at, gap):
            with contextlib.suppress(Killed):
                cloud.worker(echo_job, cloud.plan(killed_at(kill_at, after=True))).drain()
            cloud.clock.advance(PAST_EVERYTHING_S)
        cloud.settle()
        assert_ended_well(cloud, echo_job, f"killed at {at}, then at {gap}")


def assert_ended_well(cloud: Cloud, job: Callable[..., object], what: str) -> None:
    try:
        assert_at_rest(cloud)
    except AssertionError as exc:
        raise AssertionError(f"{what}: {exc}") from exc
    ending = cloud.record("lobby").ending
    assert ending is not None
    assert ending.generation == 2, what
    assert ending.outcome is (Outcome.SUCCEEDED if job is echo_job else Outcome.DEAD_LETTERED), what
