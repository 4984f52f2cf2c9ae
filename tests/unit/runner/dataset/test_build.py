"""Training views: the undistorted picture, its camera and the points agree with each other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pycolmap
import pytest
from PIL import Image

from runner.context import StageContext
from runner.dataset.build import build_views, load_views
from runner.poses.colmap.lenses.undistort import scaled_intrinsics
from runner.scene.frames import ClipInfo, Frame, FrameSet
from runner.scene.masks import clip_mask, write_mask
from runner.scene.progress import SILENT
from scenejobs.errors import RunnerError

SIZE = (320, 240)  # width, height of the frames
POINTS = np.array([[0.0, 0.0, 4.0], [0.8, -0.5, 4.0], [-0.9, 0.6, 5.0], [0.5, 0.7, 6.0]])


@pytest.fixture
def scene(tmp_path) -> FrameSet:
    """Twelve frames of a camera with barrel distortion that slides sideways past four white dots, and its COLMAP model.

    The dots are drawn where COLMAP's own camera model projects the points."""
    model = pycolmap.Reconstruction()
    camera = pycolmap.Camera(
        model="SIMPLE_RADIAL", width=SIZE[0], height=SIZE[1], params=[260.0, 160.0, 120.0, -0.12], camera_id=1
    )
    model.add_camera_with_trivial_rig(camera)
    colors = [(255, 255, 255), (250, 240, 230), (200, 210, 220), (90, 80, 70)]
    numbers = [
        model.add_point3D(xyz, pycolmap.Track(), np.array(color, np.uint8))
        for xyz, color in zip(POINTS, colors, strict=True)
    ]
    frames = []
    (tmp_path / "frames" / "a").mkdir(parents=True)
    for index in range(12):
        name = f"a/{index:06d}.png"
        pose = pycolmap.Rigid3d(pycolmap.Rotation3d(), np.array([0.05 * (index - 6), 0.0, 0.0]))
        dots = [camera.img_from_cam(pose * point) for point in POINTS]
        image = pycolmap.Image(name=name, points2D=pycolmap.Point2DList([pycolmap.Point2D(dot) for dot in dots]))
        image.camera_id, image.image_id = 1, index + 1
        model.add_image_with_trivial_frame(image, pose)
        for k, number in enumerate(numbers):
            model.add_observation(number, pycolmap.TrackElement(index + 1, k))
        Image.fromarray(draw(dots)).save(tmp_path / "frames" / name)
        frames.append(Frame(name, "a.mp4", index, index / 5, 1.0))
    (tmp_path / "sparse").mkdir()
    model.write(str(tmp_path / "sparse"))
    (tmp_path / "sparse.json").write_text("{}")
    info = ClipInfo("a.mp4", "a", 12, *SIZE, 5.0, 2.4, "h264", 0)
    return FrameSet((info,), tuple(frames))


