"""What the sparse points say about exposures and lenses: the same point looks brighter in one picture than in another.

Values are on the sRGB scale of the images, where a gain of the light by g is a gain of about g^(1/2.2).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, diags, hstack

from runner.scene.views import TrainingScene, View

NEAREST = 3  # images from about the same place, that an image's exposure is compared with
DARK, BRIGHT = 12.0, 243.0  # of 255: beyond, the sensor's or the curve's ends hide the gain
PATCH = 2  # pixels around a point that are averaged: poses are good to a pixel
ROUNDS = 8  # of reweighted least squares
OUTLIER = 0.05  # log units; residuals far above it (occluders, highlights) lose their weight
PRIOR_PAIRS = 1.0  # weight of "no drift", as if one point had said so
LENS_TERMS = 2  # of a lens's falloff: the second and the fourth power of the radius
LENS_PRIOR_PAIRS = 10.0  # weight of "no falloff"


@dataclass(frozen=True)
class ExposureDrift:
    """What the sparse points say about the exposures of the training images."""

    log_gains: NDArray[np.float32]  # [V, 3] natural log, mean 0 over the training views; 0 for test views
    spread: float  # standard deviation over the training views of the mean over the channels
    pairs_per_view: float  # median number of measurements of a view
    contradiction: float = 0.0  # root mean square of the gains minus those of the images from the nearest places
    falloff: float = 0.0  # natural log, largest of all cameras: how much the corners differ from the middle; only told


def measure_drift(scene: TrainingScene) -> ExposureDrift:
    """Gains and falloffs that explain best why points look brighter in one place of one training image than elsewhere.

    log value(view, point) = log gain(view) + falloff(camera, radius) + log colour(point), by reweighted least squares;
    gains per channel, falloffs the same for all. Test views are not looked at.
    """
    samples = _samples(scene)
    train = np.array(scene.subset("train"), int)
    cameras = cameras_of(scene.views)
    gains = np.zeros((len(scene.views), 3), np.float32)
    lenses = np.zeros((max(cameras) + 1, LENS_TERMS), np.float32)
    if not len(samples.views):
        return ExposureDrift(gains, 0.0, 0.0)
    fitted = [_fit(samples, channel, cameras, len(scene.points)) for channel in range(3)]
    gains[:] = np.stack([gain for gain, _ in fitted], axis=1)
    lenses[:] = np.mean([lens for _, lens in fitted], axis=0)
    gains[train] -= gains[train].mean(axis=0)
    counts = np.bincount(samples.views, minlength=len(scene.views))[train]
    mean = gains[train].mean(axis=1)
    smoothing = neighbours(scene, train)
    contradiction = (
        float(np.sqrt(np.mean((gains[train] - smoothing @ gains[train]) ** 2))) if len(train) > NEAREST else 0.0
    )
    return ExposureDrift(
        gains, float(mean.std()), float(np.median(counts)), contradiction, float(np.abs(lenses.sum(axis=1)).max())
    )


def cameras_of(views: tuple[View, ...]) -> list[int]:
    """By view, the number of its camera: views of one camera have the same size and intrinsics."""
    numbers: dict[tuple[object, ...], int] = {}
    return [numbers.setdefault((v.width, v.height, *np.round(v.K, 3).ravel()), len(numbers)) for v in views]


def radii(view: View, u: NDArray[np.float64], v: NDArray[np.float64]) -> NDArray[np.float64]:
    """[M] squared distance of pixels from the middle of the image; 1 in its corners."""
    half_w, half_h = view.width / 2, view.height / 2
    return np.asarray(((u - half_w) ** 2 + (v - half_h) ** 2) / (half_w**2 + half_h**2))


def neighbours(scene: TrainingScene, train: NDArray[np.intp]) -> NDArray[np.float64]:
    """[T, T] rows that take the mean over the NEAREST other training cameras by place and direction."""
    count = len(train)
    if count <= NEAREST:
        return np.zeros((count, count))
    poses = np.array([scene.views[view].world_to_camera for view in train])
    rotations, offsets = poses[:, :3, :3], poses[:, :3, 3]
    centres = -np.einsum("nji,nj->ni", rotations, offsets)
    ahead = rotations[:, 2]
    depths = np.einsum("ni,pi->np", ahead, scene.points.astype(np.float64)) + offsets[:, 2:]
    depth = float(np.median(depths[depths > 0])) if (depths > 0).any() else 1.0
    angles = np.arccos(np.clip(ahead @ ahead.T, -1.0, 1.0))
    apart = np.linalg.norm(centres[:, None] - centres[None], axis=2) / max(depth, 1e-9) + angles
    np.fill_diagonal(apart, np.inf)
    nearest = np.argsort(apart, axis=1, kind="stable")[:, :NEAREST]
    matrix = np.zeros((count, count))
    np.put_along_axis(matrix, nearest, 1 / NEAREST, axis=1)
    return matrix


@dataclass(frozen=True)
class _Samples:
    """Values at sparse points in the training images that saw them."""

    views: NDArray[np.intp]  # [M]
    points: NDArray[np.intp]  # [M]
    squared_radii: NDArray[np.float64]  # [M], 1 in the corners
    logs: NDArray[np.float64]  # [M, 3] natural log of the values 0..255


def _samples(scene: TrainingScene) -> _Samples:
    views, points, squares, logs = [], [], [], []
    for view in scene.subset("train"):
        seen = scene.sightings[scene.sightings[:, 0] == view, 1]
        camera, pixels = scene.views[view], scene.pixels[view]
        in_camera = scene.points[seen] @ camera.world_to_camera[:3, :3].T + camera.world_to_camera[:3, 3]
        ahead = in_camera[:, 2] > 1e-6
        seen, in_camera = seen[ahead], in_camera[ahead]
        u, v = (in_camera[:, :2] / in_camera[:, 2:] * camera.K[[0, 1], [0, 1]] + camera.K[:2, 2]).T
        mask = scene.mask(view)
        inside = (u >= PATCH) & (u < camera.width - PATCH) & (v >= PATCH) & (v < camera.height - PATCH)
        if mask is not None:
            inside[inside] = mask[v[inside].astype(int), u[inside].astype(int)]
        column, row = u[inside].astype(int), v[inside].astype(int)
        around = range(-PATCH, PATCH + 1)
        patches = np.array([pixels[row + dy, column + dx] for dy in around for dx in around])  # [PATCH^2, M, 3]
        values = np.asarray(np.mean(patches, axis=0, dtype=np.float64))
        usable = ((values > DARK) & (values < BRIGHT)).all(axis=1) if len(values) else np.zeros(0, bool)
        views.append(np.full(int(usable.sum()), view))
        points.append(seen[inside][usable])
        squares.append(radii(camera, u[inside][usable], v[inside][usable]))
        logs.append(np.log(values[usable]).reshape(-1, 3))
    return _Samples(*(np.concatenate(each) for each in (views, points, squares, logs)))


def _fit(
    samples: _Samples, channel: int, cameras: list[int], point_count: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Log gains [V] and falloffs [C, LENS_TERMS] of one channel. The points' colours are eliminated: a small system."""
    logs, count = samples.logs[:, channel], len(samples.logs)
    view_count, camera_count = len(cameras), max(cameras) + 1
    rows = np.arange(count)
    by_view = csr_matrix((np.ones(count), (rows, samples.views)), (count, view_count))
    of_camera = np.array(cameras)[samples.views]
    powers = [samples.squared_radii ** (term + 1) for term in range(LENS_TERMS)]
    by_lens = [
        csr_matrix((power, (rows, of_camera * LENS_TERMS + term)), (count, camera_count * LENS_TERMS))
        for term, power in enumerate(powers)
    ]
    unknowns = hstack([by_view, sum(by_lens[1:], by_lens[0])]).tocsr()
    by_point = csr_matrix((np.ones(count), (rows, samples.points)), (count, point_count))
    prior = np.full(unknowns.shape[1], PRIOR_PAIRS)
    prior[view_count:] = LENS_PRIOR_PAIRS
    weights, found = np.ones(count), np.zeros(unknowns.shape[1])
    for _ in range(ROUNDS):
        weighted = diags(weights) @ unknowns
        per_point = 1 / np.maximum(np.asarray(by_point.T @ weights), 1e-12)
        shared = (by_point.T @ weighted).tocsr()  # [N, U]
        colours = per_point * (by_point.T @ (weights * logs))
        left = (weighted.T @ unknowns).toarray() - (shared.T @ (diags(per_point) @ shared)).toarray() + np.diag(prior)
        found = np.linalg.solve(left, weighted.T @ (logs - by_point @ colours))
        rest = logs - unknowns @ found
        rest -= by_point @ (per_point * (by_point.T @ (weights * rest)))
        weights = 1 / (1 + (rest / OUTLIER) ** 2)
    return found[:view_count], found[view_count:].reshape(camera_count, LENS_TERMS)
