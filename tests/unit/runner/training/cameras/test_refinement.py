"""Cameras that are refined find back, leave the scene where it is, and come through a state whole."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.linalg import expm
from scipy.spatial.transform import Rotation

from runner.raster import Rasterizer
from runner.scene.camera_motion import seen_by
from runner.scene.geometry import camera_centre, camera_positions
from runner.scene.views import TrainingScene
from runner.training.cameras.refinement import RefinedCameras
from runner.training.cameras.result import moved
from runner.training.cameras.tracks import Tracks
from scenejobs.errors import Interrupted
from tests.tiny_scene import ground_truth, looking_at_origin
from tests.trainings import SETTINGS, fields_equal, run_training, saved_state, stopping_after

CPU = torch.device("cpu")
ON = replace(SETTINGS, pose_refinement="on", exposure="off")


@pytest.fixture(scope="module")
def tracked(scene: TrainingScene) -> TrainingScene:
    """The tiny scene; each view saw each of its true points, exactly where it is."""
    places = ground_truth().means.astype(np.float64)
    sightings = np.stack(np.meshgrid(np.arange(len(scene.views)), np.arange(len(places)), indexing="ij"), -1)
    local = [places @ view.world_to_camera[:3, :3].T + view.world_to_camera[:3, 3] for view in scene.views]
    at = np.concatenate([each[:, :2] / each[:, 2:] for each in local])
    return replace(scene, sightings=sightings.reshape(-1, 2).astype(np.int32), seen_at=at.astype(np.float32))


def shaken(scene: TrainingScene, seed: int = 0) -> TrainingScene:
    """Training cameras turned by half a degree and moved by 0.02 of 4 units from the middle: about a pixel each."""
    rng, views = np.random.default_rng(seed), list(scene.views)
    for index in scene.subset("train"):
        motion = np.eye(4)
        motion[:3, :3] = Rotation.from_rotvec(np.radians(0.5) * rng.normal(size=3)).as_matrix()
        motion[:3, 3] = 0.02 * rng.normal(size=3)
        views[index] = replace(views[index], world_to_camera=motion @ views[index].world_to_camera)
    return replace(scene, views=tuple(views))


def error_px(scene: TrainingScene, truth: TrainingScene) -> float:
    """How far from their true places the training cameras show the points, pixels, mean."""
    places, apart = ground_truth().means.astype(np.float64), []
    for index in truth.subset("train"):
        shown = []
        for view in (scene.views[index], truth.views[index]):
            local = places @ view.world_to_camera[:3, :3].T + view.world_to_camera[:3, 3]
            shown.append(view.K[0, 0] * local[:, :2] / local[:, 2:])
        apart.append(np.linalg.norm(shown[0] - shown[1], axis=1).mean())
    return float(np.mean(apart))


def test_moved_cameras_find_back_and_the_held_out_ones_stay(tracked: TrainingScene, backend: Rasterizer) -> None:
    wrong = shaken(tracked)
    result = run_training(wrong, ON, backend)
    found = result.scene_of(wrong)
    assert error_px(found, tracked) < 0.5 * error_px(wrong, tracked)
    for index in tracked.subset("test"):
        assert np.array_equal(found.views[index].world_to_camera, wrong.views[index].world_to_camera)
    told = moved(wrong, result.cameras)
    assert told is not None
    assert told["cameras"] == len(tracked.subset("train"))
    assert 0.1 < told["moved_deg"] <= told["largest_deg"] < 5


def test_without_refinement_or_without_tracks_no_camera_moves(tracked: TrainingScene, backend: Rasterizer) -> None:
    short = replace(ON, iterations=20)
    assert run_training(tracked, replace(short, pose_refinement="off"), backend).cameras == {}
    untracked = replace(tracked, seen_at=tracked.seen_at[:0])
    assert run_training(untracked, short, backend).scene_of(untracked) is untracked
    assert moved(tracked, {}) is None


@pytest.mark.parametrize("seed", range(3))
def test_what_moves_the_whole_world_is_taken_out_of_the_motions(tracked: TrainingScene, seed: int) -> None:
    """Random gradients; the motion of all cameras has no part along one that only shows the same scene elsewhere."""
    rng, train = np.random.default_rng(seed), tracked.subset("train")
    eta = np.zeros((4, 4))
    eta[:3, :3] = 1e-6 * np.cross(np.eye(3), rng.normal(size=3))
    eta[:3, 3] = 1e-6 * rng.normal(size=3)
    middle, growth = camera_positions([tracked.views[index] for index in train]).mean(axis=0), 1e-6 * rng.normal()
    elsewhere = []
    for index in train:
        pose = tracked.views[index].world_to_camera
        moved_pose = pose @ expm(-eta)
        moved_pose[:3, 3] -= growth * moved_pose[:3, :3] @ (camera_centre(pose) - middle)
        change = moved_pose @ np.linalg.inv(pose)
        xi = np.array([change[2, 1], change[0, 2], change[1, 0], *change[:3, 3]])
        seen = seen_by(tracked, index)
        assert seen is not None
        elsewhere.append(np.linalg.solve(seen.motions, xi))
    cameras = RefinedCameras(tracked, CPU)
    for step in range(40):
        pull = torch.from_numpy(rng.normal(size=(4, 4)))
        (cameras.pose(int(rng.choice(train))) * pull).sum().backward()
        cameras.step(step / 40)
    motions, gauge = cameras.values["pixels"].numpy().ravel(), np.concatenate(elsewhere)
    assert np.linalg.norm(motions) > 0.5, "they did move"
    assert abs(motions @ gauge) < 1e-5 * np.linalg.norm(motions) * np.linalg.norm(gauge)


def test_points_go_to_where_the_cameras_saw_them(tracked: TrainingScene) -> None:
    truth, train = ground_truth().means.astype(np.float64), tracked.subset("train")
    seen = {index: found for index in train if (found := seen_by(tracked, index)) is not None}
    tracks = Tracks(seen, CPU)
    points = torch.from_numpy(truth + np.random.default_rng(1).normal(0, 0.05, truth.shape))
    poses = torch.from_numpy(np.stack([tracked.views[index].world_to_camera for index in seen]))
    first = float((points - torch.from_numpy(truth)).abs().mean())
    for _ in range(12):
        tracks.move_points(points, poses)
    assert float((points - torch.from_numpy(truth)).abs().mean()) < 0.02 * first
    far = points.clone()
    tracks.move_points(points, poses)
    assert torch.allclose(points, far, atol=1e-3), "they stay there"


def test_a_stop_with_refined_cameras_continues_to_the_same_bytes(
    tracked: TrainingScene, backend: Rasterizer, tmp_path: Path
) -> None:
    wrong = shaken(tracked)
    whole = run_training(wrong, ON, backend)
    with pytest.raises(Interrupted):
        run_training(wrong, ON, backend, stopping_after(16), folder=tmp_path)
    assert np.abs(saved_state(tmp_path).arrays["cameras/pixels"]).max() > 0.1
    resumed = run_training(wrong, ON, backend, folder=tmp_path)
    assert resumed.resumed_at != ()
    assert fields_equal(whole.gaussians, resumed.gaussians)
    assert all(np.array_equal(whole.cameras[image], resumed.cameras[image]) for image in whole.cameras)
    again = run_training(wrong, ON, backend, folder=tmp_path)  # finished: only what it came to is read
    assert all(np.array_equal(whole.cameras[image], again.cameras[image]) for image in whole.cameras)


def test_where_points_were_seen_belongs_to_the_training(
    tracked: TrainingScene, backend: Rasterizer, tmp_path: Path
) -> None:
    short = replace(ON, iterations=20)
    run_training(tracked, short, backend, folder=tmp_path)
    other = replace(tracked, seen_at=tracked.seen_at + np.float32(0.001))
    assert run_training(other, short, backend, folder=tmp_path).resumed_at == ()


def test_a_single_training_camera_cannot_move(tracked: TrainingScene) -> None:
    """All of its motions are the gauge's."""
    views = [replace(view, split="test") for view in tracked.views]
    views[0] = replace(views[0], split="train", world_to_camera=looking_at_origin(0.01))
    cameras = RefinedCameras(replace(tracked, views=tuple(views)), CPU)
    (cameras.pose(0) - torch.eye(4, dtype=torch.float64)).square().sum().backward()
    cameras.step(0.5)
    assert np.allclose(cameras.poses()["a/0.png"], views[0].world_to_camera, atol=1e-9)
