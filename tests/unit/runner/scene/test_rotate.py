"""Turning a scene changes no picture of it: positions, shapes and view-dependent colours turn together."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from runner.quality.evaluate import render_view
from runner.raster import parameters
from runner.raster.torch_reference import TorchRasterizer
from runner.scene.gaussians import Gaussians
from runner.scene.geometry import quaternion, rotation_matrices
from runner.scene.rotate import rotate_gaussians, rotate_views, sh_rotations
from runner.scene.spherical_harmonics import sh_basis
from runner.scene.views import View
from tests.splats import ring_of_views
from tests.tiny_scene import random_rotation


def colourful(count: int, degree: int, seed: int = 0) -> Gaussians:
    """Flat, long and tilted ones with strong view dependence, in front of a ring of cameras."""
    rng = np.random.default_rng(seed)

    def normal(*shape: int, spread: float = 1.0) -> np.ndarray:
        return rng.normal(0, spread, shape).astype(np.float32)

    rest = (degree + 1) ** 2 - 1
    return Gaussians(
        normal(count, 3, spread=0.6), normal(count, 4), normal(count, 3, spread=0.8) - 2, normal(count) + 1,
        normal(count, 3), normal(count, rest, 3, spread=0.4),
    )  # fmt: skip


def picture(gaussians: Gaussians, view: View) -> np.ndarray:
    return render_view(parameters.parameters(gaussians, torch.device("cpu")), view, TorchRasterizer()).numpy()


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_a_turned_scene_seen_by_turned_cameras_is_the_same_picture(degree: int) -> None:
    gaussians, views = colourful(300, degree), ring_of_views(3, np.zeros(3))
    small = [
        View(v.image, v.video, 0.0, 96, 72, np.diag([0.15, 0.15, 1]) @ v.K, v.world_to_camera, "test") for v in views
    ]
    for seed in range(3):
        turn = random_rotation(seed)
        turned = rotate_gaussians(gaussians, turn)
        np.testing.assert_array_equal(turned.log_scales, gaussians.log_scales)
        np.testing.assert_array_equal(turned.sh0, gaussians.sh0)
        for before, after in zip(small, rotate_views(small, turn), strict=True):
            one, other = picture(gaussians, before), picture(turned, after)
            assert one.std() > 0.05, "nothing to see"
            assert np.abs(one - other).max() <= 1e-4


def test_colours_turn_with_the_directions_they_are_seen_from() -> None:
    """Against the definition, in float64: c'(R d) = c(d)."""
    rng = np.random.default_rng(5)
    directions = rng.normal(size=(50, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    coefficients = rng.normal(size=15)
    turn = random_rotation(7)
    turned = np.concatenate(
        [band @ coefficients[l * l - 1 : (l + 1) ** 2 - 1] for l, band in enumerate(sh_rotations(turn, 3), start=1)]
    )
    before = sh_basis(3, torch.from_numpy(directions)).numpy()[:, 1:] @ coefficients
    after = sh_basis(3, torch.from_numpy(directions @ turn.T)).numpy()[:, 1:] @ turned
    np.testing.assert_allclose(after, before, atol=1e-12)


def test_the_quaternion_of_a_rotation_gives_it_back_also_for_half_turns() -> None:
    half_turns = [np.diag([1.0, -1, -1]), np.diag([-1.0, 1, -1]), np.diag([-1.0, -1, 1])]
    for turn in [*(random_rotation(seed) for seed in range(20)), *half_turns, np.eye(3)]:
        back = rotation_matrices(torch.from_numpy(quaternion(turn))[None])[0].numpy()
        np.testing.assert_allclose(back, turn, atol=1e-12)
