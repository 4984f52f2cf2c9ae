"""Images that the mapper leaves out are placed with fewer points, and only where the model stays what it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pycolmap
import pytest

from runner.poses.colmap import left_out, mapping
from runner.poses.colmap.explained import Matches
from runner.poses.colmap.left_out import with_left_out
from runner.poses.colmap.requests import MapperRun, Reconstruct
from runner.poses.repeatability import disagreement

BETWEEN = 22  # points that join the groups: more than two views need to fit, fewer than the mapper wants of an image


@pytest.fixture(scope="module")
def two_groups(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, tuple[float, ...]]]:
    """A database of 14 cameras around 400 points whose two groups of seven share one pair of images, with few points;
    and where the cameras are."""
    path = tmp_path_factory.mktemp("groups") / "database.db"
    pycolmap.set_random_seed(1)
    options = pycolmap.SyntheticDatasetOptions(
        num_rigs=1, num_cameras_per_rig=1, num_frames_per_rig=14, num_points3D=400, camera_has_prior_focal_length=True
    )
    with pycolmap.Database.open(str(path)) as database:
        truth = pycolmap.synthesize_dataset(options, database)
        noise = pycolmap.SyntheticNoiseOptions(point2D_stddev=0.3)
        pycolmap.synthesize_noise(noise, truth, database)
        images = sorted(image.image_id for image in database.read_all_images())
        first, second = set(images[:7]), set(images[7:])
        pairs, geometries = database.read_two_view_geometries()
        for pair, geometry in zip(pairs, geometries, strict=True):
            one, two = pycolmap.pair_id_to_image_pair(pair)
            if {one, two} <= first or {one, two} <= second:
                continue
            database.delete_two_view_geometry(one, two)
            if (one, two) == (images[6], images[7]):
                geometry.inlier_matches = geometry.inlier_matches[:BETWEEN]
                database.write_two_view_geometry(one, two, geometry)
    return path, centres(truth)


def centres(model: pycolmap.Reconstruction) -> dict[str, tuple[float, ...]]:
    return {image.name: tuple(image.projection_center()) for image in model.images.values() if image.has_pose}


def run_of(database: Path, output: Path) -> MapperRun:
    return MapperRun(
        database=str(database), images=str(database.parent), output=str(output), max_runtime_s=60, fixed_lens=False,
        threads=1,
    )  # fmt: skip


def test_groups_that_few_points_join_become_one_model_with_right_cameras(
    two_groups: tuple[Path, dict[str, tuple[float, ...]]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mapper by itself ends with half of the images: without this the scene would be made of them."""
    database, truth = two_groups
    with monkeypatch.context() as alone:
        alone.setattr(mapping, "with_left_out", lambda found, *_: found)
        halves = mapping.reconstruct(
            Reconstruct(seed=0, run=run_of(database, tmp_path / "halves"), mapper="incremental")
        )
    assert sorted(len(model.names) for model in halves.models) == [7, 7]

    found = mapping.reconstruct(Reconstruct(seed=0, run=run_of(database, tmp_path / "whole"), mapper="incremental"))
    (whole,) = found.models
    assert set(whole.names) == set(truth)
    differs = disagreement(centres(pycolmap.Reconstruction(whole.folder)), truth)
    assert differs is not None
    assert differs < 0.02  # of the mean distance from the centre; the points are 0.3 px off


def test_what_puts_known_cameras_elsewhere_is_not_taken(
    two_groups: tuple[Path, dict[str, tuple[float, ...]]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database, _ = two_groups
    options = mapping.mapper_options(run_of(database, tmp_path), seed=0)
    (tmp_path / "found").mkdir()
    found = pycolmap.incremental_mapping(str(database), str(tmp_path), str(tmp_path / "found"), options)
    real = pycolmap.incremental_mapping

    def elsewhere(*args: Any, **options: Any) -> dict[int, pycolmap.Reconstruction]:
        """Grown, with the cameras of the second group at places of their own."""
        models: dict[int, pycolmap.Reconstruction] = real(*args, **options)
        scattered = np.random.default_rng(0)
        for frame in models[0].frames.values():
            pose = frame.rig_from_world
            frame.rig_from_world = pycolmap.Rigid3d(pose.rotation, pose.translation + scattered.normal(size=3) * 5)
        return models

    monkeypatch.setattr(left_out.pycolmap, "incremental_mapping", elsewhere)
    assert (
        with_left_out(found, options, run_of(database, tmp_path), Matches(str(database)), tmp_path / "again") is found
    )


def test_a_model_that_nothing_else_hangs_together_with_is_not_mapped_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Blurred frames of a film fit nothing: another adjustment of the whole model would be for nothing."""
    path = tmp_path / "database.db"
    pycolmap.set_random_seed(2)
    options = pycolmap.SyntheticDatasetOptions(num_rigs=1, num_cameras_per_rig=1, num_frames_per_rig=10)
    with pycolmap.Database.open(str(path)) as database:
        truth = pycolmap.synthesize_dataset(options, database)
        lonely = max(truth.images)
        for other in truth.images:
            if other != lonely:
                database.delete_two_view_geometry(other, lonely)
    truth.deregister_frame(truth.images[lonely].frame_id)
    found = {0: truth}
    monkeypatch.setattr(left_out.pycolmap, "incremental_mapping", pytest.fail)
    run = run_of(path, tmp_path)
    assert with_left_out(found, mapping.mapper_options(run, 0), run, Matches(str(path)), tmp_path / "again") is found
