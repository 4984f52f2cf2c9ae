"""Pictures of the report: the poster, and held-out frames beside their rendering."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from runner.quality.evaluate import SplitScore, render_view
from runner.raster import parameters
from runner.raster.port import Rasterizer
from runner.scene.gaussians import Gaussians
from runner.scene.viewpoint import focus_point, most_central
from runner.scene.views import TrainingScene, View


def write_comparisons(
    gaussians: Gaussians, scene: TrainingScene, rasterizer: Rasterizer, score: SplitScore, folder: Path
) -> dict[str, str]:
    """Write the worst views, the median and the best one, the picture left, the rendering right, as it is.

    What a mask ignores is grey in the picture: it was not compared.

    Names by View.image: `comparison_worst.png`, `comparison_worst_2.png`, ..., `comparison_median.png`,
    `comparison_best.png` (each view once: among the worst first). Empty when `score` has no views.
    """
    params = parameters.parameters(gaussians, rasterizer.device)
    by_name = {view.image: index for index, view in enumerate(scene.views)}
    names = {
        view.image: f"comparison_worst{f'_{rank}' if rank > 1 else ''}.png"
        for rank, view in enumerate(score.worst(), 1)
    }
    if middle := score.median():
        names.setdefault(middle.image, "comparison_median.png")
    if best := score.best():
        names.setdefault(best.image, "comparison_best.png")
    for image, name in names.items():
        index = by_name[image]
        drawn = render_view(params, scene.views[index], rasterizer).cpu().numpy()
        pair = np.concatenate([_filmed(scene, index), np.round(drawn * 255).astype(np.uint8)], axis=1)
        Image.fromarray(pair).save(folder / name)
    return names


def _filmed(scene: TrainingScene, index: int) -> NDArray[np.uint8]:
    """[H, W, 3] of a view."""
    mask = scene.mask(index)
    return scene.pixels[index] if mask is None else np.where(mask[..., None], scene.pixels[index], np.uint8(GREY))


GREY = 128
JPEG_QUALITY = 88
POSTER_SIDE = 1280  # pixels at least, of the longer side: pages show it wider than small presets train


def write_poster(gaussians: Gaussians, scene: TrainingScene, rasterizer: Rasterizer, path: Path) -> None:
    """The scene as drawn from the camera that the viewer begins with: the one that shows best what was filmed."""
    view = scene.views[most_central(scene.views, focus_point(scene.views))]
    image = render_view(parameters.parameters(gaussians, rasterizer.device), _larger(view), rasterizer).cpu().numpy()
    Image.fromarray(np.round(image * 255).astype(np.uint8)).save(path, quality=JPEG_QUALITY)


def _larger(view: View) -> View:
    """The same camera with more pixels, where it has few."""
    factor = max(1.0, POSTER_SIDE / max(view.width, view.height))
    width, height = round(view.width * factor), round(view.height * factor)
    scale = np.array([[width / view.width], [height / view.height], [1.0]])
    return replace(view, width=width, height=height, K=view.K * scale)
