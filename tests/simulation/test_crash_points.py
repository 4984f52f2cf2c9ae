"""Dispatcher or runner dies once, before or after any single call of theirs: the end is the same as without.

Some crashes of each scenario; `make simulate` takes all of them.
"""

from __future__ import annotations

from itertools import islice

import pytest

from tests.simulation.campaign import explain, run_many, single_crashes

# profile, seed: of different users (late uploads, re-uploads, bad inputs, slow copies); every how many crashes
SCENARIOS = (
    ("scripted", 1, 5), ("scripted", 2, 5), ("scripted", 3, 3), ("growing, scripted", 5, 40),
    ("called off, scripted", 3, 40), ("told, scripted", 2, 25),
)  # fmt: skip


@pytest.mark.parametrize(("profile", "seed", "every"), SCENARIOS)
def test_a_crash_at_any_call_is_recovered_from(profile: str, seed: int, every: int) -> None:
    totals = run_many(islice(single_crashes(seed, profile), 0, None, every))
    assert totals.counts["crash"] == totals.schedules > 250 / every
    assert not totals.violations, "\n\n".join(explain(outcome) for outcome in totals.violations[:3])
