"""Pixels of a lens as those of an ideal pinhole."""

from __future__ import annotations

import zlib  # noqa: F401 - must be loaded before pycolmap, else Pillow's PNG writer frees its memory in another zlib

import numpy as np
import pycolmap
from numpy.typing import NDArray

from runner.poses.colmap.lenses import fisheye


def undistorted(
    options: pycolmap.UndistortCameraOptions, pixels: NDArray[np.uint8], camera: pycolmap.Camera
) -> tuple[NDArray[np.uint8], pycolmap.Camera]:
    """[height, width, 3] of a pinhole view, and its camera. pixels: [height, width, 3]."""
    if fisheye.is_fisheye(camera):
        return fisheye.undistorted(pixels, camera)
    bitmap, pinhole = pycolmap.undistort_image(options, pycolmap.Bitmap.from_array(pixels), camera)
    return bitmap.to_array(), pinhole
