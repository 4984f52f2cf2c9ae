"""Undistortion of frames to pinhole views, in the COLMAP process."""

from __future__ import annotations

import os
import zlib  # noqa: F401 - must be loaded before pycolmap, else Pillow's PNG writer frees its memory in another zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pycolmap
from numpy.typing import NDArray
from PIL import Image

from runner.files.atomic import naming_a_full_disk
from runner.poses.colmap.lenses.pinhole_views import undistorted
from runner.poses.colmap.lenses.undistorted_masks import UndistortedMasks
from runner.poses.colmap.mapping import counter
from runner.poses.colmap.requests import MarkerSeen, Undistort, UndistortedView, UndistortedViews
from runner.scene.masks import write_mask
from runner.scene.sizes import shrink


def scaled_intrinsics(
    camera: Sequence[float], from_size: tuple[int, int], to_size: tuple[int, int]
) -> NDArray[np.float64]:
    """K [3, 3] of a pinhole camera (fx, fy, cx, cy) after its image (width, height) was resized.

    Each axis has its own scale, because sizes are rounded to whole pixels. Pixel centres lie at .5, so the principal
    point scales without an offset.
    """
    fx, fy, cx, cy = camera
    sx, sy = to_size[0] / from_size[0], to_size[1] / from_size[1]
    return np.array([[fx * sx, 0.0, cx * sx], [0.0, fy * sy, cy * sy], [0.0, 0.0, 1.0]])


def write_shrunk(pixels: NDArray[np.uint8], path: Path, size: tuple[int, int]) -> None:
    """Writes pixels [height, width, 3] as PNG of `size` (width, height), filtered as wide as the reduction.

    Raises ResourceError when the disk is full.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(pixels)
    if picture.size != size:
        picture = picture.resize(size, Image.Resampling.LANCZOS)
    with naming_a_full_disk(path.name):
        picture.save(path, "PNG", compress_level=1)


def undistort(request: Undistort) -> UndistortedViews:
    """Images of an ideal pinhole camera without black borders, shrunk to the training size, and their cameras."""
    model = pycolmap.Reconstruction(request.model)
    options = pycolmap.UndistortCameraOptions(blank_pixels=0.0)
    registered = {image.name: image for image in model.images.values() if image.has_pose}
    count = counter(1)
    find = _finder() if request.markers else None
    masks = UndistortedMasks(Path(request.masks) if request.masks else None, options)

    def view(name: str) -> UndistortedView:
        image = registered[name]
        with Image.open(Path(request.images) / name) as file:
            distorted = np.asarray(file.convert("RGB"))
        pixels, camera = undistorted(options, distorted, model.cameras[image.camera_id])
        full = (camera.width, camera.height)
        width, height = shrink(*full, request.long_side)
        write_shrunk(pixels, Path(request.output) / name, (width, height))
        used = masks.of(name, model.cameras[image.camera_id], (width, height))
        if used is not None:
            write_mask(Path(request.masks_output) / name, used)
        count()
        markers = tuple(find(pixels, camera)) if find else ()
        intrinsics = scaled_intrinsics(tuple(camera.params), full, (width, height))
        pose = [*image.cam_from_world().matrix().tolist(), [0.0, 0.0, 0.0, 1.0]]
        return UndistortedView(
            image=name,
            width=width,
            height=height,
            K=intrinsics.tolist(),
            world_to_camera=pose,  # type: ignore[arg-type]
            masked=used is not None,
            markers=markers,
        )

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        names = [name for name in request.names if name in registered]
        return UndistortedViews(views=tuple(pool.map(view, names)))


def _finder() -> Callable[[NDArray[np.uint8], pycolmap.Camera], list[MarkerSeen]]:
    """Of markers in a pinhole image. Loaded only where somebody says that there are some."""
    from runner.poses.colmap.markers import find_markers

    def find(pixels: NDArray[np.uint8], camera: pycolmap.Camera) -> list[MarkerSeen]:
        fx, fy, cx, cy = camera.params
        return find_markers(pixels, (fx, fy), (cx, cy))

    return find
