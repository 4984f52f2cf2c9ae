"""What the documents of a finished job say of its training."""

from __future__ import annotations

import pytest

from runner.pipeline.summary import cut_short
from runner.training.loop import Trained
from runner.training.settings import TrainSettings
from tests.splats import some_gaussians


@pytest.mark.parametrize(
    ("stopped", "steps", "told"),
    [("budget", 1425, True), ("budget", 2900, False), ("plan", 3000, False), ("plateau", 1425, False)],
)
def test_a_training_that_ended_for_want_of_time_says_so_where_it_is_seen(stopped: str, steps: int, told: bool) -> None:
    """The demo on a busy machine had 1.2 dB less than the README, and nothing but a cell of a table gave the reason."""
    trained = Trained(some_gaussians(3), steps, stopped, 300.0, (), 0)
    warnings = cut_short(trained, TrainSettings(iterations=3000, budget_s=300.0))
    assert [("1,425 of 3,000 steps" in text and "300 s" in text) for text in warnings] == ([True] if told else [])
