"""From trained Gaussians to those that are delivered: without floaters, upright, with the cameras that fit them."""

from __future__ import annotations

from dataclasses import dataclass
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
    gaussians: Gaussians, scene: TrainingScene, rasterizer: Rasterizer, progress: Progress, out: Path
) -> Finished:
    """Cleans, then turns where up is known; writes orientation.json. Raises Interrupted."""
    cleaned, cleaning = clean(gaussians, scene, rasterizer, progress)
    orientation = find_up(scene)
    documents.write_json(out / "orientation.json", orientation.to_json())
    if orientation.up is None:
        return Finished(cleaned, scene, cleaning, orientation)
    turn = orientation.rotation
    return Finished(turn_gaussians(cleaned, turn), turn_scene(scene, turn), cleaning, orientation)


def write_poster(gaussians: Gaussians, scene: TrainingScene, rasterizer: Rasterizer, path: Path) -> None:
    """The scene as drawn from the camera that the viewer begins with: the one that shows best what was filmed."""
    view = scene.views[most_central(scene.views, focus_point(scene.views))]
    image = render_view(optim.parameters(gaussians, rasterizer.device), view, rasterizer).cpu().numpy()
    Image.fromarray(np.round(image * 255).astype(np.uint8)).save(path, quality=JPEG_QUALITY)
