"""The demo footage: the same every time, readable like a phone's, and its truth file is the truth.

A small copy of it (fewer frames, fewer pixels, coarse textures) keeps these tests fast.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from local.footage.courtyard import courtyard
from local.footage.film import SHOTS, film, make_demo_footage
from local.footage.ray_caster import World, render

SIZE, FPS, SECONDS, DETAIL = (192, 108), 5, 1.0, 0.15


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("demo")
    clips = make_demo_footage(out, size=SIZE, fps=FPS, seconds=SECONDS, detail=DETAIL)
    assert clips == [out / shot.video for shot in SHOTS]
    return out


@pytest.fixture(scope="module")
def world() -> World:
    return courtyard(7, DETAIL)


@pytest.fixture(scope="module")
def truth(folder: Path) -> list[dict[str, Any]]:
    return json.loads((folder / "truth.json").read_text())["clips"]


def upright(path: Path) -> list[np.ndarray]:
    """All frames as shown: PIL turns counter-clockwise, as `frame.rotation` counts."""
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    return [np.asarray(frame.to_image().rotate(frame.rotation, expand=True)) for frame in frames]


def test_the_same_seed_gives_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    make_demo_footage(tmp_path, size=SIZE, fps=FPS, seconds=SECONDS, detail=DETAIL)
    for path in sorted(folder.iterdir()):
        assert path.read_bytes() == (tmp_path / path.name).read_bytes(), path.name


@pytest.mark.parametrize("shot", SHOTS, ids=lambda shot: shot.video)
def test_size_rate_codec_and_rotation_are_as_stated(folder: Path, shot) -> None:
    with av.open(str(folder / shot.video)) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.codec_context.pix_fmt == "yuv420p"
        assert (stream.width, stream.height) == SIZE, "phones store the upright clip lying as well"
        assert stream.average_rate == FPS
        frames = list(container.decode(video=0))
    assert len(frames) == FPS * SECONDS
    assert {frame.rotation for frame in frames} == {-90 if shot.upright else 0}
    assert [float(frame.time) for frame in frames] == [pytest.approx(k / FPS) for k in range(len(frames))]


def test_pictures_are_what_the_true_cameras_see(folder: Path, world: World, truth: list[dict[str, Any]]) -> None:
    """Each decoded frame, turned upright, is the rendering of its camera in truth.json, up to the compression."""
    for clip in truth:
        frames = upright(folder / clip["video"])
        for entry, shown in list(zip(clip["frames"], frames, strict=True))[::2]:
            pose = np.array(entry["world_to_camera"])
            assert np.allclose(pose[:3, :3] @ pose[:3, :3].T, np.eye(3)), "a rotation"
            assert np.linalg.det(pose[:3, :3]) == pytest.approx(1)
            seen, _ = render(world, np.array(clip["K"]), pose, clip["width"], clip["height"])
            assert seen.shape == shown.shape
            assert psnr(seen, shown) > 28


@pytest.mark.parametrize("shot", SHOTS, ids=lambda shot: shot.video)
def test_one_view_carried_into_the_next_agrees(world: World, shot) -> None:
    """Depth, K and poses fit together: a picture's points, projected into another camera, meet the same colours.

    Written from the conventions alone (OpenCV axes, pixel centres at .5), so a wrong axis, sign or centre shows.
    What the other camera cannot see is told by its own depth.
    """
    near, far = film(shot, np.random.default_rng(0), (384, 216), 10, 40)[20:22]
    K, width, height, a, b = near.K, near.width, near.height, near.world_to_camera, far.world_to_camera
    picture_a, depth_a = render(world, K, a, width, height)
    picture_b, depth_b = render(world, K, b, width, height)
    v, u = np.mgrid[:height, :width]
    rays = np.linalg.inv(K) @ np.stack([u + 0.5, v + 0.5, np.ones_like(u)]).reshape(3, -1)
    points = np.linalg.inv(a) @ np.vstack([rays * depth_a.ravel(), np.ones(rays.shape[1])])
    x, y, z, _ = b @ points
    column = np.floor(K[0, 0] * x / z + K[0, 2]).astype(int)
    row = np.floor(K[1, 1] * y / z + K[1, 2]).astype(int)
    inside = (depth_a.ravel() > 0) & (z > 0) & (column >= 0) & (column < width) & (row >= 0) & (row < height)
    column, row = column[inside], row[inside]
    visible = np.abs(depth_b[row, column] - z[inside]) < 0.02 * z[inside]
    assert visible.mean() > 0.8
    there = smooth(picture_b)[row, column][visible]
    here = smooth(picture_a).reshape(-1, 3)[inside][visible]
    error = np.abs(there - here).mean()
    shifted = np.abs(np.roll(there, 9, axis=0) - here).mean()
    assert error < 5, "grey levels of 255"
    assert error < 0.4 * shifted, "the agreement is no accident: other pixels do not agree"


def test_a_known_corner_is_where_the_table_ends(world: World, truth: list[dict[str, Any]]) -> None:
    """The table top's corners (0.95, 0.55, 0.8) m, turned by 20 degrees: just inside the depth is that of the corner,
    and along the corner's outward direction the surface ends."""
    clip = truth[0]
    K, pose = np.array(clip["K"]) * 5, np.array(clip["frames"][0]["world_to_camera"])
    K[2, 2] = 1
    _, depth = render(world, K, pose, clip["width"] * 5, clip["height"] * 5)
    c, s = np.cos(np.radians(20)), np.sin(np.radians(20))
    corner = np.array([c * 0.95 - s * 0.55, s * 0.95 + c * 0.55, 0.8])
    for share, on_table in ((0.98, True), (1.04, False)):
        x, y, z = (pose @ np.array([*(corner[:2] * share), 0.8, 1]))[:3]
        seen = depth[int(K[1, 1] * y / z + K[1, 2]), int(K[0, 0] * x / z + K[0, 2])]
        assert bool(abs(seen - z) < 0.01) is on_table


def test_the_clips_go_round_and_overlap(truth: list[dict[str, Any]]) -> None:
    """Between them 200 to 300 degrees; each begins where the one before is still filming; the camera never stands."""
    arcs = []
    for clip in truth:
        poses = np.array([frame["world_to_camera"] for frame in clip["frames"]])
        eyes = -np.einsum("nji,nj->ni", poses[:, :3, :3], poses[:, :3, 3])
        angles = np.degrees(np.unwrap(np.arctan2(eyes[:, 1], eyes[:, 0])))
        assert (np.diff(angles) > 0).all()
        assert (np.linalg.norm(eyes[:, :2], axis=1) > 2.2).all()
        arcs.append((angles[0] % 360 - 360 * (angles[0] % 360 > 300), angles[-1] - angles[0]))
    (first, _), (second, _), (third, last) = arcs
    assert first + arcs[0][1] > second + 15
    assert second + arcs[1][1] > third + 15
    assert 200 <= third + last - first <= 300


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.mean((a.astype(float) - b) ** 2)))


def smooth(picture: np.ndarray) -> np.ndarray:
    """Without its finest grain, which half a pixel of rounding would turn into differences."""
    height, width = picture.shape[:2]
    small = Image.fromarray(picture).resize((width // 3, height // 3), Image.Resampling.BOX)
    return np.asarray(small.resize((width, height), Image.Resampling.BILINEAR), float)
