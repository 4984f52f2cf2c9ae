"""All of a large model is adjusted by some of its sightings: as right, and it keeps them all."""

from __future__ import annotations

import copy

import numpy as np
import pycolmap
import pytest

from runner.poses.colmap.describe import centres
from runner.poses.colmap.thinned import FEWEST, MOST, adjust_thinned, dropped, sightings
from runner.poses.repeatability import disagreement


def seen(points: int, images: int) -> np.ndarray:
    """[S, 3] every point seen by every image."""
    return np.array([(point, image, point) for point in range(points) for image in range(images)], np.int64)


def kept_by_point(sighted: np.ndarray) -> dict[int, list[int]]:
    """The images that keep each point."""
    gone = {(image, place) for image, place in dropped(sighted).tolist()}
    kept: dict[int, list[int]] = {}
    for point, image, place in sighted.tolist():
        if (image, place) not in gone:
            kept.setdefault(point, []).append(image)
    return kept


def orbit(images: int = 40, points: int = 300) -> pycolmap.Reconstruction:
    """Cameras around points that each of them sees, with noise of 0.3 px."""
    pycolmap.set_random_seed(1)
    model = pycolmap.synthesize_dataset(pycolmap.SyntheticDatasetOptions(
        num_rigs=1, num_cameras_per_rig=1, num_frames_per_rig=images, num_points3D=points,
    ))  # fmt: skip
    pycolmap.synthesize_noise(pycolmap.SyntheticNoiseOptions(point2D_stddev=0.3), model)
    return model


def shaken(model: pycolmap.Reconstruction) -> pycolmap.Reconstruction:
    """The same with cameras and points moved."""
    moved, random = copy.deepcopy(model), np.random.default_rng(0)
    for frame in moved.frames.values():
        pose = frame.rig_from_world
        frame.rig_from_world = pycolmap.Rigid3d(pose.rotation, pose.translation + 0.05 * random.standard_normal(3))
    for point in moved.points3D.values():
        point.xyz = point.xyz + 0.02 * random.standard_normal(3)
    return moved


@pytest.fixture
def options() -> pycolmap.BundleAdjustmentOptions:
    options = pycolmap.BundleAdjustmentOptions(print_summary=False)
    options.ceres.solver_options.num_threads = 1
    return options


@pytest.mark.parametrize("images", [50, 200])
def test_a_point_is_seen_by_as_many_images_however_many_frames_a_film_has(images: int) -> None:
    kept = kept_by_point(seen(2000, images))
    assert {len(of) for of in kept.values()} <= {MOST, MOST + 1}
    assert all(max(of) - min(of) > 0.8 * images for of in kept.values())  # they are far apart
    assert len({tuple(of) for of in kept.values()}) > 1  # and not in the same images for each point


def test_an_image_keeps_enough_sightings_to_be_placed() -> None:
    counts = np.bincount([image for of in kept_by_point(seen(1000, 400)).values() for image in of])
    assert counts.min() > 0.9 * FEWEST
    assert counts.max() < 1.1 * FEWEST
    lonely = np.array([(point, 10**6, point) for point in range(20)], np.int64)
    together = np.concatenate([seen(1000, 2 * MOST), lonely])
    together = together[np.argsort(together[:, 0], kind="stable")]
    assert 10**6 not in dropped(together)[:, 0]


def test_short_tracks_are_left_alone() -> None:
    assert len(dropped(seen(1000, MOST))) == 0


def test_cameras_that_were_moved_come_back_and_no_sighting_is_lost(
    options: pycolmap.BundleAdjustmentOptions,
) -> None:
    truth = orbit()
    model = shaken(truth)
    assert len(dropped(sightings(model))) > 0.5 * model.compute_num_observations()
    before = disagreement(centres(model), centres(truth))
    adjust_thinned(model, options, ())
    after = disagreement(centres(model), centres(truth))
    assert before is not None
    assert after is not None
    assert before > 0.005
    assert after < 0.1 * before
    assert model.compute_num_observations() == truth.compute_num_observations()
    model.update_point_3d_errors()
    assert model.compute_mean_reprojection_error() < 0.6  # px: the points came back too


def test_a_known_lens_stays_as_it_is(options: pycolmap.BundleAdjustmentOptions) -> None:
    model = shaken(orbit())
    (camera,) = model.cameras.values()
    camera.params = camera.params * np.array([1.01, *np.ones(len(camera.params) - 1)])
    given = camera.params.copy()
    adjust_thinned(model, options, {camera.camera_id})
    assert (model.cameras[camera.camera_id].params == given).all()
    adjust_thinned(model, options, ())
    assert (model.cameras[camera.camera_id].params != given).any()
