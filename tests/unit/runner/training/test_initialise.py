"""The first Gaussians: trusted points only, sized by their neighbours, coloured as seen, never more than the cap."""

from __future__ import annotations

import numpy as np
import pytest

from runner.scene.gaussians import SH_C0, Gaussians
from runner.scene.views import TrainingScene, View
from runner.training.initialise import MAX_SCALE_TO_DISTANCE, initial_gaussians, scene_extent


def view_at(x: float) -> View:
    world_to_camera = np.eye(4)
    world_to_camera[0, 3] = -x
    return View("a/0.png", "a.mp4", 0.0, 4, 4, np.eye(3), world_to_camera, "train")


def scene_of(points: np.ndarray, errors: np.ndarray | None = None) -> TrainingScene:
    count = len(points)
    return TrainingScene(
        (view_at(-1.0), view_at(1.0)),
        (),
        points.astype(np.float32),
        np.full((count, 3), 204, np.uint8),
        np.full(count, 0.5, np.float32) if errors is None else errors.astype(np.float32),
        np.full(count, 3, np.int32),
    )


def first(scene: TrainingScene, cap: int = 1000) -> Gaussians:
    return initial_gaussians(scene, cap=cap, sh_degree=2, opacity=0.1, scale=1.0, seed=0)


GRID = np.stack(np.meshgrid(*[np.arange(5.0)] * 3), axis=-1).reshape(-1, 3) * 0.1 + np.array([0.0, 0.0, 5.0])


def test_on_a_grid_the_scale_is_the_grid_spacing() -> None:
    """Every point of a grid has at least three neighbours at exactly one spacing."""
    assert np.exp(first(scene_of(GRID)).log_scales) == pytest.approx(0.1, rel=1e-4)


def test_colour_and_opacity_come_out_as_given() -> None:
    gaussians = first(scene_of(GRID))
    assert 0.5 + SH_C0 * gaussians.sh0 == pytest.approx(204 / 255, abs=1e-6)
    assert 1 / (1 + np.exp(-gaussians.opacity_logits)) == pytest.approx(0.1, abs=1e-6)
    assert gaussians.sh_rest.shape == (125, 8, 3)


def test_points_with_large_errors_or_without_a_place_are_left_out() -> None:
    errors = np.full(125, 0.5)
    errors[:5] = 3.0
    points = GRID.copy()
    points[10] = np.nan
    assert first(scene_of(points, errors)).count == 119


def test_never_more_than_the_cap_and_the_same_ones_every_time() -> None:
    one, again = first(scene_of(GRID), cap=50), first(scene_of(GRID), cap=50)
    assert one.count == 50
    assert np.array_equal(one.means, again.means)


def test_a_lone_far_point_does_not_begin_as_a_blob_over_the_picture() -> None:
    far = np.array([[0.0, 0.0, 1000.0]])
    gaussians = first(scene_of(np.concatenate([GRID, far])))
    distance = np.hypot(1.0, 1000.0)
    assert np.exp(gaussians.log_scales[-1]) == pytest.approx(MAX_SCALE_TO_DISTANCE * distance, rel=1e-3)


def test_points_on_one_place_get_a_scale_above_zero() -> None:
    gaussians = first(scene_of(np.repeat(GRID[:1], 8, axis=0)))
    assert np.isfinite(gaussians.log_scales).all()


def test_the_extent_is_the_radius_of_the_camera_positions() -> None:
    assert scene_extent([view_at(-1.0), view_at(1.0)]) == pytest.approx(1.1)
