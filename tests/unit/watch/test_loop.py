"""What is counted of a finished scene comes from its manifest."""

from __future__ import annotations

from pathlib import Path

import pytest

from scenejobs.state.record import Outcome
from tests.results import manifest, written
from watch.loop import measured
from watch.status import FinishedScene


def test_what_a_manifest_says_is_what_is_counted(tmp_path: Path) -> None:
    """As the runner writes it: two clips with three frames."""
    found = measured(FinishedScene("a", "r1", Outcome.SUCCEEDED), written(manifest(), tmp_path))
    assert found == FinishedScene("a", "r1", Outcome.SUCCEEDED, 61.5, 3, 0.0, 20_000, 27.5, 0.02)


@pytest.mark.parametrize("manifest", [None, [], {"videos": 3, "training": [], "stage_seconds": {"training": "long"}}])
def test_a_manifest_that_hands_changed_counts_nothing(manifest: object) -> None:
    ended = FinishedScene("a", "r1", Outcome.SUCCEEDED)
    assert measured(ended, manifest) == ended
