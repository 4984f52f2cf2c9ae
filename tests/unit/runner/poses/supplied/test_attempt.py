"""Poses that the user supplies: right ones are used and kept, wrong ones noticed; the mapper is asked only then."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pycolmap
import pytest

from runner.cache.store import CacheSettings, StageCache
from runner.context import StageContext
from runner.dataset.build import build_views
from runner.files.json_file import plain
from runner.poses.colmap.lenses.intrinsics import intrinsics
from runner.poses.find import find_poses
from runner.poses.settings import PoseSettings
from runner.poses.supplied.match import SuppliedPoses, match
from runner.poses.supplied.read import read_supplied
from runner.report.documents import cameras
from runner.scene.frames import Clip, FrameSet
from runner.scene.pose_report import PoseReport
from runner.scene.progress import SILENT
from scenejobs.errors import Code
from tests.results import RESULTS
from tests.supplied import Pose, colmap_model, transforms, write_json, write_model
from tests.synthetic import FOCAL, HEIGHT, WIDTH, pose_errors, render, walk, write_frames

SETTINGS = PoseSettings(features=300, max_image_size=320, threads=1, min_points=100)
SIZE = (WIDTH, HEIGHT)
POSES = walk(8)
NAMES = [f"images/IMG_{i:04d}.jpg" for i in range(len(POSES))]
PERMUTED = [POSES[i] for i in (4, 0, 7, 2, 5, 1, 6, 3)]


class Room:
    """Photos of the room; their features and matches are found once and then come from the cache."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._pictures = [render(*pose) for pose in POSES]
        self.cache = StageCache(CacheSettings(root / "cache", 1 << 30))

    def copy(self, name: str) -> tuple[Path, FrameSet]:
        """A workspace as the frame stage leaves it for a set of photos."""
        workspace = self._root / name
        frames = write_frames(workspace, {"photos": self._pictures})
        named = tuple(
            replace(frame, video="photos", photo=f"IMG_{frame.index:04d}.jpg", timestamp_s=float(frame.index))
            for frame in frames.frames
        )
        clips = (replace(frames.clips[0], name="photos", codec="jpeg"),)
        content = tuple((str(frame.photo), f"{frame.index:064x}") for frame in named)
        return workspace, replace(frames, frames=named, clips=clips, sources=content)

    def placed(self, workspace: Path, frames: FrameSet, *files: str) -> PoseReport:
        """With the files of poses that lie beside the frames."""
        return find_poses(
            frames, StageContext(workspace, SILENT, self.cache), SETTINGS, given(uploads(workspace), frames, *files)
        )


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Room:
    return Room(tmp_path_factory.mktemp("room"))


def uploads(workspace: Path) -> Path:
    folder = workspace / "uploads"
    folder.mkdir(exist_ok=True)
    return folder


def given(folder: Path, frames: FrameSet, *files: str) -> SuppliedPoses:
    supplied = read_supplied([Clip(name, folder / name) for name in files])
    assert supplied is not None
    return match(supplied, frames)


def off(workspace: Path, poses: list[Pose] = POSES) -> tuple[float, float]:
    """The worst camera's distance from where it truly is, in percent of the mean distance of the cameras from their
    centre, and its turn in degrees: in the world of the true cameras, without any alignment."""
    model = pycolmap.Reconstruction(str(workspace / "sparse"))
    images = sorted(model.images.values(), key=lambda image: image.name)
    found = np.array([image.projection_center() for image in images])
    true = np.array([position for position, _ in poses])
    size = np.linalg.norm(true - true.mean(axis=0), axis=1).mean()
    turns = [
        np.asarray(image.cam_from_world().rotation.matrix()) @ rotation.T
        for image, (_, rotation) in zip(images, poses, strict=True)
    ]
    angles = [np.degrees(np.arccos(np.clip((np.trace(turn) - 1) / 2, -1, 1))) for turn in turns]
    return 100 * float(np.linalg.norm(found - true, axis=1).max() / size), float(max(angles))


def focal_of(workspace: Path) -> float:
    return float(next(iter(pycolmap.Reconstruction(str(workspace / "sparse")).cameras.values())).mean_focal_length())


