"""What files of camera poses say, and which of them is read."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pycolmap
import pytest

from runner.media.settings import Limits
from runner.poses.supplied.cameras import Lens
from runner.scene.inputs.pose_files import is_read, misplaced
from runner.worker.usable_uploads import usable_files
from scenejobs.state.blobs import InputBlob
from tests.supplied import colmap_model, write_json, write_model
from tests.supplied_files import COLMAP, NAMES, OWN, POSES, SIZE, TRANSFORMS, read, read_value
from tests.synthetic import FOCAL


@pytest.mark.parametrize("kind", ["transforms", "bin", "txt"])
def test_each_format_gives_the_true_cameras(tmp_path: Path, kind: str) -> None:
    """World to camera in OpenCV axes: what was the world's origin is where the true camera sees it."""
    if kind == "transforms":
        supplied = read_value(tmp_path, TRANSFORMS)
    else:
        write_model(tmp_path / "sparse/0", colmap_model(NAMES, POSES, SIZE, FOCAL), kind)
        supplied = read(tmp_path, f"sparse/0/cameras.{kind}", f"sparse/0/images.{kind}")
    assert [picture.name for picture in supplied.images] == NAMES
    for picture, (position, rotation) in zip(supplied.images, POSES, strict=True):
        rows = np.array(picture.pose).reshape(3, 4)
        assert rows[:, :3] == pytest.approx(rotation, abs=1e-9)
        assert rows[:, 3] == pytest.approx(-rotation @ position, abs=1e-9)
        assert (picture.lens.fx, picture.lens.fy, picture.lens.cx, picture.lens.cy) == (FOCAL, FOCAL, 160, 120)


def test_a_camera_that_looks_along_minus_z_in_the_file_looks_ahead(tmp_path: Path) -> None:
    """OpenGL: the identity looks along -z with y up. A point there is before the camera, one above it has y < 0."""
    frames = [{"file_path": "a.jpg", "transform_matrix": np.eye(4).tolist()}]
    (picture,) = read_value(tmp_path, {**TRANSFORMS, "frames": frames}).images
    rows = np.array(picture.pose).reshape(3, 4)
    assert rows @ [0, 1, -4, 1] == pytest.approx([0, -1, 4])


LENSES: list[tuple[dict[str, Any], dict[str, Any], Lens]] = [
    ({"fl_x": 500, "w": 640, "h": 480}, {}, Lens(640, 480, 500, 500, 320, 240)),
    ({"fl_x": 500, "fl_y": 510, "cx": 300, "cy": 250, "w": 640, "h": 480, "k1": 0.1, "k2": -0.02,
      "p1": 1e-3, "p2": 2e-3}, {}, Lens(640, 480, 500, 510, 300, 250, 0.1, -0.02, 1e-3, 2e-3)),
    ({"fl_x": 500, "w": 640, "h": 480}, {"fl_x": 250, "w": 320, "h": 240}, Lens(320, 240, 250, 250, 160, 120)),
    ({"camera_angle_x": math.pi / 2, "w": 640, "h": 480}, {}, Lens(640, 480, 320, 320, 320, 240)),
    ({"camera_angle_x": math.pi / 2}, {}, Lens(0, 0, 0.5, 0.5, 0.5, 0.5, sure=False)),
    ({"fl_x": 500, "cx": 320, "cy": 240}, {}, Lens(640, 480, 500, 500, 320, 240)),
]  # fmt: skip


@pytest.mark.parametrize(("common", "own", "expected"), LENSES)
def test_the_lens_of_a_frame_is_its_own_then_that_of_the_file(tmp_path: Path, common, own, expected) -> None:
    frames = [{**TRANSFORMS["frames"][0], **own}]
    (picture,) = read_value(tmp_path, {**common, "frames": frames}).images
    for name in ("width", "height", "fx", "fy", "cx", "cy", "k1", "k2", "p1", "p2", "sure"):
        assert getattr(picture.lens, name) == pytest.approx(getattr(expected, name)), name


def test_a_lens_without_a_size_is_that_of_the_picture() -> None:
    lens = Lens(0, 0, 0.5, 0.5, 0.5, 0.5).scaled(800, 600)
    assert (lens.fx, lens.fy, lens.cx, lens.cy) == (400, 400, 400, 300)


