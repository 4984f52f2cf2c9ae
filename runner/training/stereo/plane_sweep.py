"""Dense points from training images whose cameras are known: plane-sweep stereo (Collins 1996).

Structure-from-motion knows corners only. Here every training image is compared, at a small size, with those that see
the same from a little aside, on planes at many depths, by normalised cross-correlation; the best plane of a pixel is
its depth. A depth counts when the depths of two other images agree with it. Gaussians that begin there begin on the
surfaces (what that is worth: benchmarks/results/training.md).

Held-out images are not looked at.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from runner.quality.small_views import COMMON_MIN, SmallView, small_view, source_views
from runner.scene.progress import Progress
from runner.scene.views import TrainingScene, evenly

AVAILABLE = importlib.util.find_spec("numba") is not None
STAGE = "training"
SIDE_PX = 240  # long side of the images that are compared
PLANES = 64
OTHERS = 3  # images that each is compared with
MAX_IMAGES = 100  # whose depths are measured, evenly chosen
STEPS_MIN = 1000  # shorter trainings are over in the time that dense points take ...
BUDGET_SHARE = 0.2  # ... and more than this of the time budget is not spent on them
IMAGE_S = 0.25  # of processor time for each: two cores of 2021
MARGINS = (0.8, 1.6)  # nearest and farthest plane, as multiples of the depths of the sparse points
SCORE_MIN = 0.6  # correlation of a depth that counts
DEVIATION_MIN = 0.02  # of the grey values of a window, 0..1: less is no texture to compare
AGREEMENT = 0.02  # relative difference of two depths that agree
CONFIRMED = 0.01  # relative difference to the depth of a sparse point that is the same
TRUSTED_PX, TRUSTED_TRACK = 1.0, 4  # error below, images at least, of the sparse points that depths are compared with
FIRST_LOOKS = 8  # images, evenly spread, which tell early that the depths are of no use ...
TOLD_BY = 200  # ... by at least so many sparse points ...
CLEARLY = 0.1  # ... that are confirmed by so much less than is needed
AGREEING = 2  # images whose depths must agree with one that counts; one where only one can be compared


@dataclass(frozen=True)
class DensePoints:
    """Points on surfaces, as many as agreed, in an order that means nothing."""

    points: NDArray[np.float32]  # [M, 3] world
    colors: NDArray[np.uint8]  # [M, 3]
    confirmed: float  # share of the sparse points at whose pixels depths are known that are at those depths; 0..1
    depths: Mapping[int, NDArray[np.float32]] = field(default_factory=dict)
    """Of each image that was measured, [h, w] along the optical axis, world units; 0 where none agreed."""


def is_worthwhile(scene: TrainingScene, iterations: int, budget_s: float) -> bool:
    """Whether a training of so many steps, within so many seconds, is long enough for `dense_points` to be found first.

    False, too, where the kernels cannot be compiled.
    """
    expected_s = IMAGE_S * min(MAX_IMAGES, len(scene.subset("train")))
    return AVAILABLE and iterations >= STEPS_MIN and expected_s <= BUDGET_SHARE * budget_s


def dense_points(
    scene: TrainingScene, progress: Progress, max_images: int = MAX_IMAGES, needed: float = 0.0
) -> DensePoints:
    """Points on the surfaces that the training views show. Deterministic. Raises Interrupted.

    max_images: whose depths are measured, evenly chosen. needed: share of the sparse points that have to be confirmed;
    where the first images confirm clearly fewer, the others are not measured. Empty then, and where no two views can be
    compared.
    """
    views = evenly(scene.subset("train"), max_images)
    images = [small_view(scene, view, SIDE_PX) for view in views]
    others = [source_views(index, images, scene.points, OTHERS) for index in range(len(images))]
    if not any(others):
        return _no_points(0.0)
    trusted = (scene.point_errors < TRUSTED_PX) & (scene.track_lengths >= TRUSTED_TRACK)
    depths = [np.zeros(image.grey.shape, np.float32) for image in images]
    right = [np.zeros(0, bool) for _ in images]
    for done, index in enumerate(_spread_first(len(images))):
        progress.check(STAGE)
        progress.report(STAGE, 0.0, f"depths of {done} of {len(images)} images")
        if done == FIRST_LOOKS and sum(map(len, right)) >= TOLD_BY and _share(right) < needed - CLEARLY:
            return _no_points(_share(right))
        image = images[index]
        depths[index] = _depth_map(image, [images[other] for other in others[index]], scene.points)
        right[index] = _confirmed(image, depths[index], scene.points[image.seen[trusted[image.seen]]])
    found = [
        _consistent(image, depth, [(images[other], depths[other]) for other in near], scene.pixels[view])
        for image, depth, near, view in zip(images, depths, others, views, strict=True)
    ]
    points, colors, agreed = zip(*found, strict=True)
    by_view = dict(zip(views, agreed, strict=True))
    return DensePoints(np.concatenate(points), np.concatenate(colors), _share(right), by_view)


def _no_points(confirmed: float) -> DensePoints:
    return DensePoints(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.uint8), confirmed)


def _spread_first(count: int) -> list[int]:
    """All numbers below `count`, FIRST_LOOKS evenly spread ones before the others."""
    first = evenly(range(count), FIRST_LOOKS)
    return first + sorted(set(range(count)) - set(first))


def _share(right: Sequence[NDArray[np.bool_]]) -> float:
    """Of all of them, 0 of none."""
    checked = np.concatenate(right)
    return float(checked.mean()) if len(checked) else 0.0


def _depth_map(image: SmallView, others: Sequence[SmallView], points: NDArray[np.float32]) -> NDArray[np.float32]:
    """[H, W] depth along the optical axis, world units; 0 where it is not known."""
    from runner.quality.kernels.plane_sweep import best_planes, sweep, window_moments

    ahead = image.depths(points)
    if not others or len(ahead) < COMMON_MIN:
        return np.zeros(image.grey.shape, np.float32)
    nearest, farthest = np.percentile(ahead, 1) * MARGINS[0], np.percentile(ahead, 99) * MARGINS[1]
    inverse_depths = np.linspace(1 / farthest, 1 / nearest, PLANES)
    mean, variance = window_moments(image.grey)
    scores = np.empty((len(others), PLANES, *image.grey.shape), np.float32)
    back = np.linalg.inv(image.K)
    for other, score in zip(others, scores, strict=True):
        rotation = other.rotation @ image.rotation.T
        shift = other.translation - rotation @ image.translation
        sweep(
            image.grey, mean, variance, other.grey, other.K @ rotation @ back, other.K @ shift, inverse_depths,
            np.float32(DEVIATION_MIN**2 / 4), score,
        )  # fmt: skip
    inverse, best = np.empty_like(mean), np.empty_like(mean)
    best_planes(scores, inverse_depths, inverse, best)
    known = (best >= SCORE_MIN) & (inverse > 0) & (variance >= DEVIATION_MIN**2)
    if image.used is not None:
        known &= image.used
    return np.where(known, 1 / np.where(known, inverse, 1), 0).astype(np.float32)


def _consistent(
    image: SmallView,
    depth: NDArray[np.float32],
    others: Sequence[tuple[SmallView, NDArray[np.float32]]],
    pixels: NDArray[np.uint8],
) -> tuple[NDArray[np.float32], NDArray[np.uint8], NDArray[np.float32]]:
    """World positions and colours of the pixels whose depth those of other images agree with; these depths [h, w]."""
    y, x = np.nonzero(depth)
    rays = np.linalg.inv(image.K) @ np.stack([x + 0.5, y + 0.5, np.ones(len(x))])
    world = image.rotation.T @ (rays * depth[y, x] - image.translation[:, None])  # [3, M]
    agreeing = np.zeros(len(x), int)
    for other, its_depth in others:
        found, own = _sampled(other, its_depth, world)
        agreeing += (found > 0) & (np.abs(found - own) < AGREEMENT * own)
    agree = agreeing >= max(1, min(AGREEING, len(others)))
    height, width = depth.shape
    x, y = x[agree], y[agree]
    agreed = np.zeros_like(depth)
    agreed[y, x] = depth[y, x]
    at = ((y + 0.5) * len(pixels) / height).astype(int), ((x + 0.5) * pixels.shape[1] / width).astype(int)
    return world.T[agree].astype(np.float32), pixels[at], agreed


def _confirmed(image: SmallView, depth: NDArray[np.float32], sparse: NDArray[np.float32]) -> NDArray[np.bool_]:
    """For each sparse point [N, 3] at whose pixel a depth is known: is it the point's own?"""
    found, own = _sampled(image, depth, sparse.T)
    known = found > 0
    right: NDArray[np.bool_] = (np.abs(found - own) < CONFIRMED * own)[known]
    return right


def _sampled(
    image: SmallView, depth: NDArray[np.float32], world: NDArray[np.floating]
) -> tuple[NDArray[np.float32], NDArray[np.floating]]:
    """What a depth map [H, W] says where points [3, M] show, 0 for nothing or beside the image; their own depths."""
    in_camera = image.rotation @ world + image.translation[:, None]
    ahead = in_camera[2] > 0
    u, v, w = image.K @ np.where(ahead, in_camera, 1.0)
    height, width = depth.shape
    inside = ahead & (u >= 0) & (v >= 0) & (u < width * w) & (v < height * w)
    column, row = (np.where(inside, value / w, 0).astype(int) for value in (u, v))
    return np.where(inside, depth[row, column], np.float32(0)), in_camera[2]
