"""Each rule of the protocol is needed, and the simulation notices when it is missing."""

from __future__ import annotations

import pytest

from tests.simulation.campaign import first_violation
from tests.simulation.mutants import MUTANTS, Mutant


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_missing_rule_is_noticed(mutant: Mutant) -> None:
    """But for the redundant ones, which the table of mutants explains: of those nothing may be noticed."""
    outcome, tried = first_violation(mutant)
    assert (outcome is None) == bool(mutant.redundant), f"{outcome} in {tried} schedules"
