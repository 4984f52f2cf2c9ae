"""Long lists in a message are cut, and say so."""

from __future__ import annotations

import pytest

from scenejobs.wording import listed


@pytest.mark.parametrize(
    ("items", "separator", "told"),
    [
        ("", ", ", ""),
        ("ab", ", ", "a, b"),
        ("abc", ", ", "a, b and 1 more"),
        ("ab", "; ", "a; b"),
        ("abcd", "; ", "a; b; and 2 more"),
    ],
)
def test_the_first_ones_and_how_many_are_left(items: str, separator: str, told: str) -> None:
    assert listed(list(items), 2, separator) == told
