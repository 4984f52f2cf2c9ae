"""A cloud in memory with one scene that waits for a runner; a state container alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from scenejobs.adapters.memory import ManualClock, MemoryBlobStore
from tests.runner_world import Cloud


@pytest.fixture
def cloud(tmp_path: Path) -> Cloud:
    """A cloud with one scene of two videos, queued."""
    cloud = Cloud(tmp_path)
    cloud.upload("lobby/view1.mp4", b"first")
    cloud.upload("lobby/cam2/view2.mov", b"second")
    cloud.queue("lobby")
    return cloud


@pytest.fixture
def store() -> MemoryBlobStore:
    return MemoryBlobStore("state", ManualClock())
