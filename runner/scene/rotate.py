"""A scene rotated as a whole: Gaussians, their view-dependent colours, cameras and points. Its images stay the same.

Spherical harmonics rotate band by band: inside a band of degree l the rotated basis is a matrix (Wigner's D, real form)
of 2 l + 1 rows times the old one. The matrix is solved for from the basis itself, so no second set of formulas and
signs has to agree with the one that draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from runner.scene.gaussians import Gaussians
from runner.scene.geometry import quaternion, quaternion_product
from runner.scene.spherical_harmonics import sh_basis
from runner.scene.views import TrainingScene, View

CHUNK = 1 << 16  # Gaussians at once
SAMPLES = 64  # directions the matrices are solved from; 7 would do for degree 3


def rotate_gaussians(gaussians: Gaussians, rotation: NDArray[np.float64]) -> Gaussians:
    """The Gaussians in a world where point x is at `rotation` @ x ([3, 3]). Scales, opacities and sh0 stay the same."""
    bands = sh_rotations(rotation, gaussians.sh_degree)
    rest = np.empty_like(gaussians.sh_rest)
    for start in range(0, gaussians.count, CHUNK):
        rows = slice(start, start + CHUNK)
        begin = 0
        for band in bands:
            part = slice(begin, begin + len(band))
            rest[rows, part] = np.einsum("ij,njc->nic", band, gaussians.sh_rest[rows, part])
            begin += len(band)
    return replace(
        gaussians,
        means=(gaussians.means @ rotation.T).astype(np.float32),
        quats=quaternion_product(quaternion(rotation), gaussians.quats).astype(np.float32),
        sh_rest=rest,
    )


def rotate_views(views: Sequence[View], rotation: NDArray[np.float64]) -> tuple[View, ...]:
    """The cameras of the rotated world: each sees what it saw before."""
    back = np.eye(4)
    back[:3, :3] = rotation.T
    return tuple(replace(view, world_to_camera=view.world_to_camera @ back) for view in views)


def rotate_scene(scene: TrainingScene, rotation: NDArray[np.float64]) -> TrainingScene:
    """Cameras and points of the rotated world; the pixels are shared, not copied."""
    points = (scene.points @ rotation.T).astype(np.float32)
    return replace(scene, views=rotate_views(scene.views, rotation), points=points)


def sh_rotations(rotation: NDArray[np.float64], degree: int) -> list[NDArray[np.float64]]:
    """Matrices [2 l + 1, 2 l + 1] for the bands l = 1 .. degree: coefficients before -> coefficients after."""
    if degree == 0:
        return []
    directions = np.random.default_rng(0).normal(size=(SAMPLES, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    before = sh_basis(degree, torch.from_numpy(directions)).numpy()
    after = sh_basis(degree, torch.from_numpy(directions @ rotation.T)).numpy()
    bands = [slice(band**2, (band + 1) ** 2) for band in range(1, degree + 1)]
    # after(R d) = D before(d), and D is orthogonal: the colour c . Y(d) stays the same when c becomes D c.
    return [np.linalg.lstsq(before[:, band], after[:, band], rcond=None)[0].T for band in bands]
