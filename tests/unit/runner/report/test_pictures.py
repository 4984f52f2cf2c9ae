"""The pictures of the report: comparisons of held-out pictures with their renderings."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from runner.quality.evaluate import evaluate
from runner.raster import rasterizer
from runner.report.pictures import write_comparisons
from tests.tiny_scene import HEIGHT, WIDTH, ground_truth, tiny_scene


def test_comparisons_show_picture_and_rendering_side_by_side(tmp_path: Path) -> None:
    """Of the worst views, worst first, of the one in the middle, and of the best."""
    backend, truth = rasterizer("cpu"), ground_truth()
    scene, drawn = tiny_scene(backend), replace(truth, sh0=truth.sh0 * np.float32(0.7))
    score = evaluate(drawn, scene, backend).train
    written = write_comparisons(drawn, scene, backend, score, tmp_path)
    ranked = sorted(score.views, key=lambda view: view.psnr)
    assert written == {
        ranked[0].image: "comparison_worst.png",
        ranked[1].image: "comparison_worst_2.png",
        ranked[2].image: "comparison_worst_3.png",
        ranked[3].image: "comparison_median.png",  # the lower of the two in the middle of eight
        ranked[-1].image: "comparison_best.png",
    }
    for view in (*ranked[:4], ranked[-1]):
        index = next(i for i, each in enumerate(scene.views) if each.image == view.image)
        pair = np.asarray(Image.open(tmp_path / written[view.image]))
        assert pair.shape == (HEIGHT, 2 * WIDTH, 3)
        assert np.array_equal(pair[:, :WIDTH], scene.pixels[index])
        error = ((pair[:, :WIDTH] / 255.0 - pair[:, WIDTH:] / 255.0) ** 2).mean()
        assert -10 * np.log10(error) == pytest.approx(view.psnr, abs=0.1)  # rounding to bytes
