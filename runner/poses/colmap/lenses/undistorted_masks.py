"""Masks for undistorted images: moved with the pixels that they ignore."""

from __future__ import annotations

import threading
import zlib  # noqa: F401 - must be loaded before pycolmap, else Pillow's PNG writer frees its memory in another zlib
from pathlib import Path

import numpy as np
import pycolmap
from PIL import Image

from runner.poses.colmap.lenses.pinhole_views import undistorted
from runner.scene.masks import USED, Mask, mask_files, read_mask

MOSTLY = 0.99  # of what an undistorted pixel shows must be used: none of an overlay's colour may bleed in


class UndistortedMasks:
    """Of the images of one model. Images with the same mask and camera share one: it is made once. For many threads."""

    def __init__(self, masks: Path | None, options: pycolmap.UndistortCameraOptions) -> None:
        """masks: folder of runner/scene/masks.py; None: no image has one."""
        self._masks, self._options = masks, options
        self._made: dict[tuple[object, ...], Mask] = {}
        self._lock = threading.Lock()

    def of(self, name: str, camera: pycolmap.Camera, size: tuple[int, int]) -> Mask | None:
        """Of an image by its name, for its undistorted form of `size` (width, height); None where it has none."""
        if self._masks is None or not (files := mask_files(self._masks, name)):
            return None
        key = *files, camera.camera_id, size
        with self._lock:
            if key not in self._made:
                used = read_mask(self._masks, name)
                assert used is not None, "one of its files is there"
                self._made[key] = self._undistorted(used, camera, size)
            return self._made[key]

    def _undistorted(self, used: Mask, camera: pycolmap.Camera, size: tuple[int, int]) -> Mask:
        grey = np.repeat(np.where(used, USED, 0).astype(np.uint8)[..., None], 3, axis=2)
        moved, _ = undistorted(self._options, grey, camera)
        small = Image.fromarray(np.ascontiguousarray(moved[..., 0])).resize(size, Image.Resampling.BILINEAR)
        mostly: Mask = np.asarray(small) >= MOSTLY * USED
        return mostly
