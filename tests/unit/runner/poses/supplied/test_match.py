"""Which photo or frame a supplied pose belongs to."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.poses.supplied.cameras import Lens, PosedImage
from runner.poses.supplied.match import _by_photo, match, upright
from runner.poses.supplied.read import Supplied
from runner.scene.frames import ClipInfo, Frame, FrameSet
from tests.supplied_files import SIZE, photo_set
from tests.synthetic import FOCAL, HEIGHT, WIDTH, walk


def video(name: str = "view1.mp4", count: int = 6, step: int = 10) -> FrameSet:
    info = ClipInfo(name, "view1", 100, *SIZE, 30.0, 3.3, "h264", 0)
    return FrameSet(
        (info,), tuple(Frame(f"view1/{i * step:06d}.png", name, i * step, i * step / 30, 1.0) for i in range(count))
    )


def supplied_for(*names: str, **changes: Any) -> Supplied:
    """Cameras in a row: the n-th stands at x = -n."""
    lens = Lens(*SIZE, FOCAL, FOCAL, WIDTH / 2, HEIGHT / 2)
    pose = (1.0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0)
    pictures = [PosedImage(name, lens, (*pose[:3], float(i), *pose[4:])) for i, name in enumerate(names)]
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
    own = [PosedImage(f.image, supplied_for("a").images[0].lens, (1.0, 0, 0, float(i), 0, 1, 0, 0, 0, 0, 1, 0),
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
    assert pose != supplied_for("a").images[0].pose


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


NAMES = st.lists(st.sampled_from("ab"), max_size=3).flatmap(
    lambda folders: st.sampled_from(["i", "j", "i.jpg", "i.png", "i.jpg.png"]).map(
        lambda file: "/".join([*folders, file])
    )
)


@given(st.lists(NAMES, max_size=6), st.lists(NAMES, max_size=6, unique=True))
def test_a_picture_is_the_one_photo_that_shares_most_folders_with_it(names: list[str], photos: list[str]) -> None:
    """The rule as it reads, of each with each: what the tree of folders must find."""

    def score(name: str, photo: str) -> int:
        common = 0
        for one, other in zip(reversed(name.split("/")[:-1]), reversed(photo.split("/")[:-1]), strict=False):
            if one != other:
                break
            common += 1
        return 2 * common + (name.split("/")[-1] == photo.split("/")[-1])

    def candidates(name: str) -> list[str]:
        file = name.split("/")[-1]
        exact = [photo for photo in photos if photo.split("/")[-1] == file]
        stems = {photo: Path(photo).stem for photo in photos}
        return (
            exact
            or [p for p in photos if stems[p] == file]
            or [p for p in photos if stems[p] == Path(file).stem]
            or [p for p in photos if p.split("/")[-1] == Path(file).stem]
        )

    supplied = supplied_for(*names)
    claims: dict[str, list[tuple[int, int]]] = {}
    for number, name in enumerate(names):
        found = candidates(name)
        best = max((score(name, photo) for photo in found), default=-1)
        winners = [photo for photo in found if score(name, photo) == best]
        if len(winners) == 1:
            claims.setdefault(winners[0], []).append((best, number))
    expected = {
        photo: max(claimed)[1] for photo, claimed in claims.items()
        if [score for score, _ in claimed].count(max(claimed)[0]) == 1
    }  # fmt: skip
    assert {photo: posed.pose[3] for photo, posed in _by_photo(supplied.images, photos).items()} == expected


def test_twenty_thousand_poses_of_one_name_are_walked_through_once() -> None:
    """Each could mean any of 1,000 photos; comparing each with each took 18 minutes. Counted in calls, not in time."""
    photos = [f"{number}/{'d/' * 30}IMG.jpg" for number in range(1000)]
    one = supplied_for(f"{'d/' * 30}IMG.jpg").images[0]
    calls = 0

    def count(frame: object, event: str, argument: object) -> None:
        nonlocal calls
        calls += event == "call"

    sys.setprofile(count)
    try:
        assert _by_photo([one] * 20_000, photos) == {}
    finally:
        sys.setprofile(None)
    assert calls < 500_000
