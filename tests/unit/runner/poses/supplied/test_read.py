"""Files of camera poses: what they may say, how pictures are found, and that nothing hostile gets through."""

from __future__ import annotations

import copy
import json
import math
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runner.media.settings import Limits
from runner.poses.supplied.cameras import Lens, Picture
from runner.poses.supplied.json_values import MAX_JSON_BYTES
from runner.poses.supplied.match import match, upright
from runner.poses.supplied.read import Supplied, read_supplied
from runner.scene.frames import Clip, ClipInfo, Frame, FrameSet
from runner.scene.pose_files import is_read, misplaced
from runner.worker.usable_uploads import usable_files
from scenejobs.errors import Code, InputError
from scenejobs.state.blobs import InputBlob
from tests.supplied import binary_camera, colmap_model, transforms, write_json, write_model
from tests.synthetic import FOCAL, HEIGHT, WIDTH, walk

SIZE = (WIDTH, HEIGHT)
NAMES = [f"images/IMG_{i:04d}.jpg" for i in range(5)]
POSES = walk(5)
TRANSFORMS = transforms(NAMES, POSES, SIZE, FOCAL)
COLMAP = ["sparse/0/cameras.bin", "sparse/0/images.bin"]


def read(folder: Path, *names: str) -> Supplied:
    found = read_supplied([Clip(name, folder / name) for name in names])
    assert found is not None
    return found


def read_value(folder: Path, value: Any, name: str = "transforms.json") -> Supplied:
    write_json(folder / name, value)
    return read(folder, name)


def assert_sound(supplied: Supplied) -> None:
    """What no parser may let through, whatever it was given."""
    for picture in supplied.pictures:
        rows = np.array(picture.pose).reshape(3, 4)
        assert np.isfinite(rows).all()
        assert np.allclose(rows[:, :3] @ rows[:, :3].T, np.eye(3), atol=1e-9)
        assert np.linalg.det(rows[:, :3]) > 0
        lens = picture.lens
        assert all(math.isfinite(value) for value in (lens.fx, lens.fy, lens.cx, lens.cy, lens.k1, lens.k2))
        assert min(lens.fx, lens.fy) > 0
        assert 0 < len(picture.name) <= 1024


# ---- what files say --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["transforms", "bin", "txt"])
def test_each_format_gives_the_true_cameras(tmp_path: Path, kind: str) -> None:
    """World to camera in OpenCV axes: what was the world's origin is where the true camera sees it."""
    if kind == "transforms":
        supplied = read_value(tmp_path, TRANSFORMS)
    else:
        write_model(tmp_path / "sparse/0", colmap_model(NAMES, POSES, SIZE, FOCAL), kind)
        supplied = read(tmp_path, f"sparse/0/cameras.{kind}", f"sparse/0/images.{kind}")
    assert [picture.name for picture in supplied.pictures] == NAMES
    for picture, (position, rotation) in zip(supplied.pictures, POSES, strict=True):
        rows = np.array(picture.pose).reshape(3, 4)
        assert rows[:, :3] == pytest.approx(rotation, abs=1e-9)
        assert rows[:, 3] == pytest.approx(-rotation @ position, abs=1e-9)
        assert (picture.lens.fx, picture.lens.fy, picture.lens.cx, picture.lens.cy) == (FOCAL, FOCAL, 160, 120)


