"""Native code that never gives the interpreter's lock away costs nobody the scene (F43)."""

from __future__ import annotations

from pathlib import Path

import pytest

from scenejobs.settings import StorageSettings
from tests.chaos import gil

pytestmark = [pytest.mark.azurite, pytest.mark.slow]


def test_the_lease_outlives_a_c_call_longer_than_itself(storage: StorageSettings, tmp_path: Path) -> None:
    """20 s with the lock held, a lease of 15 s: no renewal is lost, and a rival is refused all the time."""
    assert gil.problems(gil.hold(storage, tmp_path, 20), 20) == []
