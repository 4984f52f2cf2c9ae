"""Features of enlarged pictures, held against those that COLMAP finds in the same ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pycolmap
import pytest
from PIL import Image
from scipy.spatial import cKDTree

from runner.poses.colmap.features.enlarged import SHARE, Limits, find_enlarged, write_enlarged
from tests.synthetic import render, walk

ALL = Limits(features=20_000, max_image_size=1000, contrast=1.0)  # more features than the picture has


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("picture") / "view.png"
    Image.fromarray(render(*walk(1)[0], size=(320, 240), focal=290.0)).save(path)
    return path


def of_colmap(picture: Path, folder: Path, max_image_size: int = 1000) -> tuple[np.ndarray, np.ndarray]:
    options = pycolmap.FeatureExtractionOptions(max_image_size=max_image_size, num_threads=1, use_gpu=False)
    options.sift.max_num_features, options.sift.first_octave = ALL.features, -1
    database = folder / f"{max_image_size}.db"
    pycolmap.extract_features(
        str(database), str(picture.parent), image_names=[picture.name], extraction_options=options
    )  # fmt: skip
    with pycolmap.Database.open(str(database)) as opened:
        return np.asarray(opened.read_keypoints(1)), np.asarray(opened.read_descriptors(1).data)


@pytest.mark.parametrize("max_image_size", [1000, 240])
def test_places_scales_and_descriptors_are_those_of_colmap(picture, tmp_path, max_image_size):
    keypoints, descriptors = of_colmap(picture, tmp_path, max_image_size)
    found = find_enlarged(picture, None, ALL._replace(max_image_size=max_image_size))
    distance, nearest = cKDTree(keypoints[:, :2]).query(found.keypoints[:, :2])
    same = distance < 0.1
    assert same.mean() > 0.9  # COLMAP keeps those too whose place does not come to rest, so it has more
    shift = (found.keypoints[same, :2] - keypoints[nearest[same], :2]).mean(axis=0)
    assert np.abs(shift).max() < 0.01  # a quarter of a pixel with OpenCV's usual way to enlarge
    scales = np.hypot(keypoints[nearest[same], 2], keypoints[nearest[same], 4])
    assert np.median(np.abs(np.log(found.keypoints[same, 2] / scales))) < 0.01
    apart = np.linalg.norm(descriptors[nearest[same]].astype(float) - found.descriptors[same], axis=1)
    assert np.median(apart) < 0.2 * 512  # matching calls up to 0.7 alike; of another order they are 0.7 and more


def test_the_largest_are_kept_a_quarter_more_than_the_limit(picture):
    everything = find_enlarged(picture, None, ALL).keypoints[:, 2]
    found = find_enlarged(picture, None, ALL._replace(features=100)).keypoints[:, 2]
    np.testing.assert_array_equal(found, np.sort(everything)[::-1][: round(100 * SHARE)])


def test_a_lower_threshold_finds_weaker_ones_too(picture, tmp_path):
    with Image.open(picture) as image:
        dim = (np.asarray(image) * 0.1).astype(np.uint8)
    Image.fromarray(dim).save(tmp_path / "dim.png")
    usual, lower = (find_enlarged(tmp_path / "dim.png", None, ALL._replace(contrast=of)) for of in (1.0, 0.5))
    assert len(lower.keypoints) > 1.2 * len(usual.keypoints) > 0


def test_nothing_is_found_where_the_mask_is_black(picture, tmp_path):
    used = np.zeros((240, 320), np.uint8)
    used[:, 160:] = 255
    Image.fromarray(used).save(tmp_path / "mask.png")
    everything, found = (find_enlarged(picture, mask, ALL).keypoints for mask in (None, tmp_path / "mask.png"))
    assert found[:, 0].min() >= 160
    assert len(found) == (everything[:, 0] >= 160).sum()


@pytest.mark.parametrize("threads", [-1, 1, 2])
def test_a_picture_of_nothing_has_none_and_says_so_in_the_database(tmp_path, threads):
    Image.new("RGB", (64, 48), (128, 128, 128)).save(tmp_path / "grey.png")
    database = tmp_path / "database.db"
    pycolmap.Database.open(str(database)).close()
    pycolmap.import_images(str(database), str(tmp_path), image_names=["grey.png"])
    write_enlarged(str(database), tmp_path, None, ["grey.png"], ALL, threads)
    with pycolmap.Database.open(str(database)) as opened:
        assert opened.exists_keypoints(1)
        assert opened.num_descriptors_for_image(1) == 0


def test_what_cannot_be_read_is_named(tmp_path):
    (tmp_path / "torn.png").write_bytes(b"no picture")
    with pytest.raises(OSError, match=r"torn\.png"):
        find_enlarged(tmp_path / "torn.png", None, ALL)
