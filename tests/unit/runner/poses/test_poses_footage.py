"""Real phone footage with reference poses: the fox scene, three clips of one object."""

from __future__ import annotations

import json

import numpy as np
import pycolmap
import pytest

from runner.context import StageContext
from runner.dataset.build import build_views
from runner.media.extract import extract_frames
from runner.media.settings import FrameSettings
from runner.poses.find import find_poses
from runner.poses.settings import PoseSettings
from runner.scene.frames import Clip
from runner.scene.progress import SILENT
from tests.footage import footage
from tests.synthetic import pose_errors


@pytest.mark.footage
@pytest.mark.slow
def test_the_fox_scene_is_placed_as_its_authors_placed_it(tmp_path):
    """48 of 50 frames, focal within 3 % of 917 px, positions within 1 % (worst 3 %), rotations within 0.6 degrees: the
    bounds of the footage's README, about three times what independent runs gave."""
    clips = [Clip(f"view{i}.mp4", footage(f"fox/view{i}.mp4")) for i in (1, 2, 3)]
    frames = extract_frames(clips, StageContext(tmp_path, SILENT), FrameSettings(budget=60))
    assert len(frames.frames) == 50  # each frame is another photo
    report = find_poses(frames, StageContext(tmp_path, SILENT), PoseSettings(features=2048, max_image_size=1000))
    assert report.images_registered >= 48
    assert report.warnings == ()

    model = pycolmap.Reconstruction(str(tmp_path / "sparse"))
    for camera in model.cameras.values():
        assert camera.mean_focal_length() == pytest.approx(917, rel=0.03)
    reference = json.loads(footage("fox/reference/poses.json").read_text())["frames"]
    images = [image for image in model.images.values() if image.has_pose]
    true = np.array([reference[image.name.removesuffix(".png")] for image in images])  # camera to world, [N, 3, 4]
    positions, angles = pose_errors(
        np.array([image.projection_center() for image in images]),
        np.array([image.cam_from_world().rotation.matrix() for image in images]),
        true[:, :, 3],
        true[:, :, :3].transpose(0, 2, 1),
    )
    assert np.median(positions) <= 0.01
    assert positions.max() <= 0.03
    assert np.median(angles) <= 0.6

    scene = build_views(frames, StageContext(tmp_path, SILENT), 480)
    assert len(scene.views) == report.images_registered
    assert {pixels.shape[0] for pixels in scene.pixels} == {480}
    assert len(scene.points) == report.points
    assert 4 <= len(scene.subset("test")) <= 6
