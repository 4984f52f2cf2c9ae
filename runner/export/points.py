"""points.ply: the sparse points that the cameras were found by, with their colours, for any tool that reads points."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from runner.export.ply_elements import file_of
from runner.files.atomic import WrittenFile, write_atomically
from runner.scene.views import TrainingScene

ROW = [(name, "<f4") for name in ("x", "y", "z")] + [(name, "u1") for name in ("red", "green", "blue")]


def write_points(scene: TrainingScene, path: Path) -> WrittenFile:
    """Writes the points in the world of the exported Gaussians. Raises ResourceError when the disk is full."""
    return write_atomically(path, file_of({"vertex": point_rows(scene)}))


def point_rows(scene: TrainingScene) -> NDArray[np.void]:
    """[N] with fields x, y, z, red, green, blue; points that are not finite are left out."""
    keep = np.isfinite(scene.points).all(axis=1)
    rows = np.empty(int(keep.sum()), ROW)
    for axis, (place, color) in enumerate((("x", "red"), ("y", "green"), ("z", "blue"))):
        rows[place], rows[color] = scene.points[keep, axis], scene.colors[keep, axis]
    return rows
