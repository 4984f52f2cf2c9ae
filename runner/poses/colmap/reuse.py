"""Features and matches of an earlier run into a new database, before any are extracted."""

from __future__ import annotations

from typing import Any

import pycolmap

from runner.poses.colmap.features.extract import reader_of
from runner.poses.colmap.requests import Reused, TakeOver


def take_over(request: TakeOver) -> Reused:
    """Features of the images that the known database has too, known by their hashes, and the matches between them.

    A verified pair is taken as that where both of its cameras are described alike; else its matches, to be verified
    again. Images and cameras get the numbers that they get without a known database.
    """
    path = request.source.database
    pycolmap.Database.open(path).close()
    for groups in request.passes:
        for group in groups:
            with pycolmap.Database.open(path) as new:
                there = {image.name for image in new.read_all_images()}
            names = [name for name in group.names if name not in there]
            if names:
                pycolmap.import_images(
                    path, request.source.images, camera_mode=pycolmap.CameraMode.SINGLE, image_names=names,
                    options=reader_of(request.source, group),
                )  # fmt: skip
    features = pairs = 0
    with pycolmap.Database.open(path) as new, pycolmap.Database.open(request.known) as known:
        known_of = {request.known_hashes.get(image.name): image for image in known.read_all_images()}
        known_of.pop(None, None)
        cameras = {camera.camera_id: camera for camera in new.read_all_cameras()}
        known_cameras = {camera.camera_id: camera for camera in known.read_all_cameras()}
        new_of: dict[int, Any] = {}  # by the number of the known image
        for image in new.read_all_images():
            old = known_of.get(request.hashes[image.name])
            if old is None or not known.exists_keypoints(old.image_id):
                continue
            if not new.exists_keypoints(image.image_id):
                new.write_keypoints(image.image_id, known.read_keypoints(old.image_id))
                new.write_descriptors(image.image_id, known.read_descriptors(old.image_id))
                features += 1
            new_of[old.image_id] = image
        alike = {
            number: _alike(cameras[image.camera_id], known_cameras[known.read_image(number).camera_id])
            for number, image in new_of.items()
        }
        verified = set(known.read_two_view_geometries()[0])
        for pair_id in known.read_all_matches()[0]:
            one, two = pycolmap.pair_id_to_image_pair(pair_id)
            if one not in new_of or two not in new_of:
                continue
            ids = new_of[one].image_id, new_of[two].image_id
            if new.exists_matches(*ids):
                continue
            new.write_matches(*ids, known.read_matches(one, two))
            if pair_id in verified and alike[one] and alike[two]:
                new.write_two_view_geometry(*ids, known.read_two_view_geometry(one, two))
            pairs += 1
    return Reused(features=features, pairs=pairs)


def _alike(one: pycolmap.Camera, two: pycolmap.Camera) -> bool:
    """Verification reads the focal length, so another prior gives other inliers."""
    return _facts(one) == _facts(two)


def _facts(camera: pycolmap.Camera) -> tuple[Any, ...]:
    return camera.model, camera.width, camera.height, list(camera.params), camera.has_prior_focal_length
