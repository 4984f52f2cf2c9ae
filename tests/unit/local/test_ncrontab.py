"""Timers of the local host fire when they would in Azure."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from local.functions_host.ncrontab import Schedule

NOW = datetime(2026, 2, 27, 23, 58, 30, 500, tzinfo=UTC)  # a Friday


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("* * * * * *", (2026, 2, 27, 23, 58, 31)),
        ("0 */5 * * * *", (2026, 2, 28, 0, 0, 0)),
        ("30 58 23 * * *", (2026, 2, 28, 23, 58, 30)),
        ("0 59 23 27 2 5", (2026, 2, 27, 23, 59, 0)),
        ("0 0 12 * * 0", (2026, 3, 1, 12, 0, 0)),  # Sunday
        ("15,45 10-20/5 * * * 1-5", (2026, 3, 2, 0, 10, 15)),  # Monday
        ("0 0 0 29 2 *", (2028, 2, 29, 0, 0, 0)),
        ("0 5/20 0 * * *", (2026, 2, 28, 0, 5, 0)),
        ("0 0 0 13 * 5", (2026, 3, 13, 0, 0, 0)),  # day and weekday: not every Friday
        ("0 0 0 * * 0-0", (2026, 3, 1, 0, 0, 0)),
        ("0,* 0 0 1 3 *", (2026, 3, 1, 0, 0, 0)),
    ],
)
def test_the_next_time(text: str, expected: tuple[int, ...]) -> None:
    assert Schedule.parse(text).next_after(NOW) == datetime(*expected, tzinfo=UTC)  # type: ignore[arg-type,misc]


@pytest.mark.parametrize(
    "text", ["* * * * *", "60 * * * * *", "* * * 0 * *", "x * * * * *", "*/0 * * * * *", "5-1 * * * * *"]
)
def test_a_schedule_nobody_can_keep_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="schedule"):
        Schedule.parse(text)


def test_a_day_that_never_comes_is_refused() -> None:
    with pytest.raises(ValueError, match="never"):
        Schedule.parse("0 0 0 31 2 *").next_after(NOW)
