"""From trained Gaussians to those that are delivered: without floaters, upright, with the cameras that fit them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from runner.context import StageContext
from runner.files import json_file
from runner.postprocess.floaters import CleanReport, clean
from runner.postprocess.upright import Orientation, Witness, find_up
from runner.raster.port import Rasterizer
from runner.scene.gaussians import Gaussians
from runner.scene.rotate import rotate_gaussians, rotate_scene
from runner.scene.views import TrainingScene


@dataclass(frozen=True)
class Finished:
    """What is exported."""

    gaussians: Gaussians
    scene: TrainingScene  # cameras and points in the world of the Gaussians
    cleaning: CleanReport
    orientation: Orientation


def finish(
    gaussians: Gaussians,
    scene: TrainingScene,
    context: StageContext,
    rasterizer: Rasterizer,
    out: Path,
    *,
    rotate: bool = True,
    told: Witness | None = None,
) -> Finished:
    """Removes floaters, then rotates upright where up is known; writes orientation.json into `out`. Raises Interrupted.

    rotate: False: the scene stays in the user's coordinates, those of the poses that were supplied.
    told: where up is by the positions of the pictures.
    """
    cleaned, cleaning = clean(gaussians, scene, rasterizer, context.progress)
    orientation = replace(find_up(scene, told), turned=rotate)
    json_file.write_json(out / "orientation.json", orientation.to_json())
    if orientation.up is None or not rotate:
        return Finished(cleaned, scene, cleaning, orientation)
    rotation = orientation.rotation
    return Finished(rotate_gaussians(cleaned, rotation), rotate_scene(scene, rotation), cleaning, orientation)
