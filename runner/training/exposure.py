"""Exposure that drifts while filming: measured on the sparse points, decided by one number, learned per image.

A phone changes its exposure as it turns to a window, and every clip starts at another one. Gaussians cannot follow;
they answer with haze before the cameras and with colours that depend on where one stands. So each training image
gets a gain and a bias per channel of its own, between the rendering and the loss. They begin at what the sparse points
say, are learned with the Gaussians, and are left behind at the end: the scene has the mean exposure of its images.

Values are on the sRGB scale of the images, where a gain of the light by g is a gain of about g^(1/2.2).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from torch import Tensor

from runner.scene.views import TrainingScene

CONTRADICTION_MIN = 0.04  # contradiction of the log gains; below, compensation gained nothing or cost up to 4 dB
NEAREST = 3  # images from about the same place, that an image's exposure is compared with
MIN_PAIRS_PER_VIEW = 30  # median over the views; fewer do not tell exposure from noise
DARK, BRIGHT = 12.0, 243.0  # of 255: beyond, the sensor's or the curve's ends hide the gain
PATCH = 2  # pixels around a point that are averaged: poses are good to a pixel
ROUNDS = 8  # of reweighted least squares
OUTLIER = 0.05  # log units; residuals far above it (occluders, highlights) lose their weight
PRIOR_PAIRS = 1.0  # weight of "no drift", as if one point had said so

RATE = 2e-3  # Adam, per visit of an image; falls to RATE_FINAL of it over the plan
RATE_FINAL = 0.1
ANCHOR_WEIGHT = 0.01  # weight of the squared distance to what was measured; images alone leave the overall gain open
BETA1, BETA2, EPS = 0.9, 0.99, 1e-8


@dataclass(frozen=True)
class ExposureDrift:
    """What the sparse points say about the exposures of the training images."""

    log_gains: NDArray[np.float32]  # [V, 3] natural log, mean 0 over the training views; 0 for test views
    spread: float  # standard deviation over the training views of the mean over the channels
    pairs_per_view: float  # median number of measurements of a view
    contradiction: float = 0.0  # standard deviation of the gains from those of the images from the nearest places


def measure_drift(scene: TrainingScene) -> ExposureDrift:
    """Gains that explain best why points look brighter in one training image than in another.

    log value(view, point) = log gain(view) + log colour(point), per channel, by reweighted least squares. Test views
    are not looked at.
    """
    views, points, logs = _samples(scene)
    train = np.array(scene.subset("train"), int)
    gains = np.zeros((len(scene.views), 3), np.float32)
    if not len(views):
        return ExposureDrift(gains, 0.0, 0.0)
    for channel in range(3):
        gains[:, channel] = _gains(views, points, logs[:, channel], len(scene.views), len(scene.points))
    gains[train] -= gains[train].mean(axis=0)
    counts = np.bincount(views, minlength=len(scene.views))[train]
    mean = gains[train].mean(axis=1)
    return ExposureDrift(gains, float(mean.std()), float(np.median(counts)), _contradiction(scene, train, mean))


def should_compensate(mode: str, drift: ExposureDrift) -> bool:
    """Whether to learn exposures. mode: "auto" | "on" | "off".

    Exposure that depends on where the camera stands is learned as view-dependent colour, and compensation would take it
    from images that have it right: on one orbit with a spread of 0.11 it cost 4.1 dB, 0.6 dB of them after exposure
    correction. What Gaussians cannot follow is two exposures from one place.
    """
    if mode == "auto":
        return drift.contradiction >= CONTRADICTION_MIN and drift.pairs_per_view >= MIN_PAIRS_PER_VIEW
    return mode == "on"


class Exposures:
    """Log gain and bias per view and channel, learned one view at a time, without reading anything back."""

    def __init__(self, drift: ExposureDrift, device: torch.device) -> None:
        measured = np.stack([drift.log_gains, np.zeros_like(drift.log_gains)], axis=1)  # [V, 2, 3]
        self._measured = torch.tensor(measured, dtype=torch.float32, device=device)
        self.values = self._measured.clone()  # [V, 2, 3] log gain, bias
        self._first, self._second = torch.zeros_like(self.values), torch.zeros_like(self.values)
        self._visits = torch.zeros(len(self.values), device=device)
        self._leaf: Tensor | None = None
        self._view = -1

    def apply(self, image: Tensor, view: int) -> Tensor:
        """The rendering [H, W, 3] as image `view` was exposed; remembers what `step` needs."""
        self._leaf, self._view = self.values[view].clone().requires_grad_(), view
        return image * torch.exp(self._leaf[0]) + self._leaf[1]

    @torch.no_grad()
    def step(self, share: float, factor: float = 1.0) -> None:
        """One Adam step of the view that was applied last. share: of the plan; factor: of the rate."""
        leaf, view = self._leaf, self._view
        if leaf is None or leaf.grad is None:
            raise ValueError("there is no gradient: call apply(), then backward()")
        self._leaf, grad = None, leaf.grad
        grad = grad + 2 * ANCHOR_WEIGHT * (self.values[view] - self._measured[view])
        self._visits[view] += 1
        first = self._first[view].lerp_(grad, 1 - BETA1) / (1 - BETA1 ** self._visits[view])
        second = self._second[view].lerp_(grad * grad, 1 - BETA2) / (1 - BETA2 ** self._visits[view])
        self.values[view] -= factor * RATE * RATE_FINAL**share * first / (second.sqrt() + EPS)

    def state_dict(self) -> dict[str, Tensor]:
        return {"values": self.values, "first": self._first, "second": self._second, "visits": self._visits}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        for name, own in self.state_dict().items():
            own.copy_(state[name])


def _contradiction(scene: TrainingScene, train: NDArray[np.intp], gains: NDArray[np.float32]) -> float:
    """Root mean square of each gain minus the mean of those of the NEAREST cameras by place and direction."""
    if len(train) <= NEAREST:
        return 0.0
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
    return float(np.sqrt(np.mean((gains - gains[nearest].mean(axis=1)) ** 2)))


def _samples(scene: TrainingScene) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]:
    """Views [M], points [M] and log values [M, 3] at the points the sparse model saw in the training images."""
    views, points, logs = [], [], []
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
        logs.append(np.log(values[usable]).reshape(-1, 3))
    return np.concatenate(views), np.concatenate(points), np.concatenate(logs)


def _gains(
    views: NDArray[np.intp], points: NDArray[np.intp], logs: NDArray[np.float64], view_count: int, point_count: int
) -> NDArray[np.float64]:
    """[view_count] of the fit. The colours of the points are eliminated, so the system has one row per view."""
    weights = np.ones(len(logs))
    gains = np.zeros(view_count)
    for _ in range(ROUNDS):
        shape = (view_count, point_count)
        by_pair = csr_matrix((weights, (views, points)), shape=shape)
        per_point = np.maximum(np.asarray(by_pair.sum(axis=0)).ravel(), 1e-12)
        per_view = np.asarray(by_pair.sum(axis=1)).ravel()
        colours = np.bincount(points, weights * logs, point_count) / per_point
        right = np.bincount(views, weights * (logs - colours[points]), view_count)
        scaled = by_pair.multiply(1 / per_point[None]).tocsr()
        left = np.diag(per_view + PRIOR_PAIRS) - (scaled @ by_pair.T).toarray()
        gains = np.linalg.solve(left, right)
        colours += np.bincount(points, -weights * gains[views], point_count) / per_point
        residuals = logs - gains[views] - colours[points]
        weights = 1 / (1 + (residuals / OUTLIER) ** 2)
    return gains
