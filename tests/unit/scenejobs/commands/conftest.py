"""Storage of a test's own."""

from __future__ import annotations

import pytest

from scenejobs.adapters.memory import MemoryBlobStore
from scenejobs.ports import Containers


@pytest.fixture
def containers() -> Containers:
    return Containers(*(MemoryBlobStore(name) for name in ("input", "output", "processed", "error", "state")))
