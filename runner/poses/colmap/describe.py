"""A reconstruction as the COLMAP process answers with it: written to its folder and measured."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pycolmap

from runner.poses.colmap.lenses import fisheye
from runner.poses.colmap.requests import Model, Point
from runner.poses.health import Observations, measure


def written(model: pycolmap.Reconstruction, folder: Path, zoom: float = 1.0) -> Model:
    """Writes the model into a new folder and measures it."""
    folder.mkdir(parents=True)
    model.write(str(folder))
    seen, names = observations(model)
    health, cut = measure(seen)
    return Model(
        folder=str(folder),
        names=tuple(names),
        points=model.num_points3D(),
        mean_track_length=float(model.compute_mean_track_length()),
        mean_reprojection_error_px=float(model.compute_mean_reprojection_error()),
        health=health,
        smaller_side=tuple(name for name, inside in zip(names, cut.side, strict=True) if inside),
        zoom=zoom,
        seen_deg=max(
            (fisheye.seen_deg(lens) for lens in model.cameras.values() if fisheye.is_fisheye(lens)), default=0.0
        ),
    )


def centres(model: pycolmap.Reconstruction) -> dict[str, Point]:
    """Where the cameras of the registered images are, by image name."""
    return {image.name: tuple(image.projection_center().tolist()) for image in model.images.values() if image.has_pose}


def is_finite(model: Model) -> bool:
    """Are all of its numbers numbers? A bundle adjustment that diverges leaves others."""
    numbers = (*vars(model.health).values(), model.mean_track_length, model.mean_reprojection_error_px, model.zoom)
    return all(map(math.isfinite, numbers))


def observations(model: pycolmap.Reconstruction) -> tuple[Observations, list[str]]:
    """The arrays that the gates are computed from, and the names of the images in the order of the cameras."""
    images = sorted((image for image in model.images.values() if image.has_pose), key=lambda image: image.name)
    index = {image.image_id: i for i, image in enumerate(images)}
    rotations = np.array([image.cam_from_world().rotation.matrix() for image in images]).reshape(-1, 3, 3)
    camera_of: list[int] = []
    point_of: list[int] = []
    positions: list[Any] = []
    for number, point in enumerate(model.points3D.values()):
        elements = point.track.elements
        camera_of += [index[element.image_id] for element in elements]
        point_of += [number] * len(elements)
        positions.append(point.xyz)
    lenses = [model.cameras[i] for i in sorted({image.camera_id for image in images})]
    seen = Observations(
        centers=np.array([image.projection_center() for image in images]).reshape(-1, 3),
        forward=rotations[:, 2, :],
        points=np.array(positions).reshape(-1, 3),
        camera_of=np.array(camera_of, np.int64),
        point_of=np.array(point_of, np.int64),
        focal_ratios=np.array([_focal_ratio(lens) for lens in lenses]),
        k1=np.array([_first_radial(lens) for lens in lenses]),
        place_of=np.unique([image.frame_id for image in images], return_inverse=True)[1].astype(np.int64),
    )
    return seen, [image.name for image in images]


def _focal_ratio(camera: pycolmap.Camera) -> float:
    if fisheye.is_fisheye(camera):
        return fisheye.focal_ratio(camera)
    return float(camera.mean_focal_length() / max(camera.width, camera.height))


def _first_radial(camera: pycolmap.Camera) -> float:
    names = [name.strip() for name in camera.params_info.split(",")]
    radial = next((i for i, name in enumerate(names) if name in {"k", "k1"}), None)
    return 0.0 if radial is None else float(camera.params[radial])
