"""Told to stop, killed, cut off and frozen: a slice of what `make chaos` runs whole. Real processes, real emulator.

Most of each case is waiting, so all of them run beside each other, once; each test looks at one of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from local.azurite import Azurite
from tests.azurite import fresh_settings
from tests.chaos import deaths, faults, gil, sigterm, stages, storm
from tests.chaos.world import Worlds

pytestmark = [pytest.mark.azurite, pytest.mark.slow]

PARALLEL = 6
GIL_S = 20  # with the lock held; the lease is 15 s
STOPPED = {
    ("waiting for messages", "main process"),
    ("download", "every process"),
    ("commit", "main process"),
    ("archive, copying", "twice at once"),
    ("dead-lettering, the reason", "every process"),
}
WEATHER = storm.Weather(scenes=3, probability=0.25, kill=0.0, seed=1)
FAULTS = ("F41", "F42", "F52", "F53", "F54", "F62", "F98", "F99", "F101", "F102")


@dataclass(frozen=True)
class Cases:
    """Everything under way, by name."""

    futures: dict[str, Future[Any]]

    def result(self, name: str) -> Any:
        return self.futures[name].result()

    def problems(self, name: str) -> tuple[str, ...]:
        result = self.result(name)
        return tuple(result if isinstance(result, list) else result.problems)


def chosen(worlds: Worlds, folder: Path) -> dict[str, Callable[[], Any]]:
    """The longest first."""
    fault_cases = [case for case in faults.CASES if case.id in FAULTS]
    stops = {f"{stage.name}, {how}": (stage, how) for stage in stages.REQUESTS for how in sigterm.HOW
             if (stage.name, how) in STOPPED}  # fmt: skip
    settings = fresh_settings(worlds.azurite)
    return {
        "storm": lambda: storm.runners_only(worlds, WEATHER),
        "gil": lambda: gil.problems(gil.hold(settings, folder, GIL_S), GIL_S),
        "partition": lambda: faults.partition(worlds),
        "parent killed": lambda: deaths.parent_killed(worlds),
        "job's process frozen": lambda: deaths.child_frozen(worlds),
        "F62": lambda: faults.queue_missing(worlds),
        **{str(case): lambda case=case: faults.meet(worlds, case) for case in fault_cases},  # type: ignore[misc]
        **{name: lambda stop=stop: sigterm.at_request(worlds, *stop) for name, stop in stops.items()},  # type: ignore[misc]
    }


@pytest.fixture(scope="module")
def under_way(azurite: Azurite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cases]:
    with Worlds(azurite) as worlds, ThreadPoolExecutor(PARALLEL) as pool:
        jobs = chosen(worlds, tmp_path_factory.mktemp("gil"))
        yield Cases({name: pool.submit(job) for name, job in jobs.items()})


def test_the_lease_outlives_a_c_call_that_holds_the_interpreters_lock(under_way: Cases) -> None:
    """F43: longer than the lease lasts; no renewal is lost, and a rival is refused all the time."""
    assert under_way.problems("gil") == ()


def test_a_storm_on_every_request_leaves_every_scene_consistent(under_way: Cases) -> None:
    """A quarter of all requests of the runners is spoiled. (With the dispatcher and kills: `make chaos`.)"""
    faults_met, problems = under_way.result("storm")
    assert problems == []
    assert sum(faults_met.values()) > 30


def test_a_partition_longer_than_the_lease_ends_the_work_before_the_lease_ends(under_way: Cases) -> None:
    """F47, F105: nothing is settled, and another runner does the work."""
    assert under_way.problems("partition") == ()


def test_a_killed_runner_leaves_no_process_and_no_lease_behind(under_way: Cases) -> None:
    """F44, F45: the parent is the heartbeat; what it started goes with it."""
    assert under_way.problems("parent killed") == ()


def test_a_job_that_stands_still_is_ended_and_tried_again(under_way: Cases) -> None:
    """F46: SIGSTOP to the job's process. The lease is not renewed for ever for nothing."""
    assert under_way.problems("job's process frozen") == ()


def test_a_queue_that_does_not_exist_is_named_and_nothing_is_touched(under_way: Cases) -> None:
    """F62."""
    assert under_way.problems("F62") == ()


@pytest.mark.parametrize("case", [case for case in faults.CASES if case.id in FAULTS], ids=str)
def test_one_fault_in_the_requests_of_a_runner_changes_nothing(under_way: Cases, case: faults.FaultCase) -> None:
    assert under_way.problems(str(case)) == ()


@pytest.mark.parametrize(("stage", "how"), sorted(STOPPED))
def test_sigterm_gives_back_what_was_taken_and_the_next_runner_finishes(under_way: Cases, stage: str, how: str) -> None:
    """F71, F72: exit code 143 within 20 s; attempt not charged, message visible at once."""
    assert under_way.problems(f"{stage}, {how}") == ()
