"""A sparse model for images of another size, or for fewer of them: how poses that are known are used again."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pycolmap

from runner.poses.colmap.requests import Rename


def rescaled(model: pycolmap.Reconstruction, images: Mapping[str, Rename]) -> pycolmap.Reconstruction:
    """The model with the wanted images only, under their new names and at their new sizes.

    images: by their names in the model. Cameras and observations are scaled, poses and points stay; a point that fewer
    than two of the images see goes. Images without a pose are none of the model's. Views of one 360-degree frame stay
    together.
    Raises ValueError when images of one camera have different sizes, or only some views of a rig are wanted.
    """
    new = pycolmap.Reconstruction()
    frames = _with_rigs(new, model, images)
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
        if number in frames:
            renamed.frame_id = frames[number]
            new.add_image(renamed)
        else:
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


def _with_rigs(
    new: pycolmap.Reconstruction, model: pycolmap.Reconstruction, images: Mapping[str, Rename]
) -> dict[int, int]:
    """Adds the rigs of several cameras to the new model, with their cameras and frames. The frame of each image there.

    Rigs and frames get numbers beyond those of cameras and images, which the rigs and frames of single images have.
    """
    after = max([*model.cameras, *model.images, 0])
    frame_of: dict[int, int] = {}
    for rig in (rig for _, rig in sorted(model.rigs.items()) if rig.num_sensors() > 1):
        wanted = {
            image.camera_id: images[image.name]
            for image in model.images.values() if image.has_pose and image.name in images
        }  # fmt: skip
        sensors = [rig.ref_sensor_id, *rig.non_ref_sensors]
        if not wanted.keys() & {sensor.id for sensor in sensors}:
            continue
        if missing := [sensor.id for sensor in sensors if sensor.id not in wanted]:
            raise ValueError(f"no image of cameras {missing} of a rig is wanted")
        joined = pycolmap.Rig(rig_id=after + rig.rig_id)
        joined.add_ref_sensor(rig.ref_sensor_id)
        for sensor in sensors:
            size = wanted[sensor.id]
            new.add_camera(_resized(model.cameras[sensor.id], size.width, size.height))
            if sensor != rig.ref_sensor_id:
                joined.add_sensor(sensor, rig.sensor_from_rig(sensor))
        new.add_rig(joined)
        for number in model.reg_frame_ids():
            frame = model.frames[number]
            inside = [one for one in frame.data_ids if model.images[one.id].name in images]
            if frame.rig_id != rig.rig_id or not inside:
                continue
            moved = pycolmap.Frame(frame_id=after + number, rig_id=joined.rig_id)
            for one in inside:
                moved.add_data_id(one)
                frame_of[one.id] = moved.frame_id
            moved.rig_from_world = frame.rig_from_world
            new.add_frame(moved)
    return frame_of


def _resized(camera: pycolmap.Camera, width: int, height: int) -> pycolmap.Camera:
    """Each axis has its own scale, because sizes are rounded to whole pixels; a single focal length gets the mean."""
    resized = pycolmap.Camera(
        camera_id=camera.camera_id, model=camera.model, width=camera.width, height=camera.height, params=camera.params
    )
    resized.has_prior_focal_length = camera.has_prior_focal_length
    if (width, height) != (camera.width, camera.height):
        resized.rescale(width, height)
    return resized
