"""Did the camera move, or only turn? Judged from pairs of images, before anything is reconstructed.

Between two images from one point the world turns as a whole: H = K R K^-1. So for the right focal length K^-1 H K is
a rotation, whatever the scene looks like. A wall filmed while walking gives homographies as well, but no rotations.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FOCALS = np.geomspace(0.4, 3.0, 31)  # focal length / long side: every lens of phones and cameras
WIDE = 0.08  # of the long side: the centre of the image moves at least that far in pairs that say anything
TURNED = 0.3  # |A^T A - I| / |A - I|: 0 for a rotation, 1.4 for a step aside along a wall, however far
LEAST_PAIRS = 10
SLID = 0.002  # of the long side: so far from a shift and a zoom are centre and corners of a flat thing at most
STILL = 0.02  # of the long side: where no corner of the image moves farther, nothing is seen from another place


@dataclass(frozen=True)
class Pairs:
    """Verified pairs of images of one clip each."""

    homographies: NDArray[np.float64]  # [M, 3, 3] pixels of the first image to those of the second
    whole: NDArray[np.bool_]  # [M] the homography explains (almost) all matches
    sizes: NDArray[np.float64]  # [M, 2] width, height in pixels


def turning_share(pairs: Pairs) -> float:
    """Share of the pairs that look in clearly different directions from one and the same point, 0 to 1.

    0 where too few pairs say anything.
    """
    h, centres = pairs.homographies, pairs.sizes / 2
    long_side = pairs.sizes.max(axis=1)
    # A pair that no homography explains has parallax, however far the image moved.
    moved = np.full(len(h), np.inf)
    usable = pairs.whole & (np.abs(np.linalg.det(h)) > 1e-12)
    homogeneous = np.concatenate([centres, np.ones((len(h), 1))], axis=1)
    mapped = np.einsum("mij,mj->mi", h[usable], homogeneous[usable])
    with np.errstate(divide="ignore", invalid="ignore"):
        moved[usable] = np.linalg.norm(mapped[:, :2] / mapped[:, 2:] - centres[usable], axis=1) / long_side[usable]
    wide = ~(moved < WIDE)
    tested = wide & usable
    if wide.sum() < LEAST_PAIRS or not tested.any():
        return 0.0
    residuals = np.stack([_off_rotation(h[tested], centres[tested], f * long_side[tested]) for f in FOCALS])
    best = residuals[int(np.argmin(np.median(residuals, axis=1)))]
    return float((best < TURNED).sum() / wide.sum())


def moves(pairs: Pairs) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]:
    """Of each pair: was the camera still, did it only turn, did the picture only slide? [M], [M], [M]

    In doubt none: a pair that no homography explains has parallax, and one that no rotation explains a wall. What
    slides and grows without any change of shape is a page that is scrolled, a scan, or a photo that an editor zooms
    into; a hand tilts and turns as well.
    """
    h, sizes = pairs.homographies, pairs.sizes
    still, turned, slid = (np.zeros(len(h), bool) for _ in range(3))
    usable = pairs.whole & (np.abs(np.linalg.det(h)) > 1e-12)
    if not usable.any():
        return still, turned, slid
    long_side = sizes.max(axis=1)[usable]
    shares = np.array([(0.5, 0.5), (0, 0), (0, 1), (1, 0), (1, 1)])  # the centre and the corners
    points = shares[None] * sizes[usable][:, None]  # [U, 5, 2] px
    mapped = np.einsum("mij,mpj->mpi", h[usable], np.concatenate([points, np.ones((*points.shape[:2], 1))], axis=2))
    with np.errstate(divide="ignore", invalid="ignore"):
        steps = (mapped[..., :2] / mapped[..., 2:] - points) / long_side[:, None, None]
    moved = np.linalg.norm(steps, axis=2).max(axis=1)
    across = (points - points.mean(axis=1, keepdims=True)) / long_side[:, None, None]
    apart = steps - steps.mean(axis=1, keepdims=True)
    zoom = (across * apart).sum(axis=(1, 2)) / (across**2).sum(axis=(1, 2))  # least squares
    uneven = np.linalg.norm(apart - zoom[:, None, None] * across, axis=2).max(axis=1)
    residuals = np.stack([_off_rotation(h[usable], sizes[usable] / 2, f * long_side) for f in FOCALS])
    best = residuals[int(np.argmin(np.median(residuals, axis=1)))]
    still[usable] = moved < STILL
    slid[usable] = (moved >= STILL) & (uneven < SLID)
    turned[usable] = (moved >= STILL) & (best < TURNED) & ~slid[usable]
    return still, turned, slid


def _off_rotation(
    h: NDArray[np.float64], centres: NDArray[np.float64], focal: NDArray[np.float64]
) -> NDArray[np.float64]:
    """[M] how far A = K^-1 H K is from any rotation, relative to how far it is from no motion at all."""
    k = np.zeros_like(h)
    k[:, 0, 0] = k[:, 1, 1] = focal
    k[:, :2, 2], k[:, 2, 2] = centres, 1.0
    a = np.linalg.inv(k) @ h @ k
    a /= np.cbrt(np.linalg.det(a))[:, None, None]
    off = np.linalg.norm(a.transpose(0, 2, 1) @ a - np.eye(3), axis=(1, 2))
    return np.asarray(off / np.maximum(np.linalg.norm(a - np.eye(3), axis=(1, 2)), 1e-9))
