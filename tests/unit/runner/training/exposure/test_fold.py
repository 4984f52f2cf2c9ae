"""The finished scene shows of the exposures what depends on the place, and nothing of what does not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from runner.quality.evaluate import render_view
from runner.raster import Rasterizer, parameters, rasterizer
from runner.scene.gaussians import Gaussians
from runner.scene.spherical_harmonics import sh_basis
from runner.training.exposure.fold import fold
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


@pytest.mark.parametrize("part", [0.5, 1.0])
def test_an_exposure_that_follows_the_place_is_shown_from_there(part: float, backend: Rasterizer) -> None:
    """The views go around the scene, and are bright on one side."""
    gains = 0.2 * np.cos(0.3 * np.arange(len(VIEWS)))[:, None].repeat(3, axis=1)
    after = fold(scene(), VIEWS, gains, part, CPU)
    for index in (0, 5, 10, 15):
        assert brighter(scene(), after, index, backend) == pytest.approx(part * gains[index, 0], abs=0.06 * part)


def test_exposures_that_jump_from_picture_to_picture_stay_out(backend: Rasterizer) -> None:
    gains = 0.2 * (-1.0) ** np.arange(len(VIEWS))[:, None].repeat(3, axis=1)
    after = fold(scene(), VIEWS, gains, 0.5, CPU)
    assert max(abs(brighter(scene(), after, index, backend)) for index in range(len(VIEWS))) < 0.03


def test_no_corrections_change_no_byte() -> None:
    before = scene()
    after = fold(before, VIEWS, np.zeros((len(VIEWS), 3)), 1.0, CPU)
    assert all(np.array_equal(value, vars(after)[name]) for name, value in vars(before).items())


@pytest.mark.parametrize("degree", [0, 1, 2])
def test_a_scene_of_fewer_degrees_keeps_them(degree: int) -> None:
    after = fold(scene(degree), VIEWS, np.full((len(VIEWS), 3), 0.1), 1.0, CPU)
    assert after.sh_degree == degree
    assert np.isfinite(after.sh0).all()


def test_one_exposure_is_the_same_all_over_a_picture() -> None:
    """What few pictures hold follows the others, too: it was left behind, and a picture was darker in parts."""
    narrow = [replace(view, K=np.diag([180.0, 180.0, 1.0])) for view in VIEWS]
    gains = 0.2 * np.cos(0.3 * np.arange(len(VIEWS)))[:, None].repeat(3, axis=1)
    before = scene()
    after = fold(before, narrow, gains, 1.0, CPU)
    pose = VIEWS[0].world_to_camera
    directions = torch.from_numpy(before.means + pose[:3, :3].T @ pose[:3, 3]).float()
    Y = sh_basis(3, torch.nn.functional.normalize(directions, dim=-1))[:, None]
    sh = [torch.from_numpy(np.concatenate([each.sh0[:, None], each.sh_rest], axis=1)) for each in (before, after)]
    change = [(0.5 + (Y @ each)[:, 0]).clamp_min(0.05) for each in sh]
    brighter = torch.log(change[1] / change[0])[(sh[0][:, 0] > -0.5).all(dim=1)]
    assert brighter.mean() == pytest.approx(gains[0, 0], abs=0.06)  # it was 0.08
    assert brighter.std() < 0.03  # it was 0.10
