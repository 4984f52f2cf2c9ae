"""An image whose matches the model does not explain is taken out, and no other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pycolmap
import pytest

from runner.poses.colmap import mapping
from runner.poses.colmap.explained import LEAST_CONSISTENT, LEAST_EXPLAINED, Matches
from runner.poses.colmap.requests import MapperRun, Reconstruct
from runner.poses.repeatability import disagreement

CHANCE = 20  # matches that a wrong place explains


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "database.db"


@pytest.fixture
def right(path: Path) -> pycolmap.Reconstruction:
    """Ten cameras around 300 points, and the database of their matches; a tenth of the matches are wrong."""
    pycolmap.set_random_seed(3)
    options = pycolmap.SyntheticDatasetOptions(
        num_rigs=1, num_cameras_per_rig=1, num_frames_per_rig=10, num_points3D=300, inlier_match_ratio=0.9,
        camera_has_prior_focal_length=True,
    )  # fmt: skip
    with pycolmap.Database.open(str(path)) as database:
        return pycolmap.synthesize_dataset(options, database)


def misplace(model: pycolmap.Reconstruction, number: int) -> str:
    """Puts a camera elsewhere, as a few chance matches do: of its points those stay. Its name."""
    image = model.images[number]
    lose_points(model, number)
    pose = image.frame.rig_from_world
    image.frame.rig_from_world = pycolmap.Rigid3d(pose.rotation, pose.translation + np.array([4.0, -3.0, 5.0]))
    return str(image.name)


def lose_points(model: pycolmap.Reconstruction, number: int) -> None:
    """All but some."""
    image = model.images[number]
    kept = 0
    for index, point in enumerate(image.points2D):
        if point.has_point3D():
            kept += 1
            if kept > CHANCE:
                model.delete_observation(number, index)


def test_a_right_model_explains_its_matches(path: Path, right: pycolmap.Reconstruction) -> None:
    matches = Matches(str(path))
    found = matches.agreement(right).values()
    assert min(one.explained for one in found) > 2 * LEAST_EXPLAINED
    assert min(one.consistent for one in found) > LEAST_CONSISTENT
    assert matches.drop_contradicted(right) == ()
    assert right.num_reg_images() == 10


def test_only_the_misplaced_image_goes(path: Path, right: pycolmap.Reconstruction) -> None:
    wrong = misplace(right, 4)
    assert Matches(str(path)).drop_contradicted(right) == (wrong,)
    assert right.num_reg_images() == 9


def test_an_image_of_few_points_whose_rays_meet_stays(path: Path, right: pycolmap.Reconstruction) -> None:
    """At the end of a pan nothing has depth, and the cameras are right."""
    lose_points(right, 4)
    assert Matches(str(path)).drop_contradicted(right) == ()


def test_images_without_matches_are_not_judged(path: Path, right: pycolmap.Reconstruction) -> None:
    with pycolmap.Database.open(str(path)) as database:
        database.clear_two_view_geometries()
    assert Matches(str(path)).drop_contradicted(right) == ()


def test_a_mapping_is_answered_without_what_contradicts_it(
    path: Path, right: pycolmap.Reconstruction, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seven photos of a courtyard were right, and three at its wrong side: they passed every gate as ten."""
    truth = {image.name: tuple(image.projection_center()) for image in right.images.values()}
    wrong = {misplace(right, 4), misplace(right, 7)}
    monkeypatch.setattr(mapping, "_incrementally", lambda *_: ({0: right}, Matches(str(path)), False))
    run = MapperRun(
        database=str(path), images=str(tmp_path), output=str(tmp_path / "out"), max_runtime_s=60, fixed_lens=False,
        threads=1,
    )  # fmt: skip
    (model,) = mapping.reconstruct(Reconstruct(seed=0, run=run, mapper="incremental")).models
    assert set(model.names) == set(truth) - wrong
    left = pycolmap.Reconstruction(model.folder)
    centres = {image.name: tuple(image.projection_center()) for image in left.images.values() if image.has_pose}
    differs = disagreement(centres, truth)
    assert differs is not None
    assert differs < 0.01
