"""Lists in messages."""

from __future__ import annotations

from collections.abc import Sequence


def listed(items: Sequence[str], most: int, separator: str = ", ") -> str:
    """The first `most` of them, and how many are left: "a, b and 3 more"; "a; b; and 3 more"; "" without any."""
    named = separator.join(items[:most])
    if len(items) <= most:
        return named
    return f"{named}{separator.rstrip() if separator != ', ' else ''} and {len(items) - most} more"
