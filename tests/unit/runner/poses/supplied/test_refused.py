"""Files of camera poses that cannot be true are refused with their place, and what they may do to a log is nothing."""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runner.poses.supplied.json_values import MAX_JSON_BYTES
from scenejobs.errors import Code, InputError
from tests.supplied import binary_camera
from tests.supplied_files import COLMAP, OWN, TRANSFORMS, changed, read, read_value


def matrix(rows: np.ndarray) -> dict[str, Any]:
    turned = np.eye(4)
    turned[:3, :3] = rows
    return changed(transform_matrix=turned.tolist())


BAD: list[tuple[str, Any, str]] = [
    ("empty", b"", "this is no JSON"),
    ("cut off", json.dumps(TRANSFORMS).encode()[:-20], "line 1"),
    ("deep", b"[" * 100_000, "this is no JSON that can be read"),
    ("nan", json.dumps(changed(fl_x=math.nan)).encode(), "NaN is no number"),
    ("infinite", json.dumps(changed(fl_x=math.inf)).encode(), "Infinity is no number"),
    ("large", b'{"frames": [{"file_path": "a", "transform_matrix": [[1e999]]}]}', "no matrix"),
    ("digits", b'{"w": ' + b"9" * 5000 + b"}", "this is no JSON that can be read"),
    ("no text", b"\xff\xfe\x00", "this is no JSON"),
    ("list", [], 'no list "frames"'),
    ("no frames", {**TRANSFORMS, "frames": []}, "names no picture"),
    ("frames", {**TRANSFORMS, "frames": {"0": 1}}, 'no list "frames"'),
    ("many", {**TRANSFORMS, "frames": [0] * 20_001}, "20,000 are allowed"),
    ("frame", {**TRANSFORMS, "frames": ["a.jpg"]}, "frame 1: it is no object"),
    ("name", changed(file_path=7), "file_path is no name"),
    ("long name", changed(file_path="a" * 2000), "file_path is no name"),
    ("matrix", changed(transform_matrix=[[1, 0, 0]]), "transform_matrix is no matrix"),
    ("words", changed(transform_matrix=[["a"] * 4] * 4), "transform_matrix is 'a'"),
    ("true", changed(transform_matrix=[[True] * 4] * 4), "transform_matrix is True"),
    ("last row", changed(transform_matrix=[*np.eye(4)[:3].tolist(), [0, 0, 1, 1]]), "the last row"),
    ("mirrored", matrix(np.diag([1.0, 1, -1])), "mirrors the world"),
    ("scaled", matrix(2 * np.eye(3)), "scales by 2"),
    ("sheared", matrix(np.array([[1, 0.2, 0], [0, 1, 0], [0, 0, 1]])), "no rotation"),
    ("flat", matrix(np.zeros((3, 3))), "no rotation"),
    ("far", changed(transform_matrix=[[1, 0, 0, 1e9], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]), "a number up to"),
    ("no lens", {"frames": TRANSFORMS["frames"]}, "neither fl_x nor camera_angle_x"),
    ("focal", changed(fl_x=-300), "not positive"),
    ("centre", changed(cx=900), "lies outside"),
    ("size", changed(w=0.5), "a whole number of pixels"),
    ("angle", {"camera_angle_x": 0, "frames": TRANSFORMS["frames"]}, "camera_angle_x is 0"),
    ("fisheye", changed(camera_model="THIN_PRISM_FISHEYE"), "THIN_PRISM_FISHEYE"),
    ("k3", changed(k3=0.1), "k3"),
]


