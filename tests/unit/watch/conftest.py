"""The status of a watch, with a clock moved by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from scenejobs.adapters.folder import Places
from watch.status import WatchStatus


class Clock:
    """Seconds, moved by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def status(tmp_path: Path) -> WatchStatus:
    """Of a watch whose last look went well."""
    places = Places.below(tmp_path)
    for folder in places.all():
        folder.mkdir()
    found = WatchStatus(tmp_path, places, min_free_gb=0, clock=Clock())
    found.last_error = ""
    return found
