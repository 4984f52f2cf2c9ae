"""Where a viewer starts: the point the cameras look at, and the most central camera."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from runner.scene.geometry import camera_centre
from runner.scene.views import View


def focus_point(views: Sequence[View]) -> list[float]:
    """The point nearest to all viewing rays in the least-squares sense: what the cameras look at. World frame [3]."""
    normal = np.zeros((3, 3))
    moment = np.zeros(3)
    centres = []
    for view in views:
        rotation = view.world_to_camera[:3, :3]
        centre = camera_centre(view.world_to_camera)
        across = np.eye(3) - np.outer(rotation[2], rotation[2])  # projects onto the plane across the ray
        normal += across
        moment += across @ centre
        centres.append(centre)
    # A little weight on "some way ahead of the middle camera" keeps parallel rays (a forward walk) well posed.
    middle = views[len(views) // 2].world_to_camera[2, :3]
    ahead = np.mean(centres, axis=0) + middle * max(1e-6, float(np.ptp(np.array(centres), axis=0).max()))
    weight = 1e-3 * len(views)
    nearest = np.linalg.solve(normal + weight * np.eye(3), moment + weight * ahead)
    # Rays that spread, as of a drone that looks down or of somebody who looks around, meet behind the cameras.
    depths = [view.world_to_camera[2, :3] @ nearest + view.world_to_camera[2, 3] for view in views]
    return [float(value) for value in (nearest if np.median(depths) > 0 else ahead)]


def most_central(views: Sequence[View], focus: Sequence[float]) -> int:
    """The view to begin with: of those that have the focus near the middle of the image, the one farthest away."""

    def score(view: View) -> float:
        x, y, z = view.world_to_camera[:3, :3] @ np.asarray(focus) + view.world_to_camera[:3, 3]
        off_axis = float(np.hypot(x, y) / z) if z > 0 else np.inf  # tangent of the angle
        return off_axis / max(float(z), 1e-9)

    return min(range(len(views)), key=lambda k: score(views[k]))