def nerfstudio(poses: list[Pose] = POSES, focal: float = FOCAL, **options: Any) -> Callable[[Path], Any]:
    return lambda folder: write_json(folder / "transforms.json", transforms(NAMES, poses, SIZE, focal, **options))


def colmap(kind: str) -> Callable[[Path], Any]:
    return lambda folder: write_model(folder / "sparse/0", colmap_model(NAMES, POSES, SIZE, FOCAL), kind)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("write", "files", "source"),
    [
        (nerfstudio(), ["transforms.json"], "transforms.json"),
        (colmap("bin"), ["sparse/0/cameras.bin", "sparse/0/images.bin"], "COLMAP model in sparse/0"),
        (colmap("txt"), ["sparse/0/cameras.txt", "sparse/0/images.txt"], "COLMAP model in sparse/0"),
    ],
    ids=["transforms", "colmap-bin", "colmap-txt"],
)
def test_true_cameras_are_used_as_they_are_and_nothing_is_mapped(room, tmp_path, write, files, source):
    """Their positions, turns and lens come back to within what the text keeps, in their own world; the way is called
    by the file, and the mapper was not one of the attempts. The same call again does nothing."""
    workspace, frames = room.copy(tmp_path.name)
    write(uploads(workspace))
    report = room.placed(workspace, frames, *files)
    position, angle = off(workspace)
    assert position < 1e-4
    assert angle < 1e-4
    assert focal_of(workspace) == pytest.approx(FOCAL)
    assert report.rung == f"supplied: {source}"
    assert [attempt.split(":")[0] for attempt in report.attempts] == ["supplied"]
    assert report.images_registered == len(POSES)
    assert report.supplied is not None
    assert (report.supplied["used"], report.supplied["adjusted"]) == (True, False)
    assert report.supplied["pictures_matched"] == len(POSES)
    assert report.warnings == ()
    before = (workspace / "sparse.json").stat().st_mtime_ns
    assert room.placed(workspace, frames, *files) == report
    assert (workspace / "sparse.json").stat().st_mtime_ns == before


def warned(report: PoseReport) -> str:
    """The one warning that says why supplied poses are not used."""
    (warning,) = [text for text in report.warnings if text.startswith(Code.POSES_NOT_USED)]
    return warning


@pytest.mark.slow
@pytest.mark.parametrize(
    ("write", "words"),
    [
        (nerfstudio(opengl=False), "they would fit if they were read as camera-to-world matrices in OpenCV axes"),
        (nerfstudio(PERMUTED), "which would move the cameras by"),
    ],
    ids=["axes", "scrambled"],
)
def test_cameras_that_contradict_the_pictures_are_named_and_not_used(room, tmp_path, write, words):
    """OpenCV's axes written as OpenGL's; the right cameras under each other's names, which half a pixel of error per
    point would never tell. The scene is made with poses of its own, and says so."""
    workspace, frames = room.copy(tmp_path.name)
    write(uploads(workspace))
    report = room.placed(workspace, frames, "transforms.json")
    assert words in warned(report)
    assert report.supplied is not None
    assert (report.supplied["used"], report.supplied["code"]) == (False, "POSES_NOT_USED")
    assert report.rung.startswith("exhaustive + incremental")
    assert report.attempts[0].startswith("supplied: transforms.json: no model: its poses contradict the pictures")
    assert report.images_registered == len(POSES)


