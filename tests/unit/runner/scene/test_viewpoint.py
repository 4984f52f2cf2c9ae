"""Where a viewer starts: at the point the cameras look at, from the camera that has it in the middle."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from runner.scene.geometry import camera_centre
from runner.scene.viewpoint import focus_point, most_central
from runner.scene.views import View
from tests.splats import ring_of_views


def test_the_focus_is_the_point_all_cameras_look_at() -> None:
    centre = np.array([1.0, -2.0, 0.5])
    assert np.allclose(focus_point(ring_of_views(12, centre)), centre, atol=0.02)


def test_parallel_cameras_focus_ahead_of_them() -> None:
    """A forward walk has parallel rays; the focus must stay finite and in front."""
    views = []
    for k in range(5):
        world_to_camera = np.eye(4)
        world_to_camera[2, 3] = -float(k)
        views.append(View(f"a/{k}.png", "a.mp4", k, 64, 48, np.eye(3), world_to_camera, "train"))
    focus = focus_point(views)
    assert np.isfinite(focus).all()
    assert focus[2] > 0


@pytest.mark.parametrize("spread_deg", [-2.0, 0.0, 2.0])
def test_a_drone_that_looks_down_focuses_below_it_and_begins_in_the_middle(spread_deg: float) -> None:
    """Rays that spread by a degree meet above it: no camera saw that, so the scene began at a corner of the survey."""
    views = []
    for row in range(3):
        for column in range(6):
            x, y = column - 2.5, row - 1.0
            tilt = np.radians(spread_deg) / 2.7
            rotation = Rotation.from_rotvec([y * tilt, -x * tilt, 0.0]).as_matrix()
            pose = np.eye(4)
            pose[:3, :3], pose[:3, 3] = rotation, -rotation @ [x, y, 0.0]
            views.append(View(f"photos/{len(views)}.png", "photos", len(views), 64, 48, np.eye(3), pose, "train"))
    focus = focus_point(views)
    assert focus[2] > 0
    first = camera_centre(views[most_central(views, focus)].world_to_camera)
    assert np.linalg.norm(first) < 0.6, "one of the two in the middle"


def test_the_first_camera_has_the_subject_in_the_middle() -> None:
    views = ring_of_views(6, np.zeros(3))
    turned = views[2].world_to_camera.copy()
    turned[0, 3] += 2.0  # the subject is off to the side
    views[2] = replace(views[2], world_to_camera=turned)
    assert most_central(views, [0.0, 0.0, 0.0]) != 2
