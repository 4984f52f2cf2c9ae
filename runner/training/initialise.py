"""The first Gaussians: one per sparse point (3D Gaussian Splatting, Kerbl et al. 2023, section 5), or dense one.

Structure-from-motion finds corners, crowded where there are many and none in soft places. Where dense points are known
they take the place of the sparse ones: as many, or a share of the Gaussians that there may be, drawn at random from all
pixels, so that what fills more of the images begins with more of them. Sparse points where nothing dense is stay.
Dense ones that contradict the sparse ones (a camera that walks straight ahead sees little depth) are worse than none.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from runner.scene.gaussians import SH_C0, Gaussians
from runner.scene.geometry import camera_positions
from runner.scene.views import TrainingScene, View
from runner.training.stereo.plane_sweep import DensePoints
from scenejobs.errors import Code, InputError
from scenejobs.filming import MORE_TO_SEE

MAX_ERROR_PX = 2.0  # points the sparse model itself places badly would begin as floaters
MIN_POINTS = 4  # three neighbours are needed for a scale
MAX_SCALE_TO_DISTANCE = 0.1  # a lone far point must not begin as a blob that covers the image
NEIGHBOURS = 3
CONFIRMED_MIN = 0.8  # share of sparse points that dense ones confirm, below which dense ones are not used
ALONE = 0.02  # distance to the nearest dense point / to the nearest camera, above which a sparse point stays


def scene_extent(views: tuple[View, ...] | list[View]) -> float:
    """Radius of the camera positions about their centre, times 1.1 as in the reference implementation; world units."""
    positions = camera_positions(views)
    return float(max(1e-6, 1.1 * np.linalg.norm(positions - positions.mean(axis=0), axis=1).max()))


def initial_gaussians(
    scene: TrainingScene,
    *,
    cap: int,
    sh_degree: int,
    opacity: float,
    scale: float,
    seed: int,
    dense: DensePoints | None = None,
    dense_share: float = 0.0,
) -> Gaussians:
    """One round Gaussian per trusted sparse point, at most `cap`, or per dense point in their place.

    opacity: of each, 0..1. scale: standard deviation, as a multiple of the mean distance to the three nearest points.
    dense_share: of `cap`: how many Gaussians to begin with where there are dense points and fewer sparse ones.
    Raises InputError(TOO_FEW_REGISTERED) when hardly any sparse point is left.
    """
    finite = np.isfinite(scene.points).all(axis=1)
    chosen = np.flatnonzero(finite & (scene.point_errors <= MAX_ERROR_PX) & (scene.track_lengths >= 2))
    if len(chosen) < MIN_POINTS:
        raise InputError(
            f"{len(chosen)} of {len(scene.points)} sparse points are good enough to begin; {MIN_POINTS} are needed",
            code=Code.TOO_FEW_REGISTERED,
            advice=MORE_TO_SEE,
        )
    rng = np.random.default_rng(seed)
    if len(chosen) > cap:
        chosen = np.sort(rng.permutation(chosen)[:cap])
    means = scene.points[chosen].astype(np.float32)
    colors = scene.colors[chosen].astype(np.float32) / 255.0
    if dense is not None and dense.confirmed >= CONFIRMED_MIN:
        wanted = min(cap, max(len(chosen), round(dense_share * cap)))
        alone = _alone(means, dense.points, scene.views)
        drawn = rng.permutation(len(dense.points))[: max(0, wanted - int(alone.sum()))]
        means = np.concatenate([means[alone], dense.points[drawn]])
        colors = np.concatenate([colors[alone], dense.colors[drawn].astype(np.float32) / 255.0])
    count = len(means)
    return Gaussians(
        means=means,
        quats=rng.standard_normal((count, 4)).astype(np.float32),
        log_scales=np.log(np.repeat(_spacing(means, scene.views)[:, None] * scale, 3, axis=1)).astype(np.float32),
        opacity_logits=np.full(count, np.log(opacity / (1.0 - opacity)), np.float32),
        sh0=((colors - 0.5) / SH_C0).astype(np.float32),
        sh_rest=np.zeros((count, (sh_degree + 1) ** 2 - 1, 3), np.float32),
    )


def _alone(sparse: NDArray[np.float32], dense: NDArray[np.float32], views: tuple[View, ...]) -> NDArray[np.bool_]:
    """[N] whether no dense point is near a sparse one."""
    to_camera, _ = cKDTree(camera_positions(views)).query(sparse)
    to_dense, _ = cKDTree(dense).query(sparse)
    alone: NDArray[np.bool_] = to_dense > ALONE * to_camera
    return alone


def _spacing(points: NDArray[np.float32], views: tuple[View, ...]) -> NDArray[np.float64]:
    """[N] root mean square distance to the three nearest points, within what the nearest camera allows."""
    distances, _ = cKDTree(points).query(points, k=NEIGHBOURS + 1)
    spacing = np.sqrt((distances[:, 1:] ** 2).mean(axis=1))
    to_camera, _ = cKDTree(camera_positions(views)).query(points)
    return np.asarray(np.clip(spacing, 1e-6 + 1e-5 * to_camera, MAX_SCALE_TO_DISTANCE * np.maximum(to_camera, 1e-5)))
