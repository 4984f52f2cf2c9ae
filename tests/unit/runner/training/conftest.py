"""One small scene and its training, shared by the tests of training."""

from __future__ import annotations

import pytest

from runner.raster import Rasterizer, rasterizer
from runner.scene.views import TrainingScene
from runner.training.loop import Trained
from tests.tiny_scene import tiny_scene
from tests.trainings import SETTINGS, run_training


@pytest.fixture(scope="package")
def backend() -> Rasterizer:
    return rasterizer("cpu")


@pytest.fixture(scope="package")
def scene(backend: Rasterizer) -> TrainingScene:
    return tiny_scene(backend)


@pytest.fixture(scope="package")
def trained(scene: TrainingScene, backend: Rasterizer) -> Trained:
    return run_training(scene, SETTINGS, backend)
