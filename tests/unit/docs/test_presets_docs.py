"""docs/presets.md and the presets in the code are the same table."""

from pathlib import Path

import pytest

from runner.pipeline.presets import PRESETS, preset
from scenejobs.errors import ConfigurationError

DOCUMENT = Path(__file__).parents[3] / "docs" / "presets.md"


def expected_rows() -> list[str]:
    rows = []
    for name, chosen in PRESETS.items():
        train = chosen.train
        cells = [
            f"`{name}`", chosen.description, chosen.frames.budget, chosen.poses.features, train.long_side,
            f"{train.iterations:,}", train.strategy, f"{train.cap:,}", train.sh_degree, f"{train.budget_s:.0f}",
        ]  # fmt: skip
        rows.append(f"| {' | '.join(map(str, cells))} |")
    return rows


def test_every_preset_is_documented_as_it_is() -> None:
    lines = DOCUMENT.read_text().splitlines()
    for row in expected_rows():
        assert row in lines, row


def test_nothing_is_documented_that_is_no_preset() -> None:
    assert [line for line in DOCUMENT.read_text().splitlines() if line.startswith("| `")] == expected_rows()


def test_an_unknown_preset_lists_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match="laptop-high"):
        preset("best")