def test_a_camera_that_looks_along_minus_z_in_the_file_looks_ahead(tmp_path: Path) -> None:
    """OpenGL: the identity looks along -z with y up. A point there is before the camera, one above it has y < 0."""
    frames = [{"file_path": "a.jpg", "transform_matrix": np.eye(4).tolist()}]
    (picture,) = read_value(tmp_path, {**TRANSFORMS, "frames": frames}).pictures
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
    (picture,) = read_value(tmp_path, {**common, "frames": frames}).pictures
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
    assert [blob.name for blob in usable_files("lobby", blobs, Limits())] == [
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


# ---- which picture is which ------------------------------------------------------------------------------------------


def photo_set(*names: str, size: tuple[int, int] = SIZE, turned_deg: int = 0) -> FrameSet:
    info = ClipInfo("photos", "photos", len(names), *size, 1.0, float(len(names)), "jpeg", 0)
    frames = [
        Frame(f"photos/{i:06d}.png", "photos", i, float(i), 1.0, photo=name, turned_deg=turned_deg)
        for i, name in enumerate(names)
    ]
    return FrameSet((info,), tuple(frames))


def video(name: str = "view1.mp4", count: int = 6, step: int = 10) -> FrameSet:
    info = ClipInfo(name, "view1", 100, *SIZE, 30.0, 3.3, "h264", 0)
    return FrameSet(
        (info,), tuple(Frame(f"view1/{i * step:06d}.png", name, i * step, i * step / 30, 1.0) for i in range(count))
    )


def supplied_for(*names: str, **changes: Any) -> Supplied:
    """Cameras in a row: the n-th stands at x = -n."""
    lens = Lens(*SIZE, FOCAL, FOCAL, WIDTH / 2, HEIGHT / 2)
    pose = (1.0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0)
    pictures = [Picture(name, lens, (*pose[:3], float(i), *pose[4:])) for i, name in enumerate(names)]
    return Supplied("transforms.json", tuple(replace(picture, **changes) for picture in pictures))


def matched(supplied: Supplied, frames: FrameSet) -> dict[str, float]:
    """By photo or image, which picture of the file it is."""
    names = {frame.image: frame.photo or frame.image for frame in frames.frames}
    return {names[image]: pose[3] for image, (_, pose) in match(supplied, frames).poses.items()}


def five(pattern: str) -> list[str]:
    return [pattern.format(i) for i in range(5)]


@pytest.mark.parametrize(
    ("file", "scene"),
    [
        (five("images/IMG_{}.jpg"), five("IMG_{}.jpg")),
        (five("./images/IMG_{}"), five("IMG_{}.jpg")),
        (five("IMG_{}.jpg"), five("IMG_{}.HEIC")),
        (five("images\\IMG_{}.png"), five("images/IMG_{}.png")),
        ([f"{side}/{i}.jpg" for side in ("left", "right") for i in range(5)], five("right/{}.jpg")),
        (five("/home/ann/scan/photos/IMG_{}.JPG"), five("photos/IMG_{}.JPG")),
    ],
    ids=["folder", "no extension", "other extension", "backslash", "two folders", "absolute"],
)
def test_photos_are_found_by_their_names(file: list[str], scene: list[str]) -> None:
    found = matched(supplied_for(*file), photo_set(*scene))
    first = 5.0 if len(file) == 10 else 0.0
    assert found == {name: first + i for i, name in enumerate(scene)}


@pytest.mark.parametrize(
    ("file", "scene"),
    [
        ([*five("IMG_{}.jpg"), "a/x.jpg", "b/x.jpg"], [*five("IMG_{}.jpg"), "x.jpg"]),
        ([*five("IMG_{}.jpg"), "x.jpg"], [*five("IMG_{}.jpg"), "a/x.jpg", "b/x.jpg"]),
        ([*five("IMG_{}.jpg"), "x"], [*five("IMG_{}.jpg"), "x.jpg", "x.png"]),
    ],
    ids=["two pictures, one photo", "one picture, two photos", "one stem, two photos"],
)
def test_what_could_be_two_is_neither(file: list[str], scene: list[str]) -> None:
    assert sorted(matched(supplied_for(*file), photo_set(*scene))) == five("IMG_{}.jpg")


def test_frames_of_a_video_that_another_program_took_are_not_guessed() -> None:
    """frame_00001.png may be any frame: it depends on the rate it was taken at, and where that began to count."""
    result = match(supplied_for(*(f"images/frame_{i:05d}.png" for i in range(1, 40))), video())
    assert result.poses == {}
    assert "which frame of a video images/frame_00001.png is, cannot be told" in result.problem
    assert result.advice == "upload the pictures that the poses were made for instead of the video"


def test_frames_are_found_by_the_names_that_we_gave_them() -> None:
    """A COLMAP model over the frames of a kept workspace."""
    names = [frame.image for frame in video().frames]
    assert matched(supplied_for(*(f"frames/{name}" for name in names)), video()) == {n: i for i, n in enumerate(names)}
    assert match(supplied_for(*(f"other/{name.split('/')[1]}" for name in names)), video()).poses == {}


def test_our_own_cameras_name_a_frame_by_clip_number_and_time() -> None:
    """A clip that was cut anew under the same name has other times: its frames are others."""
    frames = video()
    own = [Picture(f.image, supplied_for("a").pictures[0].lens, (1.0, 0, 0, float(i), 0, 1, 0, 0, 0, 0, 1, 0),
                   (f.video, f.index, f.timestamp_s)) for i, f in enumerate(frames.frames)]  # fmt: skip
    assert list(matched(Supplied("cameras.json", tuple(own)), frames).values()) == [0, 1, 2, 3, 4, 5]
    late = [replace(one, frame=(one.frame[0], one.frame[1], one.frame[2] + 0.4)) for one in own if one.frame]
    assert match(Supplied("cameras.json", tuple(late)), frames).poses == {}
    assert match(Supplied("cameras.json", tuple(own)), video("view2.mp4")).poses == {}


def test_poses_for_pictures_of_another_shape_are_not_used() -> None:
    result = match(supplied_for(*five("IMG_{}.jpg")), photo_set(*five("IMG_{}.jpg"), size=(320, 200)))
    assert result.poses == {}
    assert "IMG_0.jpg has 320x200 pixels upright, not 320x240" in result.problem


@pytest.mark.parametrize("turned_deg", [90, 270])
def test_poses_of_pictures_as_they_are_stored_are_turned_with_them(turned_deg: int) -> None:
    """A phone held upright stores the picture on its side, and says so; most programs that find poses do not look."""
    frames = photo_set(*five("IMG_{}.jpg"), size=(HEIGHT, WIDTH), turned_deg=turned_deg)
    poses = match(supplied_for(*five("IMG_{}.jpg")), frames).poses
    lens, pose = poses["photos/000000.png"]
    assert (lens.width, lens.height) == (HEIGHT, WIDTH)
    assert len(poses) == 5
    assert pose != supplied_for("a").pictures[0].pose


@pytest.mark.parametrize(
    ("turned_deg", "place"),
    [(0, lambda x, y: (x, y)), (90, lambda x, y: (y, 320 - x)), (180, lambda x, y: (320 - x, 240 - y)),
     (270, lambda x, y: (240 - y, x))],
)  # fmt: skip
def test_a_turned_camera_sees_each_point_where_the_turned_picture_shows_it(
    turned_deg: int, place: Callable[..., Any]
) -> None:
    """Counter-clockwise, tangential distortion included: pixels against pixels."""
    lens = Lens(320, 240, 300, 280, 170, 110, 0.05, -0.01, 0.004, -0.007)
    position, rotation = walk(3)[0]
    rows = np.hstack([rotation, (-rotation @ position)[:, None]])
    point = np.array([0.3, -0.2, 6.0, 1.0])
    turned, pose = upright(lens, tuple(rows.ravel()), turned_deg)
    expected = place(*pixel(lens, rows @ point))
    assert pixel(turned, np.array(pose).reshape(3, 4) @ point) == pytest.approx(expected, abs=1e-9)


def pixel(lens: Lens, point: np.ndarray) -> tuple[float, float]:
    """OpenCV's model (calib3d), from its documentation."""
    x, y = point[0] / point[2], point[1] / point[2]
    r2 = x * x + y * y
    radial = 1 + lens.k1 * r2 + lens.k2 * r2 * r2
    u = x * radial + 2 * lens.p1 * x * y + lens.p2 * (r2 + 2 * x * x)
    v = y * radial + lens.p1 * (r2 + 2 * y * y) + 2 * lens.p2 * x * y
    return lens.fx * u + lens.cx, lens.fy * v + lens.cy


# ---- what is refused -------------------------------------------------------------------------------------------------


def changed(**values: Any) -> dict[str, Any]:
    """The first frame with other values."""
    value = copy.deepcopy(TRANSFORMS)
    value["frames"][0] |= values
    return value


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
    ("fisheye", changed(camera_model="OPENCV_FISHEYE"), "OPENCV_FISHEYE"),
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


OWN = {"image": "a/000012.png", "video": "a.mp4", "timestamp_s": 0.4, "split": "train", "width": 320, "height": 240,
       "K": [[300.0, 0, 160], [0, 300, 120], [0, 0, 1]], "world_to_camera": np.eye(4).tolist()}  # fmt: skip


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


def test_cameras_of_an_older_version_have_an_unsure_lens(tmp_path: Path) -> None:
    (picture,) = read_value(tmp_path, [OWN], "cameras.json").pictures
    assert picture.frame == ("a.mp4", 12, 0.4)
    assert picture.lens.sure is False
    assert picture.lens.scaled(640, 480).fx == pytest.approx(600)


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
        (binary_camera(5, [1.0] * 8), IMAGE, "OPENCV_FISHEYE"),
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


def test_names_with_spaces_and_pictures_without_features_are_read(tmp_path: Path) -> None:
    (tmp_path / "cameras.txt").write_text("# Camera list\n1 SIMPLE_RADIAL 320 240 300 160 120 0.1\n")
    lines = "# Image list\n1 1 0 0 0 1 2 3 1 my photo 1.jpg\n\n2 1 0 0 0 1 2 4 1 my photo 2.jpg\n5.0 5.0 -1\n"
    (tmp_path / "images.txt").write_text(lines)
    pictures = read(tmp_path, "cameras.txt", "images.txt").pictures
    assert [picture.name for picture in pictures] == ["my photo 1.jpg", "my photo 2.jpg"]
    assert pictures[0].lens.k1 == 0.1


def test_half_a_model_is_refused_with_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"sparse/0/cameras.bin: a COLMAP model needs sparse/0/images.bin as well"):
        read(tmp_path, "sparse/0/cameras.bin")


