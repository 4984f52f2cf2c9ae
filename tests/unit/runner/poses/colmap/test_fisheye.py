"""Fisheye footage gives right cameras and pinhole views; ordinary lenses stay what they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pycolmap
import pytest
from numpy.typing import NDArray
from PIL import Image

from runner.context import StageContext
from runner.dataset.build import build_views
from runner.poses.colmap.lenses import fisheye
from runner.poses.colmap.lenses.pinhole_views import undistorted
from runner.poses.find import find_poses
from runner.poses.lens_warnings import wide_lens
from runner.poses.settings import PoseSettings
from runner.scene.progress import SILENT
from tests.synthetic import pose_errors, write_frames
from tests.wide_lenses import fisheye_rays, seen, truth, walk

WIDTH, HEIGHT = 480, 270
SETTINGS = PoseSettings(features=1024, max_image_size=480, min_points=300, threads=1)


def equidistant(width: int, height: int, across_deg: float) -> pycolmap.Camera:
    focal = width / 2 / np.radians(across_deg / 2)
    return pycolmap.Camera(
        camera_id=1, model=fisheye.MODEL, width=width, height=height, params=[focal, width / 2, height / 2, 0, 0]
    )


def pinhole_rays(camera: pycolmap.Camera) -> NDArray[np.float64]:
    v, u = np.mgrid[0 : camera.height, 0 : camera.width] + 0.5
    fx, fy, cx, cy = camera.params
    rays = np.stack([(u - cx) / fx, (v - cy) / fy, np.ones_like(u)], axis=-1)
    unit: NDArray[np.float64] = rays / np.linalg.norm(rays, axis=-1, keepdims=True)
    return unit


@pytest.mark.parametrize("across_deg", [90.0, 150.0])
def test_the_view_of_a_fisheye_is_what_a_pinhole_there_sees(across_deg: float) -> None:
    lens, pose = equidistant(640, 360, across_deg), walk(8)[3]
    view, camera = fisheye.undistorted(seen(pose, fisheye_rays(640, 360, lens.focal_length, 360)), lens)
    across = 2 * np.degrees(np.arctan(camera.width / 2 / camera.focal_length_x))
    assert across <= 110.01
    assert across == pytest.approx(min(across_deg, 110.0), abs=1.0)
    true = seen(pose, pinhole_rays(camera))
    middle = np.s_[camera.height // 4 : -camera.height // 4, camera.width // 4 : -camera.width // 4]
    ours, expected = (np.asarray(Image.fromarray(image).convert("L"), float)[middle] for image in (view, true))
    assert np.corrcoef(ours.ravel(), expected.ravel())[0, 1] > 0.9


@pytest.mark.parametrize("model", ["SIMPLE_PINHOLE", "PINHOLE", "SIMPLE_RADIAL", "RADIAL", "OPENCV"])
def test_an_ordinary_lens_is_no_fisheye_and_colmap_undistorts_it(model: str) -> None:
    lens = pycolmap.Camera.create_from_model_name(1, model, 500.0, 640, 360)
    assert not fisheye.is_fisheye(lens)
    picture = np.random.default_rng(0).integers(0, 255, (360, 640, 3)).astype(np.uint8)
    options = pycolmap.UndistortCameraOptions(blank_pixels=0.0)
    view, camera = undistorted(options, picture, lens)
    expected, pinhole = pycolmap.undistort_image(options, pycolmap.Bitmap.from_array(picture), lens)
    assert (camera.width, camera.height) == (pinhole.width, pinhole.height)
    assert np.array_equal(camera.params, pinhole.params)
    assert camera.width == pytest.approx(640, abs=1)
    assert np.array_equal(view, expected.to_array())


@pytest.mark.parametrize("model", ["SIMPLE_RADIAL_FISHEYE", "RADIAL_FISHEYE", "OPENCV_FISHEYE"])
def test_a_fisheye_is_one(model: str) -> None:
    assert fisheye.is_fisheye(pycolmap.Camera.create_from_model_name(1, model, 500.0, 640, 360))


def test_what_a_lens_sees_is_said_and_what_none_can_see_is_impossible() -> None:
    assert fisheye.seen_deg(equidistant(960, 540, 150)) == pytest.approx(150)
    assert fisheye.focal_ratio(equidistant(960, 540, 150)) == pytest.approx(0.5 / np.tan(np.radians(55)))
    assert fisheye.focal_ratio(equidistant(480, 480, 240)) == 0.0


def test_an_ordinary_lens_that_is_described_as_a_fisheye_keeps_its_angle_and_its_edges() -> None:
    """tan(t) = t + t^3/3 + 2 t^5/15 + ...: k1 and k2 can bend a fisheye until it is a pinhole."""
    focal = 500.0
    lens = pycolmap.Camera(
        camera_id=1, model=fisheye.MODEL, width=640, height=360, params=[focal, 320, 180, 1 / 3, 2 / 15]
    )
    assert fisheye.seen_deg(lens) == pytest.approx(2 * np.degrees(np.arctan(320 / focal)), abs=0.3)
    assert fisheye.focal_ratio(lens) == pytest.approx(focal / 640, rel=0.01)
    picture = np.broadcast_to(np.linspace(0, 255, 640).astype(np.uint8)[None, :, None], (360, 640, 3))
    view, camera = fisheye.undistorted(picture, lens)
    assert camera.width == pytest.approx(640, abs=6)
    assert camera.height == pytest.approx(360, abs=6)
    row = view[180, :, 0].astype(int)
    assert row[0] < row[8] < row[-9] < row[-1], "nothing beyond the picture is shown"
    assert wide_lens(fisheye.seen_deg(lens)) == ()


def test_a_lens_of_150_degrees_is_found_by_trial(tmp_path: Path) -> None:
    """SIMPLE_RADIAL places all of these frames as well, 20 degrees off, and passes every gate on the lens."""
    poses = walk(14)
    rays = fisheye_rays(WIDTH, HEIGHT, WIDTH / 2 / np.radians(75), 360)
    frames = write_frames(tmp_path, {"wide": [seen(pose, rays) for pose in poses]})
    context = StageContext(tmp_path, SILENT)
    report = find_poses(frames, context, SETTINGS)
    assert report.images_registered == len(poses)
    assert any("150 degrees" in warning and "110 are used" in warning for warning in report.warnings)
    views = build_views(frames, context, 240).views
    found, true = np.stack([view.world_to_camera for view in views]), np.stack(truth(poses))
    centres = [-np.einsum("nji,nj->ni", each[:, :3, :3], each[:, :3, 3]) for each in (found, true)]
    positions, degrees = pose_errors(centres[0], found[:, :3, :3], centres[1], true[:, :3, :3])
    assert np.median(positions) < 0.01
    assert np.median(degrees) < 0.5
    assert views[0].width / views[0].K[0, 0] == pytest.approx(2 * np.tan(np.radians(55)), rel=0.02)


@pytest.mark.parametrize(("focal_ratio", "is_asked"), [(0.5, True), (2.435, False)], ids=["wide lens", "long lens"])
def test_the_bend_of_a_long_lens_does_not_ask_for_a_fisheye(tmp_path, focal_ratio, is_asked):
    """Both k1 were found: that of an equidistant lens of 120 degrees, and of templeRing's lens, whose edges it moves
    by 1.3 %. A fisheye was mapped for it, of which no picture of 24 degrees can tell anything."""
    database = tmp_path / "database.db"
    pycolmap.Database.open(str(database)).close()
    model = pycolmap.Reconstruction()
    params = [640 * focal_ratio, 240, 320, -0.313]
    model.add_camera_with_trivial_rig(
        pycolmap.Camera(camera_id=1, model="SIMPLE_RADIAL", width=480, height=640, params=params)
    )
    assert fisheye.may_be_fisheye([model], str(database)) is is_asked
