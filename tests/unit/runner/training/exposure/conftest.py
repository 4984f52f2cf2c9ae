"""The courtyard filmed with one exposure."""

from __future__ import annotations

import pytest

from runner.scene.views import TrainingScene
from tests.true_scene import true_scene


@pytest.fixture(scope="session")
def still() -> TrainingScene:
    """36 small pictures in three clips."""
    return true_scene(size=(160, 96), per_clip=12, points=3000, detail=0.4)
