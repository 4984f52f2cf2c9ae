"""What is written beside the scene's own files where it is asked for: points, a film, a dataset for other trainers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from runner.export.dataset_zip import write_dataset
from runner.export.points import write_points
from runner.export.turntable import write_turntable
from runner.raster.port import Rasterizer
from runner.scene.gaussians import Gaussians
from runner.scene.views import TrainingScene

Write = Callable[[Gaussians, TrainingScene, Rasterizer, Path], object]

EXTRAS: dict[str, Write] = {
    "points.ply": lambda _gaussians, scene, _rasterizer, path: write_points(scene, path),
    "turntable.mp4": write_turntable,
    "dataset.zip": lambda _gaussians, scene, _rasterizer, path: write_dataset(scene, path),
}
"""By file name."""
