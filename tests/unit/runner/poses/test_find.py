"""Camera poses: right ones for a known room, a clear refusal for a hopeless one, and no way to take the job down."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pycolmap
import pytest

from runner.context import StageContext
from runner.poses.find import find_poses
from runner.poses.settings import PoseSettings
from runner.scene.progress import SILENT, Progress
from scenejobs.errors import Code, InputError, RunnerError
from scenejobs.filming import AS_RECORDED
from tests.stamps import bent
from tests.synthetic import FOCAL, WIDTH, pose_errors, render, walk, write_frames

SETTINGS = PoseSettings(features=600, max_image_size=320, threads=1, min_points=200)


def errors_of(workspace: Path, poses) -> tuple[np.ndarray, np.ndarray, float]:
    """Position and pairwise rotation errors against the true poses, and the focal length in px."""
    model = pycolmap.Reconstruction(str(workspace / "sparse"))
    images = sorted(model.images.values(), key=lambda image: image.name)
    found = np.array([image.projection_center() for image in images])
    rotations = np.array([image.cam_from_world().rotation.matrix() for image in images])
    true = np.array([position for position, _ in poses])
    positions, angles = pose_errors(found, rotations, true, np.array([rotation for _, rotation in poses]))
    return positions, angles, next(iter(model.cameras.values())).mean_focal_length()


@pytest.mark.slow
@pytest.mark.parametrize("exhaustive_up_to", [150, 8])
def test_a_known_room_gets_its_poses_back(tmp_path, exhaustive_up_to):
    """By all pairs, and by the most alike ones where there are too many frames for that: positions
    within 1 % of the path's size (worst 2 %; a wrong model is off by 20 and more), rotations within 0.3 degrees, focal
    length within 2 %. The same call again does nothing."""
    poses = walk(12)
    frames = write_frames(tmp_path, {"a": [render(*pose) for pose in poses]})
    reports = []
    settings = replace(SETTINGS, exhaustive_up_to=exhaustive_up_to)
    report = find_poses(frames, StageContext(tmp_path, Progress(emit=reports.append)), settings)
    assert report.images_registered == 12
    assert report.unregistered == ()
    assert len(report.attempts) == 1
    assert report.rung.startswith("exhaustive" if exhaustive_up_to == 150 else "preselected")
    positions, angles, focal = errors_of(tmp_path, poses)
    assert np.median(positions) < 0.01
    assert positions.max() < 0.02
    assert np.median(angles) < 0.3
    assert focal == pytest.approx(FOCAL, rel=0.02)
    assert report.health.focal_ratio == pytest.approx(focal / WIDTH)
    fractions = [step.fraction for step in reports]
    assert fractions == sorted(fractions)
    assert not (tmp_path / "sfm").exists()
    assert find_poses(frames, StageContext(tmp_path, SILENT), settings) == report


@pytest.mark.slow
def test_one_thread_gives_the_same_poses_to_the_last_bit(tmp_path):
    """With more threads the sums of a bundle adjustment are added in another order: the last digits may differ."""
    pictures = [render(*pose) for pose in walk(10)]
    reports = []
    for folder in ("one", "two"):
        frames = write_frames(tmp_path / folder, {"a": pictures})
        reports.append(find_poses(frames, StageContext(tmp_path / folder, SILENT), SETTINGS))
    assert reports[0] == reports[1]


@pytest.mark.slow
def test_the_global_mapper_too_gives_every_part_and_the_largest_is_the_scene(tmp_path):
    """Since COLMAP 4.2 it returns a model for each part; before, only one of them was known to be there."""
    room = [render(*pose) for pose in walk(10)]
    elsewhere = [render(*pose, seed=7) for pose in walk(7)]
    frames = write_frames(tmp_path, {"elsewhere": elsewhere, "room": room})
    report = find_poses(frames, StageContext(tmp_path, SILENT), replace(SETTINGS, mapper="global"))
    assert report.joined == ("room.mp4",)
    assert report.images_registered == 10
    assert "and 1 separate parts" in report.attempts[0]
    assert "elsewhere.mp4 could not be placed" in report.warnings[0]


@pytest.mark.slow
def test_a_clip_from_another_place_is_left_out_with_a_warning(tmp_path):
    room = [render(*pose) for pose in walk(10)]
    elsewhere = [render(*pose, seed=7) for pose in walk(4)]
    frames = write_frames(tmp_path, {"room": room, "elsewhere": elsewhere})
    report = find_poses(frames, StageContext(tmp_path, SILENT), SETTINGS)
    assert report.images_registered == 10
    assert all(name.startswith("elsewhere/") for name in report.unregistered)
    assert "elsewhere.mp4" in report.warnings[0]
    assert report.joined == ("room.mp4",)
    assert report.left_out == ("elsewhere.mp4 0.0-0.6 s (4 frames)",)


@pytest.mark.slow
def test_frames_without_features_are_refused_before_any_is_matched(tmp_path):
    """By clip and time, and with nothing left that looks like a result."""
    frames = write_frames(tmp_path, {"a": [np.full((240, 320, 3), 90 + i, np.uint8) for i in range(12)]})
    with pytest.raises(InputError) as caught:
        find_poses(frames, StageContext(tmp_path, SILENT), SETTINGS)
    assert caught.value.code == Code.NO_DETAIL
    assert "12 of 12 frames" in caught.value.cause
    assert "a.mp4 0.0-2.2 s" in caught.value.cause
    assert not (tmp_path / "sparse.json").exists()


@pytest.mark.slow
@pytest.mark.parametrize("px", [0.0, 4.0])
def test_a_scene_without_cameras_says_whether_its_pictures_are_bent(px, tmp_path):
    """Asked for more points than there are, so that nothing passes; after the second way the time is over."""
    settings = replace(SETTINGS, min_points=20_000, budget_s=1.0)
    pictures = [render(*pose) for pose in walk(14)]
    change = bent(px, 2.0)
    frames = write_frames(tmp_path, {"a": [change(picture, number) for number, picture in enumerate(pictures)]})
    with pytest.raises((InputError, RunnerError)) as caught:
        find_poses(frames, StageContext(tmp_path, SILENT), settings)
    assert ("the pictures of a.mp4 are bent" in caught.value.cause) == (px > 0)
    assert (caught.value.advice == AS_RECORDED) == (px > 0)
