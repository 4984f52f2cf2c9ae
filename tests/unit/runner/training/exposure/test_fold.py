"""The finished scene shows of the exposures what depends on the place, and nothing of what does not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from runner.quality.evaluate import render_view
from runner.raster import Rasterizer, parameters, rasterizer
from runner.scene.gaussians import Gaussians
from runner.training.exposure.fold import FOLDED, fold
from tests.tiny_scene import blank_scene, ground_truth

CPU = torch.device("cpu")
VIEWS = blank_scene(20, 60, 48).views


@pytest.fixture(scope="module")
def backend() -> Rasterizer:
    return rasterizer("cpu")


def scene(degree: int = 3) -> Gaussians:
    made = ground_truth()
    rest = np.zeros((made.count, (degree + 1) ** 2 - 1, 3), np.float32)
    return replace(made, sh_rest=rest, opacity_logits=np.full(made.count, 4.0, np.float32))


def brighter(before: Gaussians, after: Gaussians, index: int, backend: Rasterizer) -> float:
    """Natural log of how much brighter one view is drawn."""
    drawn = [
        float(render_view(parameters.parameters(each, CPU), VIEWS[index], backend).mean()) for each in (before, after)
    ]
    return float(np.log(drawn[1] / drawn[0]))


def test_an_exposure_that_follows_the_place_is_shown_from_there(backend: Rasterizer) -> None:
    """Half of it: FOLDED. The views go around the scene, and are bright on one side."""
    gains = 0.2 * np.cos(0.3 * np.arange(len(VIEWS)))[:, None].repeat(3, axis=1)
    after = fold(scene(), VIEWS, gains, CPU)
    for index in (0, 5, 10, 15):
        assert brighter(scene(), after, index, backend) == pytest.approx(FOLDED * gains[index, 0], abs=0.03)


def test_exposures_that_jump_from_picture_to_picture_stay_out(backend: Rasterizer) -> None:
    gains = 0.2 * (-1.0) ** np.arange(len(VIEWS))[:, None].repeat(3, axis=1)
    after = fold(scene(), VIEWS, gains, CPU)
    assert max(abs(brighter(scene(), after, index, backend)) for index in range(len(VIEWS))) < 0.03


def test_no_corrections_change_no_byte() -> None:
    before = scene()
    after = fold(before, VIEWS, np.zeros((len(VIEWS), 3)), CPU)
    assert all(np.array_equal(value, vars(after)[name]) for name, value in vars(before).items())


@pytest.mark.parametrize("degree", [0, 1, 2])
def test_a_scene_of_fewer_degrees_keeps_them(degree: int) -> None:
    after = fold(scene(degree), VIEWS, np.full((len(VIEWS), 3), 0.1), CPU)
    assert after.sh_degree == degree
    assert np.isfinite(after.sh0).all()


def test_gaussians_that_no_view_holds_stay() -> None:
    before = scene()
    far = replace(before, means=before.means + np.float32([0, 100, 0]))
    assert np.array_equal(fold(far, VIEWS, np.full((len(VIEWS), 3), 0.3), CPU).sh0, far.sh0)
