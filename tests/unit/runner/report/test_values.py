"""How the report writes numbers, durations and moments."""

from __future__ import annotations

import math

import pytest

from runner.report.html import decimals, duration, moment


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, None),
        (math.nan, None),
        (math.inf, None),
        (0.0, "0.00"),
        (-0.001, "0.00"),
        (1.005, "1.00"),
        (-2.5, "-2.50"),
    ],
)
def test_a_number_has_its_digits_and_no_sign_at_zero(value: float | None, shown: str | None) -> None:
    assert decimals(value, 2) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.0, "0.0 s"), (59.94, "59.9 s"), (61.5, "1 min 02 s"), (3599.6, "1 h 00 min"), (7500.0, "2 h 05 min")],
)
def test_a_duration_is_short(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("2026-11-29T19:51:20.977Z", "29 November 2026, 19:51 UTC"),
        ("2026-02-01T00:30:00.000+01:00", "31 January 2026, 23:30 UTC"),
    ],
)
def test_a_moment_is_told_as_people_write_it(text: str, shown: str) -> None:
    assert moment(text) == shown
