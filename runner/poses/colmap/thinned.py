"""All of a large model adjusted by some of the sightings of its points.

What a point adds to an adjustment grows with the square of the images that see it. A film of one place has more images
of the same points the more frames it has, so twice as many frames cost four times as much. A few sightings far apart
say nearly as much of how the cameras lie to each other. Measured: docs/decisions/poses.md, 343.
"""

from __future__ import annotations

import zlib  # noqa: F401 - must be loaded before pycolmap, else Pillow's PNG writer frees its memory in another zlib
from collections.abc import Collection

import numpy as np
import pycolmap
from numpy.typing import NDArray

MOST = 16  # sightings of a point, spread over those that it has
FEWEST = 100  # sightings of an image, about: of one that would have fewer more are kept
NEAR = 1e7  # Ceres' trust region (1e4 by default): steps as of Gauss and Newton, for drift and focal length come last
GOLDEN = 0.6180339887  # its multiples are spread evenly between whole numbers


def adjust_thinned(
    model: pycolmap.Reconstruction, options: pycolmap.BundleAdjustmentOptions, known_cameras: Collection[int]
) -> None:
    """Moves the cameras, the lenses and the points. options: changed. known_cameras: whose lens stays as it is."""
    options.ceres.solver_options.initial_trust_region_radius = NEAR
    some = pycolmap.Reconstruction(model)
    for image, place in dropped(sightings(model)).tolist():
        some.delete_observation(image, place)
    config = pycolmap.BundleAdjustmentConfig()
    for image in some.reg_image_ids():
        config.add_image(image)
    for camera in known_cameras:
        config.set_constant_cam_intrinsics(camera)
    config.fix_gauge(pycolmap.BundleAdjustmentGauge.TWO_CAMS_FROM_WORLD)
    pycolmap.create_default_bundle_adjuster(options, config, some).solve()
    for number, frame in some.frames.items():
        if frame.has_pose:
            model.frame(number).rig_from_world = frame.rig_from_world
    for number, camera in some.cameras.items():
        model.camera(number).params = camera.params
    for number, point in some.points3D.items():
        model.point3D(number).xyz = point.xyz


def sightings(model: pycolmap.Reconstruction) -> NDArray[np.int64]:
    """[S, 3] point, image, place among the features of the image; those of a point together, in the order of images."""
    parts = [np.empty((0, 3), np.int64)]
    for image in sorted(model.reg_image_ids()):
        features = model.image(image).points2D
        points = np.array([feature.point3D_id if feature.has_point3D() else -1 for feature in features], np.int64)
        places = np.flatnonzero(points >= 0)
        parts.append(np.stack([points[places], np.full(len(places), image), places], axis=1))
    found = np.concatenate(parts)
    return found[np.argsort(found[:, 0], kind="stable")]


def dropped(seen: NDArray[np.int64]) -> NDArray[np.int64]:
    """[D, 2] image and place of the sightings that are too many. seen: [S, 3] as above."""
    points, first, of_point, per_point = np.unique(
        seen[:, 0], return_index=True, return_inverse=True, return_counts=True
    )
    _, of_image, per_image = np.unique(seen[:, 1], return_inverse=True, return_counts=True)
    share = np.minimum(1.0, np.maximum(MOST / per_point[of_point], FEWEST / per_image[of_image]))
    shares = np.concatenate([[0.0], np.cumsum(share)])
    begin = (points * GOLDEN % 1.0 - shares[first])[of_point]  # not the same images for each point
    kept = np.floor(begin + shares[1:]) > np.floor(begin + shares[:-1])
    return seen[~kept & (share < 1.0), 1:]
