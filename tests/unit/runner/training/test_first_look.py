"""After a tenth of its steps a training shows what it has, once, and goes on as if nobody had looked."""

from __future__ import annotations

from pathlib import Path

from runner.context import StageContext
from runner.raster import Rasterizer
from runner.scene.gaussians import Gaussians
from runner.scene.progress import SILENT
from runner.scene.views import TrainingScene
from runner.training.loop import Trained, train
from tests.trainings import SETTINGS, fields_equal


def test_it_is_shown_once_and_changes_nothing(
    scene: TrainingScene, backend: Rasterizer, trained: Trained, tmp_path: Path
) -> None:
    seen: list[tuple[Gaussians, int]] = []
    looked = train(
        scene, StageContext(tmp_path, SILENT), SETTINGS, backend, save_s=None,
        first_look=lambda gaussians, step: seen.append((gaussians, step)),
    )  # fmt: skip
    ((early, step),) = seen
    assert SETTINGS.iterations / 10 <= step < SETTINGS.iterations / 5
    assert not fields_equal(early, looked.gaussians)
    assert fields_equal(looked.gaussians, trained.gaussians)
