"""The extra score: a held-out camera that is wrong finds back to its picture; the honest score stays what it was."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from runner.quality.evaluate import evaluate
from runner.quality.refined_views import score_refined
from runner.raster import Rasterizer, rasterizer
from runner.scene.views import TrainingScene
from tests.tiny_scene import HELD_OUT, ground_truth, tiny_scene


@pytest.fixture(scope="module")
def backend() -> Rasterizer:
    return rasterizer("cpu")


@pytest.fixture(scope="module")
def shaken(backend: Rasterizer) -> TrainingScene:
    """The tiny scene with its held-out cameras turned by a degree, which is about a pixel."""
    scene = tiny_scene(backend)
    views, places, sightings, at = list(scene.views), ground_truth().means.astype(np.float64), [], []
    for index in HELD_OUT:
        pose = scene.views[index].world_to_camera
        local = places @ pose[:3, :3].T + pose[:3, 3]
        at.append(local[:, :2] / local[:, 2:])
        sightings.append(np.stack([np.full(len(places), index), np.arange(len(places))], axis=1))
        turn = np.eye(4)
        turn[:3, :3] = Rotation.from_rotvec(np.radians([0.6, -0.7, 0.4])).as_matrix()
        views[index] = replace(views[index], world_to_camera=turn @ pose)
    return replace(
        scene, views=tuple(views), points=places.astype(np.float32),
        sightings=np.concatenate(sightings).astype(np.int32), seen_at=np.concatenate(at).astype(np.float32),
    )  # fmt: skip


def test_a_held_out_camera_finds_back_to_its_picture(shaken: TrainingScene, backend: Rasterizer) -> None:
    """The Gaussians are the true ones: only the cameras are wrong, and a right one leaves rounding alone."""
    honest = evaluate(ground_truth(), shaken, backend).test.psnr
    extra = score_refined(ground_truth(), shaken, backend)
    assert honest is not None
    assert extra.psnr is not None
    assert honest < 30
    assert extra.psnr > honest + 10
    assert [view.image for view in extra.views] == [shaken.views[index].image for index in HELD_OUT]
    assert evaluate(ground_truth(), shaken, backend).test.psnr == honest, "nothing was moved for good"


def test_a_camera_that_no_points_hold_stays(shaken: TrainingScene, backend: Rasterizer) -> None:
    untracked = replace(shaken, sightings=shaken.sightings[:0], seen_at=shaken.seen_at[:0])
    assert score_refined(ground_truth(), untracked, backend) == evaluate(ground_truth(), untracked, backend).test
