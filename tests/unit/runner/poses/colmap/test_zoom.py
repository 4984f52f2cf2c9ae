"""A lens that zooms while filming is found and undone; a still one is left alone."""

from __future__ import annotations

import numpy as np
import pycolmap
import pytest

from runner.poses.colmap.lenses.zoom import LOOKED_AT, points_of_a_look, with_own_lenses, zoomed
from tests.synthetic import pose_errors, walk

WIDTH, HEIGHT, FOCAL = 640, 480, 600.0


def filmed(zoom: float, count: int = 16, noise_px: float = 0.3) -> pycolmap.Reconstruction:
    """A walk past 400 points, with the true poses and one focal length for pictures that had FOCAL to zoom * FOCAL."""
    rng = np.random.default_rng(0)
    points = rng.uniform((-2.5, -1.5, 4.0), (2.5, 1.5, 8.0), (400, 3))
    model = pycolmap.Reconstruction()
    model.add_camera_with_trivial_rig(
        pycolmap.Camera(camera_id=1, model="SIMPLE_RADIAL", width=WIDTH, height=HEIGHT,
                        params=[FOCAL * zoom**0.5, WIDTH / 2, HEIGHT / 2, 0.0])
    )  # fmt: skip
    tracks: list[list[tuple[int, int]]] = [[] for _ in points]
    for number, (position, rotation) in enumerate(walk(count), start=1):
        in_camera = (points - position) @ rotation.T
        focal = FOCAL * zoom ** ((number - 1) / (count - 1))
        pixels = focal * in_camera[:, :2] / in_camera[:, 2:] + (WIDTH / 2, HEIGHT / 2)
        inside = ((pixels > 0) & (pixels < (WIDTH, HEIGHT))).all(axis=1)
        keypoints = pixels[inside] + rng.normal(0, noise_px, (int(inside.sum()), 2))
        for place, point in enumerate(np.flatnonzero(inside)):
            tracks[point].append((number, place))
        image = pycolmap.Image(name=f"{number:02d}.png", keypoints=keypoints, camera_id=1, image_id=number)
        pose = pycolmap.Rigid3d(pycolmap.Rotation3d(rotation), -rotation @ position)
        model.add_image_with_trivial_frame(image, pose)
    for xyz, elements in zip(points, tracks, strict=True):
        if len(elements) >= 3:
            model.add_point3D(xyz, pycolmap.Track([pycolmap.TrackElement(*one) for one in elements]), np.zeros(3))
    return model


def solved(model: pycolmap.Reconstruction) -> pycolmap.Reconstruction:
    """As a mapper would leave it: everything moved until it fits the one lens."""
    pycolmap.bundle_adjustment(model, pycolmap.BundleAdjustmentOptions(refine_principal_point=False))
    model.update_point_3d_errors()
    return model


def worst_position(model: pycolmap.Reconstruction) -> float:
    images = sorted((image for image in model.images.values() if image.has_pose), key=lambda image: image.name)
    true = walk(len(images))
    errors, _ = pose_errors(
        np.array([image.projection_center() for image in images]),
        np.array([image.cam_from_world().rotation.matrix() for image in images]),
        np.array([position for position, _ in true]), np.array([rotation for _, rotation in true]),
    )  # fmt: skip
    return float(errors.max())


def test_a_zoom_is_found_and_the_cameras_are_brought_to_their_places():
    model = solved(filmed(zoom=1.5))
    assert worst_position(model) > 0.1, "with one lens it is wrong"
    found = zoomed(model)
    assert found is not None
    assert found.spread == pytest.approx(1.5**0.8, rel=0.03)  # from the 10th to the 90th percentile
    assert worst_position(found.model) < 0.03


def test_a_still_lens_is_left_alone():
    assert zoomed(solved(filmed(zoom=1.0))) is None


def observations_adjusted(model: pycolmap.Reconstruction, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Of each adjustment that the question takes."""
    seen, adjust = [], pycolmap.bundle_adjustment

    def counted(own: pycolmap.Reconstruction, options: pycolmap.BundleAdjustmentOptions) -> None:
        seen.append(own.compute_num_observations())
        adjust(own, options)

    monkeypatch.setattr(pycolmap, "bundle_adjustment", counted)
    zoomed(model)
    return seen


@pytest.mark.parametrize(("zoom", "times"), [(1.0, 1), (1.15, 2)])
def test_some_of_the_points_tell_that_a_lens_is_still(zoom: float, times: int, monkeypatch: pytest.MonkeyPatch):
    model = solved(filmed(zoom, count=30))
    all_of_them = model.compute_num_observations()
    assert all_of_them > 10_000
    first, *rest = observations_adjusted(model, monkeypatch)
    assert first < all_of_them / 3
    assert rest == [all_of_them] * (times - 1)


def test_a_first_look_has_points_of_each_picture():
    model = solved(filmed(zoom=1.0))
    looked_at = with_own_lenses(model, points_of_a_look(model))
    for image in model.images.values():
        at_most = min(LOOKED_AT, image.num_points3D)
        assert at_most <= looked_at.images[image.image_id].num_points3D <= image.num_points3D


def test_few_pictures_do_not_tell():
    assert zoomed(solved(filmed(zoom=1.5, count=7))) is None


def test_a_lens_of_its_own_changes_nothing_by_itself():
    model = solved(filmed(zoom=1.0))
    own = with_own_lenses(model)
    assert own.compute_mean_reprojection_error() == pytest.approx(model.compute_mean_reprojection_error())
    assert own.num_points3D() == model.num_points3D()
    assert len({image.camera_id for image in own.images.values()}) == own.num_reg_images() == 16
