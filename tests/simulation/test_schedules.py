"""Whatever goes wrong, in whatever order: nothing is lost, nothing happens twice, everything ends.

A slice of what `make simulate` runs. A failure prints the seed, the command that runs it again, and the last steps.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.campaign import Totals, command, explain, outcome_of, run_many, story
from tests.simulation.mutant import applied
from tests.simulation.mutants import BY_NAME
from tests.simulation.profile import PROFILES
from tests.simulation.report import COLUMNS
from tests.simulation.world import Options, simulate

ROOT = Path(__file__).parents[2]
AT_ONCE = 200
SLICE = range(0, 600, AT_ONCE)
OF_EACH_PROFILE = 20


def assert_none_violated(totals: Totals) -> None:
    assert not totals.violations, "\n\n".join(explain(outcome) for outcome in totals.violations[:3])


@pytest.mark.parametrize("first", SLICE)
def test_no_order_of_faults_violates_an_invariant(first: int) -> None:
    assert_none_violated(run_many(Options(seed) for seed in range(first, first + AT_ONCE)))


@pytest.mark.parametrize("profile", PROFILES)
def test_many_faults_of_one_kind_violate_no_invariant(profile: str) -> None:
    assert_none_violated(run_many(Options(seed, profile) for seed in range(OF_EACH_PROFILE)))


def test_every_kind_of_fault_happens_in_the_slice() -> None:
    """Otherwise a green slice would mean nothing."""
    totals = run_many(Options(seed, "harsh") for seed in range(100))
    two_jobs = run_many(Options(seed, "no machines") for seed in range(OF_EACH_PROFILE))  # harsh has one job
    happened = totals.counts + two_jobs.counts
    assert [title for title, kinds in COLUMNS if not any(happened[kind] for kind in kinds)] == []
    assert totals.counts["commit"] > 50
    assert totals.counts["dead letter"] > 10


def test_a_seed_is_a_schedule_byte_for_byte() -> None:
    """In another process, too, and whatever the order of its hashes."""
    options = Options(7, "harsh")
    traces = [
        subprocess.run(
            [sys.executable, *command(options).split()[1:]],
            cwd=ROOT, env={**os.environ, "PYTHONHASHSEED": hash_seed}, check=True, capture_output=True,
        ).stdout
        for hash_seed in ("1", "2")
    ]  # fmt: skip
    assert traces[0] == traces[1]
    assert len(traces[0].splitlines()) > 300
    assert traces[0].decode().startswith(story(simulate(options), 0))


def test_a_violation_tells_how_to_see_it_again() -> None:
    mutant = BY_NAME["delete before copy"]
    with applied(mutant):
        outcome = outcome_of(simulate(Options(0, mutant.profile)))
    assert "I1" in outcome.violation
    text = explain(outcome, mutant)
    assert "seed 0" in text
    assert command(outcome.options, mutant.name) in text
    again = subprocess.run(
        [sys.executable, "-m", "tests.simulation", "--schedules", "1", "--seed", "0", "--mutant", mutant.name],
        cwd=ROOT, check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert again.returncode == 1
    assert again.stdout.rstrip().endswith(outcome.violation)
