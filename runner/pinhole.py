"""Undistorted pictures at training size, and the pinhole cameras that belong to them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from runner.atomic import naming_a_full_disk


def scaled_intrinsics(
    camera: Sequence[float], from_size: tuple[int, int], to_size: tuple[int, int]
) -> NDArray[np.float64]:
    """K [3, 3] of a pinhole camera (fx, fy, cx, cy) after its picture (width, height) was resized.

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
