"""A scene of 150 Gaussians on pictures of 60 x 48 pixels, its cameras, and other small things that tests film."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from runner.quality.evaluate import render_view
from runner.raster import Rasterizer, parameters
from runner.scene.gaussians import SH_C0, Gaussians
from runner.scene.views import TrainingScene, View

WIDTH, HEIGHT = 60, 48  # pixels
HELD_OUT = (3, 6)  # of the ten views


def looking_at_origin(angle: float) -> NDArray[np.float64]:
    """[4, 4] world to camera, 4 units from the origin on a circle, a little above. angle: radians."""
    position = np.array([4 * np.sin(angle), -0.8, -4 * np.cos(angle)])
    forward = -position / np.linalg.norm(position)
    right = np.cross([0.0, 1.0, 0.0], forward)
    right /= np.linalg.norm(right)
    rotation = np.stack([right, np.cross(forward, right), forward])
    return np.block([[rotation, (-rotation @ position)[:, None]], [np.zeros((1, 3)), np.ones((1, 1))]])


def random_rotation(seed: int) -> NDArray[np.float64]:
    """[3, 3]"""
    q, r = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    q = q @ np.diag(np.sign(np.diag(r)))
    return q if np.linalg.det(q) > 0 else -q


def ground_truth(count: int = 150) -> Gaussians:
    """Random Gaussians in a cube of side 2 about the origin, of one colour from all sides."""
    rng = np.random.default_rng(3)
    return Gaussians(
        means=rng.uniform(-1, 1, (count, 3)).astype(np.float32),
        quats=rng.standard_normal((count, 4)).astype(np.float32),
        log_scales=np.log(rng.uniform(0.05, 0.25, (count, 3))).astype(np.float32),
        opacity_logits=rng.uniform(0, 4, count).astype(np.float32),
        sh0=rng.uniform(-1.5, 1.5, (count, 3)).astype(np.float32),
        sh_rest=np.zeros((count, 0, 3), np.float32),
    )


def tiny_scene(backend: Rasterizer) -> TrainingScene:
    """Eight training views and two between them for testing; sparse points are noisy centres of the true Gaussians."""
    truth = ground_truth()
    K = np.array([[60.0, 0, WIDTH / 2], [0, 60.0, HEIGHT / 2], [0, 0, 1]])
    views = tuple(
        View(f"a/{i}.png", "a.mp4", i / 5, WIDTH, HEIGHT, K, looking_at_origin(0.12 * i),
             "test" if i in HELD_OUT else "train")
        for i in range(10)
    )  # fmt: skip
    params = parameters.parameters(truth, backend.device)
    pixels = tuple((render_view(params, view, backend).cpu().numpy() * 255).round().astype(np.uint8) for view in views)
    rng = np.random.default_rng(0)
    return TrainingScene(
        views,
        pixels,
        points=(truth.means + rng.normal(0, 0.01, truth.means.shape)).astype(np.float32),
        colors=((0.5 + SH_C0 * truth.sh0).clip(0, 1) * 255).astype(np.uint8),
        point_errors=np.full(truth.count, 0.5, np.float32),
        track_lengths=np.full(truth.count, 5, np.int32),
    )


def blank_scene(count: int, width: int = 8, height: int = 6) -> TrainingScene:
    """Grey training pictures around the origin, and no points: for what needs views and looks at nothing in them."""
    K = np.array([[10.0, 0, width / 2], [0, 10.0, height / 2], [0, 0, 1]])
    views = tuple(
        View(f"a/{index:06d}.png", "a", float(index), width, height, K, looking_at_origin(0.3 * index), "train")
        for index in range(count)
    )
    grey = np.full((height, width, 3), 128, np.uint8)
    empty = np.zeros(0, np.float32)
    return TrainingScene(
        views, (grey,) * count, np.zeros((0, 3), np.float32), np.zeros((0, 3), np.uint8), empty, empty.astype(np.int32)
    )
