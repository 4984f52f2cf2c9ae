"""Cameras that the user supplies, as COLMAP has them: in a database of their own, and as a model without points."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pycolmap
from numpy.typing import NDArray

from runner.poses.colmap.requests import SuppliedCamera
from runner.poses.supplied.cameras import Lens

Supplied = Mapping[str, SuppliedCamera]  # by image name


def write_database(source: str, target: Path, supplied: Supplied) -> None:
    """The features and verified matches of all images, with the supplied lenses in the place of their own.

    An image without a pose gets the lens of the images it shared a camera with, where these have one.
    """
    target.unlink(missing_ok=True)
    with pycolmap.Database.open(source) as old, pycolmap.Database.open(str(target)) as new:
        cameras = {camera.camera_id: camera for camera in old.read_all_cameras()}
        numbers: dict[tuple[int, Lens | None], int] = {}
        of_shot: dict[int, Lens] = {}
        images = sorted(old.read_all_images(), key=lambda image: image.image_id)
        for image in images:
            if image.name in supplied:
                of_shot.setdefault(image.camera_id, supplied[image.name].lens)
        for image in images:
            camera = cameras[image.camera_id]
            lens = supplied[image.name].lens if image.name in supplied else of_shot.get(image.camera_id)
            key = (image.camera_id, lens)
            if key not in numbers:
                numbers[key] = len(numbers) + 1
                made = camera if lens is None else _camera(lens, camera.width, camera.height)
                made.camera_id = numbers[key]
                new.write_camera(made, use_camera_id=True)
                rig = pycolmap.Rig(rig_id=numbers[key])
                rig.add_ref_sensor(made.sensor_id)
                new.write_rig(rig, use_rig_id=True)
            written = pycolmap.Image(name=image.name, camera_id=numbers[key], image_id=image.image_id)
            frame = pycolmap.Frame(frame_id=image.image_id, rig_id=numbers[key])
            frame.add_data_id(written.data_id)
            written.frame_id = frame.frame_id
            new.write_frame(frame, use_frame_id=True)
            new.write_image(written, use_image_id=True)
            new.write_keypoints(image.image_id, old.read_keypoints(image.image_id))
        for pair_id, geometry in zip(*old.read_two_view_geometries(), strict=True):
            new.write_two_view_geometry(*pycolmap.pair_id_to_image_pair(pair_id), geometry)


def model_of(database: Path, poses: Mapping[str, NDArray[np.float64]]) -> pycolmap.Reconstruction:
    """The images that have a pose, without points. poses: [3, 4] world to camera in OpenCV axes, by image name."""
    model = pycolmap.Reconstruction()
    with pycolmap.Database.open(str(database)) as opened:
        images = [image for image in opened.read_all_images() if image.name in poses]
        for number in sorted({image.camera_id for image in images}):
            model.add_camera_with_trivial_rig(opened.read_camera(number))
        for image in images:
            keypoints = np.asarray(opened.read_keypoints(image.image_id), np.float64)[:, :2]
            pose = poses[image.name]
            model.add_image_with_trivial_frame(
                pycolmap.Image(
                    name=image.name, camera_id=image.camera_id, image_id=image.image_id, keypoints=keypoints
                ),
                _rigid(pose[:, :3], pose[:, 3]),
            )
    return model


def pose_of(camera: SuppliedCamera) -> NDArray[np.float64]:
    """[3, 4] world to camera, OpenCV axes."""
    return np.array(camera.pose).reshape(3, 4)


def _camera(lens: Lens, width: int, height: int) -> pycolmap.Camera:
    """The plainest of COLMAP's models that holds the lens."""
    lens = lens.scaled(width, height)
    model, params = "OPENCV", [lens.fx, lens.fy, lens.cx, lens.cy, lens.k1, lens.k2, lens.p1, lens.p2]
    if np.isclose(lens.fx, lens.fy, rtol=1e-6) and not any((lens.k2, lens.p1, lens.p2)):
        model, params = "SIMPLE_RADIAL", [lens.fx, lens.cx, lens.cy, lens.k1]
    if lens.fisheye:
        model, params = "OPENCV_FISHEYE", [lens.fx, lens.fy, lens.cx, lens.cy, lens.k1, lens.k2, lens.k3, lens.k4]
    camera = pycolmap.Camera(model=model, width=width, height=height, params=params)
    camera.has_prior_focal_length = True
    return camera


def _rigid(rotation: Any, translation: Any) -> pycolmap.Rigid3d:
    return pycolmap.Rigid3d(pycolmap.Rotation3d(np.asarray(rotation)), np.asarray(translation))