@pytest.mark.parametrize(("value", "words"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_a_file_that_cannot_be_true_is_refused_with_its_place(tmp_path: Path, value: Any, words: str) -> None:
    (tmp_path / "transforms.json").write_bytes(value if isinstance(value, bytes) else json.dumps(value).encode())
    with pytest.raises(InputError) as caught:
        read(tmp_path, "transforms.json")
    assert caught.value.code is Code.BAD_POSES
    assert words in caught.value.cause
    assert caught.value.cause.startswith("transforms.json")
    assert caught.value.advice


def test_the_frame_and_its_name_are_told_and_can_do_no_harm_in_a_log(tmp_path: Path) -> None:
    value = changed(file_path="a\x1b[2J\u202e" + "b" * 500, fl_x=0)
    with pytest.raises(InputError, match=r"transforms.json, frame 1 \(a\\x1b\[2J\\u202eb+\.\.\.\)") as caught:
        read_value(tmp_path, value)
    assert len(caught.value.cause) < 300


@pytest.mark.parametrize("name", ["transforms.json", "cameras.json"])
def test_a_file_that_is_too_large_is_not_even_read(tmp_path: Path, name: str) -> None:
    with (tmp_path / name).open("wb") as file:
        file.truncate(MAX_JSON_BYTES + 1)
    with pytest.raises(InputError) as caught:
        read(tmp_path, name)
    assert caught.value.code is Code.TOO_LARGE


def test_the_cameras_json_of_a_trainer_is_told_from_ours(tmp_path: Path) -> None:
    entry = {"id": 0, "img_name": "a", "width": 9, "height": 9, "position": [0, 0, 0], "rotation": [], "fx": 1, "fy": 1}
    with pytest.raises(InputError, match="of a 3DGS trainer"):
        read_value(tmp_path, [entry], "cameras.json")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"image": "a/../b.png"}, "not called by the number"),
        ({"video": None}, "video is no name"),
        ({"timestamp_s": "now"}, "timestamp_s"),
        ({"world_to_camera": np.diag([1.0, 1, -1, 1]).tolist()}, "mirrors"),
        ({"lens": {"model": "FOV", "width": 1, "height": 1, "params": []}}, "FOV"),
        ({"lens": {"model": "PINHOLE", "width": 320, "height": 240, "params": [300]}}, "PINHOLE has 4 parameters"),
        ({"lens": [1]}, "lens is not described"),
        ({"K": 5}, "K is no matrix"),
    ],
)
def test_a_camera_of_ours_that_we_would_not_write_is_refused(
    tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    with pytest.raises(InputError, match=r"cameras\.json, camera 1") as caught:
        read_value(tmp_path, [{**OWN, **change}], "cameras.json")
    assert words in caught.value.cause


IMAGE = struct.pack("<QI7dI", 1, 1, 1, 0, 0, 0, 0, 0, 0, 1) + b"a.jpg\0" + struct.pack("<Q", 0)
CAMERA = binary_camera(1, [300, 300, 160, 120])


@pytest.mark.parametrize(
    ("cameras", "images", "words"),
    [
        (b"", IMAGE, "the file ends in the middle"),
        (struct.pack("<Q", 1 << 60), IMAGE, "20,000 are allowed"),
        (CAMERA[:-1], IMAGE, "camera 1: the file ends"),
        (CAMERA + b"x", IMAGE, "more in it than its count says"),
        (binary_camera(77, []), IMAGE, "no camera model 77"),
        (binary_camera(6, [1.0] * 12), IMAGE, "FULL_OPENCV"),
        (binary_camera(1, [math.nan, 300, 160, 120]), IMAGE, "fx is nan"),
        (binary_camera(1, [300, 300, 160, 120], width=1 << 40), IMAGE, "the width"),
        (CAMERA, IMAGE[:-1], "image 1 (a.jpg): the file ends"),
        (CAMERA, IMAGE[:-8] + struct.pack("<Q", 1 << 62), "ends before its features do"),
        (CAMERA, IMAGE[:-8] + struct.pack("<Q", 5), "ends before its features do"),
        (CAMERA, IMAGE.replace(b"a.jpg\0", b"a" * 5000), "its name does not end"),
        (CAMERA, IMAGE.replace(b"a.jpg", b"\xff\xfe"), "decode"),
        (CAMERA, struct.pack("<QI7dI", 1, 1, 2, 0, 0, 0, 0, 0, 0, 1) + IMAGE[72:], "the quaternion has length 2"),
        (CAMERA, struct.pack("<QI7dI", 1, 1, 1, 0, 0, 0, 0, 0, 0, 9) + IMAGE[72:], "there is no camera 9"),
        (CAMERA, struct.pack("<QI7dI", 1, 1, 1, 0, 0, 0, math.inf, 0, 0, 1) + IMAGE[72:], "further away"),
        (CAMERA, struct.pack("<Q", 0), "names no picture"),
    ],
)
def test_a_binary_model_that_cannot_be_true_is_refused(
    tmp_path: Path, cameras: bytes, images: bytes, words: str
) -> None:
    (tmp_path / "sparse/0").mkdir(parents=True)
    for name, data in zip(COLMAP, (cameras, images), strict=True):
        (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError) as caught:
        read(tmp_path, *COLMAP)
    assert caught.value.code is Code.BAD_POSES
    assert words in caught.value.cause


@pytest.mark.parametrize(
    ("cameras", "images", "words"),
    [
        ("1 PINHOLE 320 240 300 300 160\n", "", "line 1: PINHOLE has 4 parameters"),
        ("# a\n\n1 PINHOLE 320 240 300 300 160 x\n", "", "line 3"),
        ("1 PINHOLE 320 240 300 300 160 120\n", "1 1 0 0 0 0 0 0 1\n\n", "line 1: ten values"),
        ("1 PINHOLE 320 240 300 300 160 120\n", "# x\n1 1 0 0 0 0 0 nan 1 a.jpg\n\n", "line 2"),
        ("1 PINHOLE 320 240 300 300 160 120\n", "1 1 0 0 0 0 0 0 ٣ a.jpg\n\n", "line 1"),
        ("1 PINHOLE 320 240 300 300 160 120\n", "\n" * 90_001, "more than 90,000 lines"),  # 2 GiB took 11 minutes
        ("1 PINHOLE 320 240 300 300 160 120\n", "# a comment\n" * 90_001, "more than 90,000 lines"),
        (" \n" * 90_001, "", "more than 90,000 lines"),
    ],
)
def test_a_text_model_that_cannot_be_true_is_refused_with_its_line(
    tmp_path: Path, cameras: str, images: str, words: str
) -> None:
    (tmp_path / "cameras.txt").write_text(cameras)
    (tmp_path / "images.txt").write_text(images)
    with pytest.raises(InputError) as caught:
        read(tmp_path, "cameras.txt", "images.txt")
    assert caught.value.code is Code.BAD_POSES
    assert words in caught.value.cause


def test_half_a_model_is_refused_with_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"sparse/0/cameras.bin: a COLMAP model needs sparse/0/images.bin as well"):
        read(tmp_path, "sparse/0/cameras.bin")
