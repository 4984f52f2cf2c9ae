"""Undistorted training views and the scene made of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter

UNSURE = 0.02  # of the long side: as wide is the edge of a mask


@dataclass(frozen=True)
class View:
    """One camera with its undistorted image. OpenCV axes: x right, y down, z forward; pixel centres at .5."""

    image: str  # relative to images/
    video: str
    timestamp_s: float
    width: int
    height: int
    K: NDArray[np.float64]  # [3, 3] pinhole intrinsics in pixels of this image
    world_to_camera: NDArray[np.float64]  # [4, 4]
    split: str  # "train" | "test"
    markers: tuple[tuple[int, tuple[tuple[float, float], ...]], ...] = ()
    """Printed markers that the image shows: number, and the four corners in the plane one unit before the camera."""
    alone: bool = False  # what its mask ignores is no place: it turns before a still camera, see `ClipInfo.turns`


@dataclass(frozen=True)
class TrainingScene:
    """What training gets: undistorted views, their pixels, and the sparse points, all in the sparse model's world."""

    views: tuple[View, ...]
    pixels: tuple[NDArray[np.uint8], ...]  # per view [height, width, 3] sRGB
    points: NDArray[np.float32]  # [N, 3]
    colors: NDArray[np.uint8]  # [N, 3] sRGB
    point_errors: NDArray[np.float32]  # [N] mean reprojection error in px
    track_lengths: NDArray[np.int32]  # [N] images that see the point
    sightings: NDArray[np.int32] = field(default_factory=lambda: np.zeros((0, 2), np.int32))
    """[M, 2] (view, point): which view saw which point, as far as the sparse model says."""
    seen_at: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 2), np.float32))
    """[M, 2] of each sighting: where, in the plane one unit before the camera (x / z, y / z). Empty: not known."""
    masks: tuple[NDArray[np.bool_] | None, ...] = ()
    """Per view [height, width], True where a pixel is used; None: all of them are. Empty: no view has a mask."""
    twins: int = 0  # views that show what another one shows, as copies do

    def mask(self, index: int) -> NDArray[np.bool_] | None:
        """Of one view, see `masks`."""
        return self.masks[index] if self.masks else None

    def empty(self, index: int) -> NDArray[np.bool_] | None:
        """[height, width] of one view, True where nothing of the scene is: what its mask ignores, but for the edge of
        what it uses, which is known to some pixels only. None: nobody knows that."""
        view, mask = self.views[index], self.mask(index)
        if not view.alone or mask is None:
            return None
        around = 1 + 2 * max(1, round(UNSURE * max(view.width, view.height)))
        empty: NDArray[np.bool_] = maximum_filter(mask.astype(np.uint8), around, mode="constant") == 0
        return empty

    def subset(self, split: str) -> list[int]:
        """Indices of the views of one split."""
        return [i for i, view in enumerate(self.views) if view.split == split]


def evenly(indices: Sequence[int], most: int) -> list[int]:
    """At most `most` of them, evenly spread, the first and the last among them."""
    if len(indices) <= most:
        return list(indices)
    return [indices[position] for position in np.linspace(0, len(indices) - 1, most).round().astype(int)]