# ---- anything at all -------------------------------------------------------------------------------------------------

FUZZ = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def read_or_refuse(folder: Path, files: dict[str, bytes]) -> None:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    try:
        supplied = read(folder, *files)
    except InputError as exc:
        assert exc.code in (Code.BAD_POSES, Code.TOO_LARGE)  # noqa: PT017
        assert len(exc.cause) < 1000  # noqa: PT017
        return
    assert_sound(supplied)
    match(supplied, photo_set(*(picture.name for picture in supplied.pictures)))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("model")
    for kind in ("bin", "txt"):
        write_model(folder, colmap_model(NAMES, POSES, SIZE, FOCAL), kind)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@FUZZ
@given(which=st.sampled_from(["bin", "txt"]), of=st.sampled_from(["cameras", "images"]), data=st.data())
def test_a_damaged_model_is_read_soundly_or_refused(
    tmp_path: Path, model: dict[str, bytes], which: str, of: str, data
) -> None:
    names = [f"cameras.{which}", f"images.{which}"]
    files = {name: bytearray(model[name]) for name in names}
    damaged = files[f"{of}.{which}"]
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(damaged) - 1))
        damaged[at : at + data.draw(st.integers(0, 8))] = data.draw(st.binary(max_size=8))
        if not damaged:
            break
    read_or_refuse(tmp_path, {name: bytes(content) for name, content in files.items()})


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)


