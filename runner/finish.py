"""From trained Gaussians to those that are delivered: without floaters, upright, with the cameras that fit them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from runner import documents, optim
from runner.clean import CleanReport, clean
from runner.evaluate import render_view
from runner.export_viewer import focus_point, most_central
from runner.progress import Progress
from runner.raster.port import Rasterizer
from runner.scene import Gaussians, TrainingScene
from runner.turn import turn_gaussians, turn_scene
from runner.upright import Orientation, find_up

JPEG_QUALITY = 88


@dataclass(frozen=True)
class Finished:
    """What is exported."""

    gaussians: Gaussians
    scene: TrainingScene  # cameras and points in the world of the Gaussians
    cleaning: CleanReport
    orientation: Orientation


def finish(
    gaussians: Gaussians, scene: TrainingScene, rasterizer: Rasterizer, progress: Progress, out: Path,
    *, turn: bool = True,
) -> Finished:  # fmt: skip
    """Cleans, then turns where up is known; writes orientation.json. Raises Interrupted.

    turn: False: the world is that of poses which the user supplied, and stays.
    """
    cleaned, cleaning = clean(gaussians, scene, rasterizer, progress)
    orientation = replace(find_up(scene), turned=turn)
    documents.write_json(out / "orientation.json", orientation.to_json())
    if orientation.up is None or not turn:
        return Finished(cleaned, scene, cleaning, orientation)
    rotation = orientation.rotation
    return Finished(turn_gaussians(cleaned, rotation), turn_scene(scene, rotation), cleaning, orientation)


def write_poster(gaussians: Gaussians, scene: TrainingScene, rasterizer: Rasterizer, path: Path) -> None:
    """The scene as drawn from the camera that the viewer begins with: the one that shows best what was filmed."""
    view = scene.views[most_central(scene.views, focus_point(scene.views))]
    image = render_view(optim.parameters(gaussians, rasterizer.device), view, rasterizer).cpu().numpy()
    Image.fromarray(np.round(image * 255).astype(np.uint8)).save(path, quality=JPEG_QUALITY)