@pytest.mark.slow
@pytest.mark.parametrize("lens", [1.0, 1.1])
def test_rough_cameras_are_adjusted_and_a_right_lens_stays(room, tmp_path, lens):
    """As a phone's tracking gives them, off by a degree and 3 % of the path's size: afterwards they fit the pictures,
    in their own world, and it is said how far they moved. A focal length that is 10 % off is corrected."""
    rng = np.random.default_rng(1)
    rough = []
    for position, rotation in POSES:
        turn = np.asarray(pycolmap.Rotation3d(axis_angle=rng.normal(size=3) * np.radians(0.6)).matrix())
        rough.append((position + rng.normal(size=3) * 0.02, turn @ rotation))
    workspace, frames = room.copy(f"{tmp_path.name}-{lens}")
    nerfstudio(rough, focal=lens * FOCAL)(uploads(workspace))
    report = room.placed(workspace, frames, "transforms.json")
    told = report.supplied
    assert told is not None
    assert (told["used"], told["adjusted"], told["lens_adjusted"]) == (True, True, lens > 1)
    assert focal_of(workspace) == pytest.approx(FOCAL, rel=0.03 if lens > 1 else 1e-9)
    assert 0.1 < told["moved_deg"] < 2
    assert 1 < told["moved_percent"] < 8
    assert report.mean_reprojection_error_px < 0.5 * told["error_px_as_supplied"]
    model = pycolmap.Reconstruction(str(workspace / "sparse"))
    images = sorted(model.images.values(), key=lambda image: image.name)
    positions, angles = pose_errors(
        np.array([image.projection_center() for image in images]),
        np.array([image.cam_from_world().rotation.matrix() for image in images]),
        np.array([position for position, _ in POSES]), np.array([rotation for _, rotation in POSES]),
    )  # fmt: skip
    assert (positions.max(), angles.max()) < (0.02, 0.3), "the true cameras, but for the noise of the whole world"
    assert off(workspace)[0] < 5
    assert off(workspace)[1] < 1


@pytest.mark.slow
def test_pictures_without_a_pose_are_placed_beside_the_others(room, tmp_path):
    """Those with a pose keep it to the last digits; the mapper adds the rest in the same world."""
    workspace, frames = room.copy(tmp_path.name)
    value = transforms(NAMES, POSES, SIZE, FOCAL)
    write_json(uploads(workspace) / "transforms.json", {**value, "frames": value["frames"][:6]})
    report = room.placed(workspace, frames, "transforms.json")
    assert report.images_registered == len(POSES)
    assert report.supplied is not None
    assert report.supplied["pictures_matched"] == 6
    model = pycolmap.Reconstruction(str(workspace / "sparse"))
    places = {image.name: image.projection_center() for image in model.images.values()}
    for index, (position, _) in enumerate(POSES):
        assert places[f"photos/{index:06d}.png"] == pytest.approx(position, abs=1e-9 if index < 6 else 0.05)


@pytest.mark.slow
def test_cameras_json_of_a_run_gives_the_same_cameras_to_the_next(room, tmp_path):
    """What a run without supplied poses found, as `documents.cameras` writes it: the next one has its cameras to 1e-6
    of the path's size, and its lens, distortion included, to the last digit."""
    first, frames = room.copy(f"{tmp_path.name}-first")
    second, _ = room.copy(f"{tmp_path.name}-second")
    found = find_poses(frames, StageContext(first, SILENT, room.cache), SETTINGS)
    scene = build_views(frames, StageContext(first, SILENT), 160)
    _, lenses = intrinsics(first, frames)
    write_json(
        uploads(second) / "cameras.json",
        plain(cameras(replace(RESULTS, views=scene.views, frames=frames, lenses=lenses))),
    )
    report = room.placed(second, frames, "cameras.json")
    assert report.rung == "supplied: cameras.json"
    assert report.images_registered == found.images_registered
    one, two = (pycolmap.Reconstruction(str(folder / "sparse")) for folder in (first, second))
    places = {image.name: image.projection_center() for image in one.images.values()}
    for image in two.images.values():
        assert image.projection_center() == pytest.approx(places[image.name], abs=1e-6)
    lens, same = (next(iter(model.cameras.values())) for model in (one, two))
    assert list(lens.params) == list(same.params)
    assert lens.params[3] != 0, "it has a distortion"
    # Poses in the cache are told by what was supplied: those of the first run did not answer, the same again does.
    third, _ = room.copy(f"{tmp_path.name}-third")
    (uploads(second) / "cameras.json").rename(uploads(third) / "cameras.json")
    used = room.cache.used["poses"]
    assert room.placed(third, frames, "cameras.json") == report
    assert room.cache.used["poses"] == used + 1
    # Nor is what lies in the workspace taken for what other poses would give.
    assert find_poses(frames, StageContext(third, SILENT, room.cache), SETTINGS) == found
