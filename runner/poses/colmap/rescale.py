"""A sparse model for images of another size, or for fewer of them: how poses that are known are used again."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pycolmap

from runner.poses.colmap.requests import Rename


def rescaled(model: pycolmap.Reconstruction, images: Mapping[str, Rename]) -> pycolmap.Reconstruction:
    """The model with the wanted images only, under their new names and at their new sizes.

    images: by their names in the model. Cameras and observations are scaled, poses and points stay; a point that fewer
    than two of the images see goes. Images without a pose are none of the model's.
    Raises ValueError when images of one camera have different sizes.
    """
    new = pycolmap.Reconstruction()
    for number in sorted(model.reg_image_ids()):
        image = model.images[number]
        if image.name not in images:
            continue
        wanted = images[image.name]
        width, height = wanted.width, wanted.height
        before = model.cameras[image.camera_id]
        if not new.exists_camera(image.camera_id):
            new.add_camera_with_trivial_rig(_resized(before, width, height))
        camera = new.cameras[image.camera_id]
        if (camera.width, camera.height) != (width, height):
            raise ValueError(f"{wanted.name} has another size than the other images of its camera")
        scale = np.array([width / before.width, height / before.height])  # pixel centres lie at .5: no offset
        keypoints = np.array([point.xy for point in image.points2D], np.float64).reshape(-1, 2) * scale
        renamed = pycolmap.Image(name=wanted.name, keypoints=keypoints, camera_id=image.camera_id, image_id=number)
        new.add_image_with_trivial_frame(renamed, image.cam_from_world())
    for _, point in sorted(model.points3D.items()):
        track = pycolmap.Track()
        for element in point.track.elements:
            if new.exists_image(element.image_id):
                track.add_element(element)
        if len({element.image_id for element in track.elements}) >= 2:
            new.add_point3D(point.xyz, track, point.color)
    new.update_point_3d_errors()
    return new


def _resized(camera: pycolmap.Camera, width: int, height: int) -> pycolmap.Camera:
    """Each axis has its own scale, because sizes are rounded to whole pixels; a single focal length gets the mean."""
    resized = pycolmap.Camera(
        camera_id=camera.camera_id, model=camera.model, width=camera.width, height=camera.height, params=camera.params
    )
    resized.has_prior_focal_length = camera.has_prior_focal_length
    if (width, height) != (camera.width, camera.height):
        resized.rescale(width, height)
    return resized
