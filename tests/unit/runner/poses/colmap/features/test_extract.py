"""Features: pictures are enlarged only where that gives features that are kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pycolmap
import pytest
from PIL import Image

from runner.poses.colmap.features import extract as features
from runner.poses.colmap.features.enlarged import Limits, find_enlarged
from runner.poses.colmap.requests import SCRATCH, Extract, Group, Source
from tests.synthetic import render, walk

FEW, MANY = 60, 20_000  # fewer than the pictures have at their own size; more than they have at all


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, tuple[str, ...]]:
    folder = tmp_path_factory.mktemp("pictures")
    names = tuple(f"{number}.png" for number in range(5))
    for name, pose in zip(names, walk(5), strict=True):
        Image.fromarray(render(*pose, size=(240, 180), focal=220.0)).save(folder / name)
    return folder, names


def extracted(
    folder: Path, database: Path, names: tuple[str, ...], wanted: int, enough: float = 1.0
) -> dict[str, int]:  # fmt: skip
    source = Source(database=str(database), images=str(folder), camera_model="SIMPLE_RADIAL")
    groups = (Group(names=names, focal_ratio=0.9),)
    request = Extract(
        seed=0, source=source, groups=groups, features=wanted, max_image_size=1000, sensitive=False, threads=1,
        enough=enough,
    )  # fmt: skip
    return features.extract(request).features


def plain(folder: Path, database: Path, names: tuple[str, ...], wanted: int) -> None:
    """What COLMAP finds at the pictures' own size."""
    options = pycolmap.FeatureExtractionOptions(max_image_size=1000, num_threads=1, use_gpu=False)
    options.sift.max_num_features, options.sift.first_octave = wanted, 0
    pycolmap.extract_features(str(database), str(folder), image_names=list(names), extraction_options=options)


def enlarged(folder: Path, name: str, wanted: int) -> np.ndarray:
    return find_enlarged(folder / name, None, Limits(wanted, 1000, 1.0)).descriptors


def descriptors(database: Path, name: str) -> np.ndarray:
    with pycolmap.Database.open(str(database)) as opened:
        return np.asarray(opened.read_descriptors(opened.read_image_with_name(name).image_id).data)


def test_pictures_are_enlarged_where_they_have_too_few_features_otherwise(pictures, tmp_path):
    folder, names = pictures
    found = extracted(folder, tmp_path / "ours.db", names, MANY)
    for name in names:
        np.testing.assert_array_equal(descriptors(tmp_path / "ours.db", name), enlarged(folder, name, MANY))
        assert found[name] == len(enlarged(folder, name, MANY))


def test_pictures_with_enough_features_at_their_own_size_are_not_enlarged(pictures, tmp_path):
    folder, names = pictures
    found = extracted(folder, tmp_path / "ours.db", names, FEW)
    plain(folder, tmp_path / "plain.db", names, FEW)
    for name in names:
        np.testing.assert_array_equal(descriptors(tmp_path / "ours.db", name), descriptors(tmp_path / "plain.db", name))
        assert found[name] == len(descriptors(tmp_path / "plain.db", name))
    assert not (tmp_path / SCRATCH).exists()


@pytest.mark.parametrize("large", [240, 241])
def test_a_large_picture_with_enough_of_the_wanted_features_is_not_enlarged_for_the_rest(
    pictures, tmp_path, monkeypatch, large
):
    monkeypatch.setattr(features, "LARGE", large)  # the pictures have 240 px
    folder, names = pictures
    own = extracted(folder, tmp_path / "few.db", names, FEW)  # reached without enlarging
    wanted = 2 * max(own.values())
    plain(folder, tmp_path / "plain.db", names, wanted)
    at_own_size = {name: len(descriptors(tmp_path / "plain.db", name)) for name in names}
    with_enlarging = {name: len(enlarged(folder, name, wanted)) for name in names}
    some = min(own.values()) / wanted
    assert extracted(folder, tmp_path / "all.db", names, wanted) == with_enlarging
    expected = at_own_size if large == 240 else with_enlarging
    assert extracted(folder, tmp_path / "some.db", names, wanted, some) == expected


def test_a_single_picture_with_too_few_is_enlarged_beside_others(pictures, tmp_path):
    folder, names = pictures
    with Image.open(folder / names[0]) as image:
        grey = Image.new("RGB", image.size, (128, 128, 128))
        grey.paste(image.crop((0, 0, 70, 70)), (0, 0))
    grey.save(folder / "grey.png")
    mixed = (*names, "grey.png")
    extracted(folder, tmp_path / "ours.db", mixed, FEW)
    plain(folder, tmp_path / "own.db", names, FEW)
    np.testing.assert_array_equal(
        descriptors(tmp_path / "ours.db", names[2]), descriptors(tmp_path / "own.db", names[2])
    )
    np.testing.assert_array_equal(
        descriptors(tmp_path / "ours.db", "grey.png"), enlarged(folder, "grey.png", FEW)
    )  # fmt: skip


def test_an_image_of_another_size_is_left_out_of_the_answer(pictures, tmp_path):
    """One camera has one size. The stage sees by the missing count that something is wrong, and says so."""
    folder, names = pictures
    Image.new("RGB", (100, 80)).save(folder / "smaller.png")
    assert set(extracted(folder, tmp_path / "ours.db", (*names, "smaller.png"), MANY)) == set(names)


def test_what_is_there_already_stays_with_its_camera(pictures, tmp_path):
    folder, names = pictures
    first = extracted(folder, tmp_path / "ours.db", names[:2], FEW)
    again = extracted(folder, tmp_path / "ours.db", names, FEW)
    assert {name: again[name] for name in names[:2]} == first
    with pycolmap.Database.open(str(tmp_path / "ours.db")) as opened:
        assert [camera.camera_id for camera in opened.read_all_cameras()] == [1]
        assert [image.name for image in opened.read_all_images()] == list(names)
        assert opened.read_all_cameras()[0].has_prior_focal_length
