"""Dispatcher or runner dies once, before or after any single call of theirs: the end is the same as without."""

from __future__ import annotations

import pytest

from tests.simulation.campaign import explain, run_many, single_crashes

SCENARIOS = (1, 2, 3)  # of different users: late uploads, re-uploads, bad inputs, copies that take time


@pytest.mark.parametrize("seed", SCENARIOS)
def test_a_crash_at_any_call_is_recovered_from(seed: int) -> None:
    totals = run_many(single_crashes(seed))
    assert totals.counts["crash"] == totals.schedules > 250
    assert not totals.violations, "\n\n".join(explain(outcome) for outcome in totals.violations[:3])
