"""Each rule of the protocol is needed, and the simulation notices when it is missing."""

from __future__ import annotations

import pytest

from tests.simulation.campaign import first_violation
from tests.simulation.mutants import MUTANTS, Mutant

# The seed to begin at, where few schedules notice: near one that does. `make simulate` begins at 0 and counts.
BEGIN = {"leased when answered": 500}


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_missing_rule_is_noticed(mutant: Mutant) -> None:
    """But for the redundant ones, which the table of mutants explains: of those nothing may be noticed."""
    outcome, tried = first_violation(mutant, BEGIN.get(mutant.name, 0))
    assert (outcome is None) == bool(mutant.redundant), f"{outcome} in {tried} schedules"
