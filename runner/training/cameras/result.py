"""How far cameras were moved, as the documents tell it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runner.scene.geometry import angles_between_deg, camera_centre, camera_positions, centred
from runner.scene.views import TrainingScene


def moved(scene: TrainingScene, cameras: Mapping[str, NDArray[np.float64]]) -> dict[str, Any] | None:
    """For metrics.json and manifest.json; None: none was refined.

    scene: before. cameras: world to camera [4, 4] after, by image. The path's size is the mean distance of all cameras
    from their middle.
    """
    if not cameras:
        return None
    size = float(np.linalg.norm(centred(camera_positions(scene.views)), axis=1).mean())
    turns, ways = [], []
    for view in scene.views:
        if (after := cameras.get(view.image)) is not None:
            turns.append(after[:3, :3] @ view.world_to_camera[:3, :3].T)
            ways.append(np.linalg.norm(camera_centre(after) - camera_centre(view.world_to_camera)))
    angles = angles_between_deg(np.array(turns), np.eye(3))
    return {
        "cameras": len(turns),
        "moved_deg": float(np.median(angles)),
        "moved_percent": 100 * float(np.median(ways)) / max(size, 1e-12),
        "largest_deg": float(angles.max()),
        "largest_percent": 100 * float(max(ways)) / max(size, 1e-12),
    }
