"""Does the lens zoom while filming? All images of a shot share one camera; a zoom makes that a lie.

A zoom looks like a walk forwards: with one focal length for all images the reconstruction is smooth, complete, has a
third of a pixel of error, and its cameras are off by two thirds of the scene. So after mapping every image is given
a lens of its own, once; where that explains the images better by much, it is right. A zoom by 1.5 lowered the error
to 0.72 of what it was and brought the cameras to 1 %; on six scenes with a still lens the error stayed at 0.98 or
more, whatever the focal lengths did (those of a walk straight ahead spread by 1.09).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pycolmap

ERROR_FALLS_TO = 0.9  # of the reprojection error with shared lenses, at most
SPREAD = 1.1  # of the focal lengths of one camera: 90th percentile / 10th
LEAST_IMAGES = 8  # of a camera; in fewer a zoom looks like noise


@dataclass(frozen=True)
class Zoom:
    """A model in which every image has a lens of its own."""

    model: pycolmap.Reconstruction
    spread: float  # of the camera that zooms most


def zoomed(model: pycolmap.Reconstruction) -> Zoom | None:
    """The model with a lens per image, adjusted anew, where the lens changed while filming; None where it did not."""
    camera_of = {image.image_id: image.camera_id for image in model.images.values() if image.has_pose}
    sizes = np.bincount(list(camera_of.values())) if camera_of else np.zeros(1, int)
    if sizes.max() < LEAST_IMAGES:
        return None
    before_px = model.compute_mean_reprojection_error()
    own = with_own_lenses(model)
    # The distortion stays: a lens per image has enough freedom without it.
    pycolmap.bundle_adjustment(
        own, pycolmap.BundleAdjustmentOptions(refine_principal_point=False, refine_extra_params=False)
    )
    focals = {number: own.cameras[number].mean_focal_length() for number in camera_of}
    spreads = [
        float(np.divide(*np.quantile([f for number, f in focals.items() if camera_of[number] == camera], (0.9, 0.1))))
        for camera in np.flatnonzero(sizes >= LEAST_IMAGES)
    ]
    if own.compute_mean_reprojection_error() > ERROR_FALLS_TO * before_px or max(spreads) < SPREAD:
        return None
    return Zoom(own, max(spreads))


def with_own_lenses(model: pycolmap.Reconstruction) -> pycolmap.Reconstruction:
    """The same model, registered images and points only, with a camera per image that has the number of the image."""
    own = pycolmap.Reconstruction()
    for image in model.images.values():
        if not image.has_pose:
            continue
        shared = model.cameras[image.camera_id]
        own.add_camera_with_trivial_rig(
            pycolmap.Camera(
                camera_id=image.image_id, model=shared.model, width=shared.width, height=shared.height,
                params=shared.params,
            )
        )  # fmt: skip
        keypoints = np.array([point.xy for point in image.points2D], np.float64).reshape(-1, 2)
        copied = pycolmap.Image(name=image.name, keypoints=keypoints, camera_id=image.image_id, image_id=image.image_id)
        own.add_image_with_trivial_frame(copied, image.cam_from_world())
    for point in model.points3D.values():
        own.add_point3D(point.xyz, point.track, point.color)
    own.update_point_3d_errors()
    return own