def draw(dots: list[np.ndarray]) -> np.ndarray:
    """Smooth white dots on grey; pixel centres at .5."""
    y, x = np.mgrid[0 : SIZE[1], 0 : SIZE[0]] + 0.5
    picture = np.full((SIZE[1], SIZE[0]), 60.0)
    for dot in dots:
        picture += 190 * np.exp(-((x - dot[0]) ** 2 + (y - dot[1]) ** 2) / (2 * 3.0**2))
    return np.repeat(np.clip(picture, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


def test_points_project_onto_their_pictures(scene, tmp_path):
    """At full and at reduced size, each dot's centre of light lies within a fifth of a pixel of its projection."""
    for long_side in (2000, 100):
        views = build_views(scene, StageContext(tmp_path, SILENT), long_side)
        for view, pixels in zip(views.views, views.pixels, strict=True):
            assert pixels.shape == (view.height, view.width, 3)
            assert max(view.width, view.height) <= long_side
            for point in views.points.astype(np.float64):
                seen = view.world_to_camera @ np.append(point, 1.0)
                u, v, w = view.K @ seen[:3]
                u, v = u / w, v / w
                reach = 3 * 3.0 * view.K[0, 0] / 260
                y, x = np.mgrid[0 : view.height, 0 : view.width] + 0.5
                near = np.hypot(x - u, y - v) <= reach
                light = np.maximum(pixels[..., 0].astype(float) - 62, 0) * near
                assert (light * x).sum() / light.sum() == pytest.approx(u, abs=0.2)
                assert (light * y).sum() / light.sum() == pytest.approx(v, abs=0.2)


def test_pictures_have_no_black_borders(scene, tmp_path):
    """The background is 60 everywhere; what the lens did not see is cut away, not filled with black."""
    for pixels in build_views(scene, StageContext(tmp_path, SILENT), 2000).pixels:
        assert pixels.min() >= 58


def test_names_split_and_points_are_those_of_frames_and_model(scene, tmp_path):
    views = build_views(scene, StageContext(tmp_path, SILENT), 200)
    assert [view.image for view in views.views] == [frame.image for frame in scene.frames]
    assert set(views.subset("train")) | set(views.subset("test")) == set(range(12))
    assert len(views.subset("test")) >= 2
    assert views.points == pytest.approx(POINTS.astype(np.float32))
    assert views.colors[1].tolist() == [250, 240, 230]
    assert views.track_lengths.tolist() == [12] * 4


def test_a_finished_stage_is_loaded_and_not_made_again(scene, tmp_path):
    first = build_views(scene, StageContext(tmp_path, SILENT), 100)
    written = (tmp_path / "images" / first.views[0].image).stat().st_mtime_ns
    for again in (build_views(scene, StageContext(tmp_path, SILENT), 100), load_views(tmp_path)):
        assert all(np.array_equal(a, b) for a, b in zip(first.pixels, again.pixels, strict=True))
        assert np.array_equal(first.views[3].K, again.views[3].K)
    assert (tmp_path / "images" / first.views[0].image).stat().st_mtime_ns == written
    assert max(build_views(scene, StageContext(tmp_path, SILENT), 80).pixels[0].shape) == 80


def test_views_that_were_never_finished_are_not_loaded(tmp_path: Path):
    with pytest.raises(RunnerError):
        load_views(tmp_path)


def test_intrinsics_scale_by_axis():
    """1000x501 shrunk to 500x251: the corner and the centre stay where they were, relative to the picture."""
    K = scaled_intrinsics((800.0, 810.0, 500.0, 250.5), (1000, 501), (500, 251))
    assert K[0].tolist() == [400.0, 0.0, 250.0]
    assert K[1] == pytest.approx([0.0, 810.0 * 251 / 501, 125.5])


def test_sightings_say_which_view_saw_which_point(scene, tmp_path):
    """Every view saw every dot but the one whose observation is taken away; its neighbours keep theirs."""
    model = pycolmap.Reconstruction(str(tmp_path / "sparse"))
    model.delete_observation(image_id=4, point2D_idx=2)
    model.write(str(tmp_path / "sparse"))
    views = build_views(scene, StageContext(tmp_path, SILENT), 100)
    expected = [[view, point] for view in range(12) for point in range(4) if (view, point) != (3, 2)]
    assert views.sightings.tolist() == expected
    for (view, point), at in zip(views.sightings, views.seen_at, strict=True):
        pose = views.views[view].world_to_camera
        x, y, z = pose[:3, :3] @ views.points[point] + pose[:3, 3]
        assert at == pytest.approx([x / z, y / z], abs=2e-3), "where the undistorted view shows it"


def test_a_mask_moves_with_the_pixels_it_ignores(scene, tmp_path):
    """White discs are drawn in the frames and masked; in the undistorted views all that is white is still masked."""
    y, x = np.mgrid[0 : SIZE[1], 0 : SIZE[0]]
    discs = (np.hypot(x - 60, y - 190) < 30) | (np.hypot(x - 290, y - 40) < 20)
    for frame in scene.frames:
        path = tmp_path / "frames" / frame.image
        Image.fromarray(np.where(discs[..., None], 255, 60).astype(np.uint8).repeat(3, axis=2)).save(path)
    write_mask(clip_mask(tmp_path / "masks", "a"), ~discs)
    for long_side in (2000, 100):
        views = build_views(scene, StageContext(tmp_path, SILENT), long_side)
        for index, pixels in enumerate(views.pixels):
            used = views.mask(index)
            assert used is not None
            assert (pixels[used] < 66).all()
            assert 0.85 < used.mean() < 0.99
    one = next(iter(scene.frames)).image
    write_mask(tmp_path / "masks" / one, x < 100)  # another mask is another set of views
    both = build_views(scene, StageContext(tmp_path, SILENT), 100).mask(0)
    assert both is not None
    assert both.mean() < 0.4


def test_views_of_what_turns_before_a_still_camera_are_alone(scene, tmp_path):
    turning = replace(scene, clips=tuple(replace(clip, turns=True) for clip in scene.clips))
    used = np.zeros(SIZE[::-1], bool)
    used[60:180, 100:220] = True
    for frame in scene.frames:
        write_mask(tmp_path / "masks" / frame.image, used)
    views = build_views(turning, StageContext(tmp_path, SILENT), 2000)
    assert all(view.alone for view in views.views)
    assert 0.4 < float(np.mean([views.empty(index) for index in range(len(views.views))])) < 0.9
    assert load_views(tmp_path).views[0].alone, "as it is stored"
    usual = build_views(scene, StageContext(tmp_path, SILENT), 2000)
    assert not any(view.alone for view in usual.views)


def test_views_without_masks_have_none(scene, tmp_path):
    assert build_views(scene, StageContext(tmp_path, SILENT), 100).masks == ()


def test_a_photo_that_is_a_part_of_another_is_held_out_with_it_wherever_its_camera_is(tmp_path):
    """The last photo shows what the left three fifths of the fifth one show; its camera was placed elsewhere."""
    points = np.random.default_rng(0).uniform([-2, -1.5, 4], [2, 1.5, 6], (400, 3))
    model = pycolmap.Reconstruction()
    numbers = [model.add_point3D(xyz, pycolmap.Track(), np.zeros(3, np.uint8)) for xyz in points]
    frames = []
    (tmp_path / "frames" / "photos").mkdir(parents=True)
    for index in range(13):
        name, whole = f"photos/{index:06d}.png", 4 if index == 12 else index
        width = SIZE[0] * 3 // 5 if index == 12 else SIZE[0]
        camera = pycolmap.Camera(
            model="SIMPLE_RADIAL", width=width, height=SIZE[1], params=[260.0, width / 2, 120.0, 0.0],
            camera_id=index + 1,
        )  # fmt: skip
        model.add_camera_with_trivial_rig(camera)
        dots = 260.0 * (points[:, :2] - [0.2 * whole - 1, 0]) / points[:, 2:] + [160.0, 120.0]
        seen = ((dots > 0) & (dots < [width, SIZE[1]])).all(axis=1).nonzero()[0]
        pose = pycolmap.Rigid3d(pycolmap.Rotation3d(), np.array([1 - 0.2 * index, 0.0, 0.0]))
        image = pycolmap.Image(name=name, points2D=pycolmap.Point2DList([pycolmap.Point2D(dots[k]) for k in seen]))
        image.camera_id, image.image_id = index + 1, index + 1
        model.add_image_with_trivial_frame(image, pose)
        for place, k in enumerate(seen):
            model.add_observation(numbers[k], pycolmap.TrackElement(index + 1, place))
        Image.new("RGB", (width, SIZE[1])).save(tmp_path / "frames" / name)
        frames.append(Frame(name, "photos", index, float(index), 1.0, photo=f"{index}.jpg"))
    (tmp_path / "sparse").mkdir()
    model.write(str(tmp_path / "sparse"))
    (tmp_path / "sparse.json").write_text("{}")
    info = ClipInfo("photos", "photos", 13, *SIZE, 1.0, 13.0, "jpeg", 0)
    scene = build_views(FrameSet((info,), tuple(frames)), StageContext(tmp_path, SILENT), 160)
    assert scene.twins == 1
    split = {view.image: view.split for view in scene.views}
    assert split["photos/000012.png"] == split["photos/000004.png"]
