"""Models as the COLMAP process describes them."""

from __future__ import annotations

import math
from dataclasses import replace

import msgspec
import pytest

from runner.poses.colmap.describe import is_finite
from tests.pose_models import HEALTH, model


def test_a_model_of_numbers_is_finite() -> None:
    assert is_finite(model())


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_model_that_diverged_is_not(number: float) -> None:
    """It is left out of the answer, as one without points is: the ladder goes on with another rung."""
    assert not is_finite(model(health=replace(HEALTH, baseline_to_depth=number)))
    assert not is_finite(msgspec.structs.replace(model(), mean_reprojection_error_px=number))
