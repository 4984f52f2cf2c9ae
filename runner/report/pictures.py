"""Pictures of the report: the poster, and held-out frames beside their rendering."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from runner.quality.evaluate import SplitScore, render_view
from runner.raster import parameters
from runner.raster.port import Rasterizer
from runner.scene.gaussians import Gaussians
from runner.scene.viewpoint import focus_point, most_central
from runner.scene.views import TrainingScene


def write_comparisons(
    gaussians: Gaussians, scene: TrainingScene, rasterizer: Rasterizer, score: SplitScore, folder: Path
) -> dict[str, str]:
    """Write the worst views and the median one, the picture left, the rendering right, as it is.

    What a mask ignores is grey in the picture: it was not compared.

    Names by View.image: `comparison_worst.png`, `comparison_worst_2.png`, ..., `comparison_median.png` (not written for
    a view that is among the worst). Empty when `score` has no views.
    """
    params = parameters.parameters(gaussians, rasterizer.device)
    by_name = {view.image: index for index, view in enumerate(scene.views)}
    names = {
        view.image: f"comparison_worst{f'_{rank}' if rank > 1 else ''}.png"
        for rank, view in enumerate(score.worst(), 1)
    }
    if middle := score.median():
        names.setdefault(middle.image, "comparison_median.png")
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


def write_poster(gaussians: Gaussians, scene: TrainingScene, rasterizer: Rasterizer, path: Path) -> None:
    """The scene as drawn from the camera that the viewer begins with: the one that shows best what was filmed."""
    view = scene.views[most_central(scene.views, focus_point(scene.views))]
    image = render_view(parameters.parameters(gaussians, rasterizer.device), view, rasterizer).cpu().numpy()
    Image.fromarray(np.round(image * 255).astype(np.uint8)).save(path, quality=JPEG_QUALITY)