@FUZZ
@given(key=st.sampled_from(["frames", "fl_x", "fl_y", "w", "h", "cx", "k1", "camera_angle_x", "camera_model"]),
       own=st.sampled_from(["file_path", "transform_matrix", "fl_x", "w", "p1"]), one=VALUES, two=VALUES)  # fmt: skip
def test_any_value_anywhere_in_transforms_is_read_soundly_or_refused(tmp_path: Path, key, own, one, two) -> None:
    value = copy.deepcopy(TRANSFORMS)
    value["frames"][1][own] = two
    read_or_refuse(tmp_path, {"transforms.json": json.dumps(value).encode()})
    value[key] = one
    read_or_refuse(tmp_path, {"transforms.json": json.dumps(value).encode()})


@FUZZ
@given(key=st.sampled_from([*OWN, "lens", "photo"]), value=VALUES)
def test_any_value_anywhere_in_our_cameras_is_read_soundly_or_refused(tmp_path: Path, key: str, value: Any) -> None:
    read_or_refuse(tmp_path, {"cameras.json": json.dumps([OWN, {**OWN, key: value}]).encode()})


@FUZZ
@given(st.binary(max_size=400))
def test_any_bytes_at_all_are_refused(tmp_path: Path, data: bytes) -> None:
    for name in ("transforms.json", "cameras.json"):
        read_or_refuse(tmp_path, {name: data})
    read_or_refuse(tmp_path, {"cameras.bin": data, "images.bin": data})
    read_or_refuse(tmp_path, {"cameras.txt": data, "images.txt": data})
