"""Small motions of a camera: exp is exp, and a motion of one pixel moves the picture by one pixel."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from runner.scene.camera_motion import LEAST_POINTS, exponential, seen_by
from runner.scene.views import TrainingScene
from tests.tiny_scene import blank_scene


def with_points(count: int) -> TrainingScene:
    """Of three cameras around the origin; the second one saw all points, near and far ones."""
    rng, scene = np.random.default_rng(0), blank_scene(3)
    points = rng.uniform(-1.5, 1.5, (count, 3)).astype(np.float32)
    pose = scene.views[1].world_to_camera
    local = points @ pose[:3, :3].T + pose[:3, 3]
    return replace(
        scene,
        points=points,
        sightings=np.stack([np.ones(count), np.arange(count)], axis=1).astype(np.int32),
        seen_at=(local[:, :2] / local[:, 2:]).astype(np.float32),
    )


@pytest.mark.parametrize("angle", [0.0, 1e-9, 0.01, 0.3])
def test_exponential_is_the_matrix_exponential(angle):
    rng = np.random.default_rng(1)
    xi = torch.tensor(rng.normal(size=(4, 6)))
    xi[:, :3] *= angle / xi[:, :3].norm(dim=1, keepdim=True)
    a, b, c, x, y, z = xi.T
    o = torch.zeros_like(a)
    matrices = torch.stack([o, -c, b, x, c, o, -a, y, -b, a, o, z, o, o, o, o], dim=1).reshape(4, 4, 4)
    assert torch.allclose(exponential(xi), torch.linalg.matrix_exp(matrices), atol=1e-9, rtol=0)
    assert torch.allclose(exponential(xi[0]), exponential(xi)[0])


def test_each_motion_moves_what_was_seen_by_a_pixel():
    """Root mean square over the points; those whose effect is too weak for that move it by less."""
    scene, small = with_points(200), 0.01
    seen = seen_by(scene, 1)
    assert seen is not None
    pose, points = scene.views[1].world_to_camera, scene.points[seen.numbers].astype(np.float64)
    moves = []
    for direction in small * np.eye(6):
        moved = exponential(torch.from_numpy(seen.motions @ direction)).numpy() @ pose
        local = points @ moved[:3, :3].T + moved[:3, 3]
        apart = seen.focal_px * (local[:, :2] / local[:, 2:] - seen.at)
        moves.append(float(np.sqrt((apart**2).sum(axis=1).mean())) / small)
    assert np.allclose(moves[2:], 1, atol=0.02)
    assert max(moves) < 1.02


def test_what_too_few_points_hold_is_not_moved():
    assert seen_by(with_points(LEAST_POINTS), 1) is not None
    assert seen_by(with_points(LEAST_POINTS - 1), 1) is None
    assert seen_by(with_points(200), 0) is None
    assert seen_by(replace(with_points(200), seen_at=np.zeros((0, 2), np.float32)), 1) is None
