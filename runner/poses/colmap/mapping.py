"""Incremental mapping with pycolmap, in the COLMAP process."""

from __future__ import annotations

import json
import zlib  # noqa: F401 - must be loaded before pycolmap, else Pillow's PNG writer frees its memory in another zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pycolmap

from runner.poses.colmap import given_cameras
from runner.poses.colmap.rescale import fitted
from runner.poses.colmap.zoom import zoomed
from runner.poses.health import Observations, measure


def observations(model: pycolmap.Reconstruction) -> tuple[Observations, list[str]]:
    """The arrays the gates need, and the names of the cameras in their order."""
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
        focal_ratios=np.array([lens.mean_focal_length() / max(lens.width, lens.height) for lens in lenses]),
        k1=np.array([_first_radial(lens) for lens in lenses]),
    )
    return seen, [image.name for image in images]


def reconstruct(request: dict[str, Any]) -> dict[str, Any]:
    """Camera poses and points. Every model found is written to its own folder and measured."""
    output = Path(request["output"])
    output.mkdir(parents=True)
    if request["mapper"] == "global":
        # Without view graph calibration: it took planar pairs at their word and broke three of five tried scenes.
        options = pycolmap.GlobalPipelineOptions(random_seed=request["seed"], num_threads=request["threads"])
        models = pycolmap.global_mapping(request["database"], request["images"], str(output), options)
    else:
        models = pycolmap.incremental_mapping(
            request["database"], request["images"], str(output), _incremental_options(request),
            initial_image_pair_callback=counter(2), next_image_callback=counter(1),
        )  # fmt: skip
    found = []
    for number, model in models.items():
        if model.num_reg_images() < 2 or model.num_points3D() == 0:
            continue
        folder = output / f"model{number}"
        folder.mkdir()
        zoom = zoomed(model)
        model = zoom.model if zoom else model
        model.write(str(folder))
        found.append({"folder": str(folder), "zoom": zoom.spread if zoom else 1.0, **_facts(model)})
    return {"models": found}


def place(request: dict[str, Any]) -> dict[str, Any]:
    """The same, with the cameras that the user supplies."""
    return given_cameras.place(request, _facts, _incremental_options(request))


def cut(request: dict[str, Any]) -> dict[str, Any]:
    """A model without some of its pictures, adjusted anew: what lies beyond a wrong joint had bent it."""
    model = pycolmap.Reconstruction(request["model"])
    dropped = set(request["drop"])
    for image in [image for image in model.images.values() if image.has_pose and image.name in dropped]:
        model.deregister_frame(image.frame_id)
    pycolmap.bundle_adjustment(model, pycolmap.BundleAdjustmentOptions(refine_principal_point=False))
    folder = Path(request["output"])
    folder.mkdir(parents=True)
    model.write(str(folder))
    return {"folder": str(folder), **_facts(model)}


def centers(request: dict[str, Any]) -> dict[str, Any]:
    """Where the cameras of models are, by picture."""
    models = [pycolmap.Reconstruction(folder) for folder in request["models"]]
    return {
        "centers": [
            {image.name: image.projection_center().tolist() for image in model.images.values() if image.has_pose}
            for model in models
        ]
    }


def fit(request: dict[str, Any]) -> dict[str, Any]:
    """Known poses for pictures of another size, or for fewer of them."""
    model = fitted(request)
    folder = Path(request["output"])
    folder.mkdir(parents=True)
    model.write(str(folder))
    return {"folder": str(folder), **_facts(model)}


def _incremental_options(request: dict[str, Any]) -> pycolmap.IncrementalPipelineOptions:
    options = pycolmap.IncrementalPipelineOptions(
        random_seed=request["seed"], num_threads=request["threads"], max_runtime_seconds=request["max_runtime_s"]
    )
    # Without this range a forward flight collapsed to a focal length of 0.18 of the width; no phone has such a lens.
    for part in (options, options.mapper, options.triangulation):
        part.min_focal_length_ratio, part.max_focal_length_ratio = 0.4, 3.0
    options.ba_refine_focal_length = not request["fixed_lens"]
    return options


def counter(step: int) -> Callable[[], None]:
    def count() -> None:
        print(json.dumps({"placed": step}), flush=True)

    return count


def _facts(model: pycolmap.Reconstruction) -> dict[str, Any]:
    seen, names = observations(model)
    health, cut = measure(seen)
    return {
        "names": names,
        "points": model.num_points3D(),
        "mean_track_length": model.compute_mean_track_length(),
        "mean_reprojection_error_px": model.compute_mean_reprojection_error(),
        "health": vars(health),
        "smaller_side": [name for name, inside in zip(names, cut.side, strict=True) if inside],
    }


def _first_radial(camera: pycolmap.Camera) -> float:
    names = [name.strip() for name in camera.params_info.split(",")]
    radial = next((i for i, name in enumerate(names) if name in {"k", "k1"}), None)
    return 0.0 if radial is None else float(camera.params[radial])
