"""The views of 360-degree frames are one rig: one pose for each frame, lens and directions as they are known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pycolmap
import pytest
from numpy.typing import NDArray

from runner.cache.store import CacheSettings, StageCache
from runner.context import StageContext
from runner.dataset.build import build_views
from runner.media.lenses.reframe import Reframing, reframing
from runner.poses.find import find_poses
from runner.poses.settings import PoseSettings
from runner.scene.frames import FrameSet
from runner.scene.progress import SILENT
from runner.scene.view_directions import NAMES, cam_from_first
from tests.synthetic import pose_errors, write_frames
from tests.wide_lenses import equirectangular_rays, seen, truth, walk

SETTINGS = PoseSettings(features=512, max_image_size=240, min_points=200, threads=1)


def views_of(folder: Path, whole: list[NDArray[np.uint8]], side: int) -> tuple[FrameSet, Reframing]:
    """The frames of a 360-degree film [360, 720] as views, written."""
    geometry = reframing(720, 360, side)
    views = {f"round_{name}": [geometry.view(one, turns) for one in whole] for turns, name in enumerate(NAMES)}
    frames = write_frames(folder, views)
    clips = tuple(
        replace(clip, view=turns, source="round.mp4", focal_px=geometry.focal_px, projection="equirectangular")
        for turns, clip in enumerate(frames.clips)
    )
    return replace(frames, clips=clips, sources=(("round.mp4", "1"),)), geometry


def test_the_views_of_one_frame_keep_their_directions_and_the_cameras_are_right(tmp_path: Path) -> None:
    """Later runs know them, with the same settings and with others."""
    poses = walk(10, 0.0)
    whole = [seen(pose, equirectangular_rays(720)) for pose in poses]
    store = CacheSettings(tmp_path / "cache", 1_000_000_000, 1e9)
    store.folder.mkdir()
    frames, geometry = views_of(tmp_path, whole, 240)
    context = StageContext(tmp_path, SILENT, StageCache(store, "smoke"))
    report = find_poses(frames, context, SETTINGS)
    assert report.images_registered == 4 * len(poses)
    model = pycolmap.Reconstruction(str(tmp_path / "sparse"))
    lens = [geometry.focal_px, geometry.side / 2, geometry.side / 2]
    assert all(list(camera.params) == pytest.approx(lens, abs=1e-9) for camera in model.cameras.values())
    assert model.num_reg_frames() == len(poses)
    built = build_views(frames, context, 240).views
    by_name = {view.image: view.world_to_camera for view in built}
    for turns, name in enumerate(NAMES):
        first, other = by_name["round_front/000004.png"], by_name[f"round_{name}/000004.png"]
        assert other[:3] == pytest.approx(cam_from_first(turns) @ first[:3], abs=1e-6)
    split = {image.split("/")[1]: set[str]() for image in by_name}
    for view in built:
        split[view.image.split("/")[1]].add(view.split)
    assert all(len(parts) == 1 for parts in split.values())
    found = np.stack([by_name[f"round_front/{index:06d}.png"] for index in range(len(poses))])
    true = np.stack(truth(poses))
    centres = [-np.einsum("nji,nj->ni", each[:, :3, :3], each[:, :3, 3]) for each in (found, true)]
    positions, degrees = pose_errors(centres[0], found[:, :3, :3], centres[1], true[:, :3, :3])
    assert np.median(positions) < 0.01
    assert np.median(degrees) < 0.3

    for number, (side, settings) in enumerate([(240, SETTINGS), (200, replace(SETTINGS, features=400))]):
        cache, folder = StageCache(store, "laptop"), tmp_path / str(number)
        folder.mkdir()
        again, smaller = views_of(folder, whole, side)
        known = find_poses(again, StageContext(folder, SILENT, cache), settings)
        assert known.images_registered == report.images_registered
        assert cache.used["poses" if number == 0 else "poses of frames, preset smoke"]
        model = pycolmap.Reconstruction(str(folder / "sparse"))
        assert model.num_reg_frames() == len(poses)
        lens = [smaller.focal_px, smaller.side / 2, smaller.side / 2]
        assert all(list(camera.params) == pytest.approx(lens, abs=1e-9) for camera in model.cameras.values())


@pytest.mark.slow
def test_a_phone_beside_a_360_degree_camera_is_in_the_same_scene(tmp_path: Path) -> None:
    """Its lens is found as that of any phone, and the views keep theirs."""
    poses, phone_poses = walk(8, 0.0), walk(8)
    frames, geometry = views_of(tmp_path, [seen(pose, equirectangular_rays(720)) for pose in poses], 240)
    v, u = np.mgrid[0:240, 0:320] + 0.5
    rays = np.stack([u - 160, v - 120, np.full_like(u, 200)], axis=-1)
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    phone = write_frames(tmp_path, {"phone": [seen(pose, rays) for pose in phone_poses]})
    both = replace(frames, clips=(*frames.clips, *phone.clips), frames=(*frames.frames, *phone.frames))
    report = find_poses(both, StageContext(tmp_path, SILENT), SETTINGS)
    assert report.images_registered == 4 * len(poses) + len(phone_poses)
    model = pycolmap.Reconstruction(str(tmp_path / "sparse"))
    images = {image.name: image for image in model.images.values()}
    own = [images[f"phone/{index:06d}.png"] for index in range(len(phone_poses))]
    assert model.cameras[own[0].camera_id].mean_focal_length() == pytest.approx(200, rel=0.05)
    assert images["round_left/000000.png"].camera.mean_focal_length() == pytest.approx(geometry.focal_px, abs=1e-9)
    cameras = [*(images[f"round_front/{index:06d}.png"] for index in range(len(poses))), *own]
    true = np.stack([*truth(poses), *truth(phone_poses)])
    positions, degrees = pose_errors(
        np.array([image.projection_center() for image in cameras]),
        np.array([image.cam_from_world().rotation.matrix() for image in cameras]),
        -np.einsum("nji,nj->ni", true[:, :3, :3], true[:, :3, 3]), true[:, :3, :3],
    )  # fmt: skip
    assert positions.max() < 0.03
    assert np.median(degrees) < 0.3