def test_the_files_that_are_read_are_in_fixed_places() -> None:
    assert [is_read(name) for name in ("transforms.json", "cameras.json", "sparse/0/cameras.bin", "images.txt")] == [
        True
    ] * 4
    assert [
        is_read(name) for name in ("a/transforms.json", "sparse/1/cameras.bin", "../cameras.bin", "points3D.bin")
    ] == [False] * 4
    blobs = [InputBlob(f"lobby/{name}", "e", 5) for name in ("a.mp4", "sparse/0/images.bin", "b/cameras.json")]
    assert [blob.name for blob in usable_files("lobby", blobs, Limits()).files] == [
        "lobby/a.mp4",
        "lobby/sparse/0/images.bin",
    ]


def test_files_of_poses_that_lie_where_none_are_read_are_named_with_the_place_where_they_would_be() -> None:
    others = ("transforms.json", "sparse/0/cameras.bin", "cameras.txt", "a.mp4", "a/points3D.bin", "a/x.json")
    assert misplaced(others) == ()
    assert misplaced(["poses/transforms.json", *others, "dense/sparse/images.bin", "sparse/1/cameras.bin"]) == (
        "no camera poses are read from poses/transforms.json: "
        "transforms.json and cameras.json are read at the top of the scene only",
        "no camera poses are read from dense/sparse/images.bin, sparse/1/cameras.bin: "
        "a COLMAP model is read from sparse/0/, sparse/, colmap/sparse/0/ or the top of the scene",
    )


def test_many_misplaced_files_and_hostile_names_make_one_readable_warning() -> None:
    (warning,) = misplaced(f"{i}\n\u202e{'long' * 100}/cameras.json" for i in range(1000))
    assert "... and 996 more: transforms.json" in warning
    assert warning.isprintable()
    assert len(warning) < 600


def test_of_several_sources_one_is_taken_and_the_others_are_named(tmp_path: Path) -> None:
    write_model(tmp_path / "sparse/0", colmap_model(NAMES, POSES, SIZE, FOCAL), "bin")
    write_json(tmp_path / "transforms.json", {"frames": "not even looked at"})
    supplied = read(tmp_path, *COLMAP, "transforms.json")
    assert supplied.source == "COLMAP model in sparse/0"
    assert supplied.warnings == ("camera poses are taken from COLMAP model in sparse/0, not from transforms.json",)


def test_cameras_of_an_older_version_have_an_unsure_lens(tmp_path: Path) -> None:
    (picture,) = read_value(tmp_path, [OWN], "cameras.json").images
    assert picture.frame == ("a.mp4", 12, 0.4)
    assert picture.lens.sure is False
    assert picture.lens.scaled(640, 480).fx == pytest.approx(600)


def test_names_with_spaces_and_pictures_without_features_are_read(tmp_path: Path) -> None:
    (tmp_path / "cameras.txt").write_text("# Camera list\n1 SIMPLE_RADIAL 320 240 300 160 120 0.1\n")
    lines = "# Image list\n1 1 0 0 0 1 2 3 1 my photo 1.jpg\n\n2 1 0 0 0 1 2 4 1 my photo 2.jpg\n5.0 5.0 -1\n"
    (tmp_path / "images.txt").write_text(lines)
    images = read(tmp_path, "cameras.txt", "images.txt").images
    assert [posed.name for posed in images] == ["my photo 1.jpg", "my photo 2.jpg"]
    assert images[0].lens.k1 == 0.1


@pytest.mark.parametrize("words", [{"camera_model": "OPENCV_FISHEYE"}, {"is_fisheye": True}])
def test_fisheye_lenses_are_known(tmp_path: Path, words: dict[str, Any]) -> None:
    """nerfstudio and instant-ngp name them in different ways; k3 and k4 belong to them."""
    picture = read_value(tmp_path, {**TRANSFORMS, **words, "k1": 0.1, "k3": 0.02, "k4": -0.01}).images[0]
    assert picture.lens.fisheye
    assert (picture.lens.k1, picture.lens.k3, picture.lens.k4) == (0.1, 0.02, -0.01)
    assert picture.lens.scaled(640, 480).fisheye
    turned = picture.lens.turned()
    assert (turned.fisheye, turned.k3, turned.width) == (True, 0.02, picture.lens.height)


def test_a_colmap_model_with_a_fisheye_is_read(tmp_path: Path) -> None:
    model = colmap_model(NAMES, POSES, SIZE, FOCAL)
    for camera in model.cameras.values():
        camera.model = pycolmap.CameraModelId.OPENCV_FISHEYE
        camera.params = [FOCAL, FOCAL, SIZE[0] / 2, SIZE[1] / 2, 0.01, 0.0, 0.002, 0.0]
    write_model(tmp_path / "sparse/0", model, "bin")
    lens = read(tmp_path, "sparse/0/cameras.bin", "sparse/0/images.bin").images[0].lens
    assert (lens.fisheye, lens.k1, lens.k3) == (True, 0.01, 0.002)
