"""A scene in metres shows the same pictures to cameras in metres."""

from __future__ import annotations

import numpy as np
import pytest

from runner.scene.geometry import camera_centre
from runner.scene.resize import resize_gaussians, resize_views
from runner.scene.views import View
from tests.splats import ring_of_views
from tests.unit.runner.scene.test_rotate import colourful, picture


@pytest.mark.parametrize("factor", [0.2, 25.0])
def test_a_resized_scene_seen_by_resized_cameras_is_the_same_picture(factor: float) -> None:
    gaussians = colourful(300, 2)
    small = [
        View(v.image, v.video, 0.0, 96, 72, np.diag([0.15, 0.15, 1]) @ v.K, v.world_to_camera, "test")
        for v in ring_of_views(3, np.zeros(3))
    ]
    resized = resize_gaussians(gaussians, factor)
    for before, after in zip(small, resize_views(small, factor), strict=True):
        here, there = camera_centre(before.world_to_camera), camera_centre(after.world_to_camera)
        np.testing.assert_allclose(there, factor * here, atol=1e-12)
        one, other = picture(gaussians, before), picture(resized, after)
        assert one.std() > 0.05, "nothing to see"
        assert np.abs(one - other).max() <= 1e-4
