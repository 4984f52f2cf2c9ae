"""Sparse points that stay at one place of the picture while everything else moves through it.

The camera moves, so what stands still in its pictures is no part of the place: a date, a logo, a reflection of whoever
films. Where a stamp is not masked, its features match in every pair of pictures, and say that the camera stood still: a
lot of them pulls all cameras together, few of them bend the path. The neighbours of each picture agree with it all the
same. A wrong path can be smooth; points that stand still give it away.
"""

from __future__ import annotations

import numpy as np

from runner.scene.views import TrainingScene

LEAST_VIEWS = 8  # that see a point; far away or straight ahead it may stand still in a few pictures by chance
LEAST_POINTS = 50  # of such points; fewer say nothing
STILL = 0.05  # of how far usual points spread in the pictures (90th percentile) ...
STILL_OF_SIDE = 0.006  # ... and of the long side: what spreads less stands still


def standing_share(scene: TrainingScene) -> float | None:
    """Of the points that many views see, 0..1, how many stand still in all of these. None: nothing can be said.

    By where the cameras put the points in the pictures, which is where they were found, up to the reprojection error.
    """
    if not len(scene.sightings):
        return None
    view, point = scene.sightings.T
    poses, K = (np.stack([getattr(one, name) for one in scene.views]) for name in ("world_to_camera", "K"))
    side = np.array([max(one.width, one.height) for one in scene.views], np.float64)
    there = np.einsum("nij,nj->ni", poses[view, :3, :3], scene.points[point]) + poses[view, :3, 3]
    ahead = there[:, 2] > 0
    view, point, there = view[ahead], point[ahead], there[ahead]
    pixel = np.einsum("nij,nj->ni", K[view], there)
    place = pixel[:, :2] / pixel[:, 2:] / side[view, None]
    count = np.bincount(point, minlength=len(scene.points))
    seen = np.maximum(count, 1)
    middle = np.stack([np.bincount(point, along, len(seen)) / seen for along in place.T], axis=1)
    apart = ((place - middle[point]) ** 2).sum(axis=1)
    spread = np.sqrt(np.bincount(point, apart, len(seen)) / seen)[count >= LEAST_VIEWS]
    if len(spread) < LEAST_POINTS:
        return None
    return float((spread < min(STILL * float(np.percentile(spread, 90)), STILL_OF_SIDE)).mean())
