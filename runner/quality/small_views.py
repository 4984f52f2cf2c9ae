"""Views at the small size at which plane-sweep stereo compares them, and which of them are worth comparing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import minimum_filter

from runner.scene.views import TrainingScene

WINDOW_PX = 5  # side of the window that is compared, see kernels/plane_sweep.py
COMMON_MIN = 10  # sparse points that two images must share to be compared
BEST_ANGLE_DEG = 8.0  # between the lines of sight: less tells little about depth, more makes images unlike
ANGLE_SPREAD_DEG = (3.0, 10.0)  # how quickly smaller and larger angles are worth less


@dataclass(frozen=True)
class SmallView:
    """A view at the size that is compared."""

    grey: NDArray[np.float32]  # [H, W] 0..1
    K: NDArray[np.float64]  # [3, 3] for that size
    rotation: NDArray[np.float64]  # [3, 3] world to camera
    translation: NDArray[np.float64]  # [3]
    seen: NDArray[np.int32]  # indices of the sparse points it saw, rising
    used: NDArray[np.bool_] | None = None  # [H, W]; None: all pixels are

    @property
    def centre(self) -> NDArray[np.float64]:
        return -self.rotation.T @ self.translation

    def depths(self, points: NDArray[np.float32]) -> NDArray[np.float64]:
        """Along the optical axis, of those of the points [N, 3] that it saw and that lie before it."""
        depth = points[self.seen] @ self.rotation[2] + self.translation[2]
        return np.asarray(depth[np.isfinite(depth) & (depth > 0)])


def small_view(scene: TrainingScene, index: int, side_px: int) -> SmallView:
    """The view with its longer side at most `side_px`."""
    view, mask = scene.views[index], scene.mask(index)
    shrink = min(1.0, side_px / max(view.width, view.height))
    width, height = max(1, round(view.width * shrink)), max(1, round(view.height * shrink))
    grey = Image.fromarray(scene.pixels[index]).convert("L").resize((width, height), Image.Resampling.BOX)
    size = np.array([[width / view.width], [height / view.height], [1.0]])
    return SmallView(
        np.asarray(grey, np.float32) / np.float32(255),
        view.K * size,
        view.world_to_camera[:3, :3],
        view.world_to_camera[:3, 3],
        np.unique(scene.sightings[scene.sightings[:, 0] == index, 1]),
        None if mask is None else _small_mask(mask, width, height),
    )


def _small_mask(mask: NDArray[np.bool_], width: int, height: int) -> NDArray[np.bool_]:
    """Used where all of a pixel is, and of the window about it: what is masked would be compared with the scene."""
    grey = Image.fromarray(np.where(mask, 255, 0).astype(np.uint8)).resize((width, height), Image.Resampling.BOX)
    whole = np.asarray(grey) == 255
    used: NDArray[np.bool_] = minimum_filter(whole, WINDOW_PX)
    return used


def source_views(index: int, images: Sequence[SmallView], points: NDArray[np.float32], most: int) -> list[int]:
    """The source views of a reference view, best first."""
    return [number for _, number in scored_views(index, images, points)[:most]]


def scored_views(index: int, images: Sequence[SmallView], points: NDArray[np.float32]) -> list[tuple[float, int]]:
    """Score and number of every view that a view can be compared with, best first.

    The score counts common points, those at good angles for most (MVSNet, Yao 2018).
    """
    mine = images[index]
    scores = []
    for number, other in enumerate(images):
        common = np.intersect1d(mine.seen, other.seen, assume_unique=True)
        if number == index or len(common) < COMMON_MIN:
            continue
        to_me, to_other = points[common] - mine.centre, points[common] - other.centre
        lengths = np.linalg.norm(to_me, axis=1) * np.linalg.norm(to_other, axis=1)
        cosine = (to_me * to_other).sum(axis=1) / np.maximum(lengths, 1e-12)
        away = np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0))) - BEST_ANGLE_DEG
        spread = np.where(away < 0, *ANGLE_SPREAD_DEG)
        scores.append((float(np.exp(-0.5 * (away / spread) ** 2).sum()), -number))
    return [(score, -number) for score, number in sorted(scores, reverse=True)]
