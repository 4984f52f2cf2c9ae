"""Colours without view dependence, for formats that have no spherical harmonics (.splat).

The DC coefficient alone is the average over the whole sphere, but cameras see a Gaussian from a few directions only,
and nothing holds the other directions to anything. The mean over the directions it was seen from is closer to what was
filmed; `metrics.json` shows what is left of the loss.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from runner.scene.gaussians import SH_C0, Gaussians
from runner.scene.spherical_harmonics import sh_basis
from runner.scene.views import View

MAX_VIEWS = 32  # evenly spread over the clips: more change the mean by less than the 8 bits of the format can hold
MARGIN = 1.1  # of the half picture: Gaussians whose centre is just outside still colour the border


def flatten(gaussians: Gaussians, views: Sequence[View]) -> Gaussians:
    """The same Gaussians at SH degree 0, each in its mean colour over the views whose frustum holds it.

    A Gaussian no view holds keeps its DC colour. views: those that were trained on.
    """
    rest = np.zeros((gaussians.count, 0, 3), np.float32)
    if gaussians.sh_degree == 0 or not views:
        return replace(gaussians, sh_rest=rest)
    total = np.zeros((gaussians.count, 3))
    seen = np.zeros(gaussians.count)
    for k in np.unique(np.linspace(0, len(views) - 1, min(MAX_VIEWS, len(views))).round().astype(int)):
        inside, directions = _seen_from(gaussians.means, views[k])
        colours = _colours(gaussians, inside, directions)
        total[inside] += colours
        seen[inside] += 1
    known = seen > 0
    sh0 = gaussians.sh0.copy()
    sh0[known] = (total[known] / seen[known, None] - 0.5) / SH_C0
    return replace(gaussians, sh0=sh0, sh_rest=rest)


def _seen_from(means: NDArray[np.float32], view: View) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Indices [M] of the means inside the view's frustum, and their unit directions [M, 3] from the camera."""
    rotation, translation = view.world_to_camera[:3, :3], view.world_to_camera[:3, 3]
    x, y, z = (means @ rotation.T.astype(np.float32) + translation.astype(np.float32)).T
    ahead = np.where(z > 1e-6, z, np.inf)
    u, v = view.K[0, 0] * x / ahead, view.K[1, 1] * y / ahead
    inside = np.flatnonzero((z > 1e-6) & (abs(u) < MARGIN * view.width / 2) & (abs(v) < MARGIN * view.height / 2))
    offsets = means[inside] - (-rotation.T @ translation).astype(np.float32)
    return inside, offsets / np.maximum(np.linalg.norm(offsets, axis=1, keepdims=True), 1e-12)


def _colours(gaussians: Gaussians, index: NDArray[np.intp], directions: NDArray[np.float32]) -> NDArray[np.float32]:
    """Colours [M, 3] of some Gaussians seen along `directions` [M, 3], clamped to what 8 bits hold."""
    basis = sh_basis(gaussians.sh_degree, torch.from_numpy(directions)).numpy()  # [M, K]
    view_dependent = np.einsum("mk,mkc->mc", basis[:, 1:], gaussians.sh_rest[index])
    colours: NDArray[np.float32] = np.clip(0.5 + SH_C0 * gaussians.sh0[index] + view_dependent, 0.0, 1.0)
    return colours
