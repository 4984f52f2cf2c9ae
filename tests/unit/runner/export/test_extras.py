"""Points, dataset and film beside a scene: read back by plyfile, COLMAP's own reader, and a decoder."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pycolmap
from PIL import Image
from plyfile import PlyData

from runner.export import turntable
from runner.export.dataset_zip import picture_names, write_dataset
from runner.export.extras import EXTRAS
from runner.export.points import write_points
from runner.poses.supplied.transforms_json import read_transforms
from runner.raster import rasterizer
from runner.scene.views import TrainingScene, View
from scenejobs.settings.knobs import FORMATS
from tests.splats import ring_of_views, some_gaussians

VIEWS = 8
POINTS = 40


def scene(size: tuple[int, int] = (64, 48)) -> TrainingScene:
    """A ring of cameras around some points; each view saw every second point."""
    rng = np.random.default_rng(0)
    scale = size[0] / 640
    views = tuple(
        replace(
            view, K=np.diag([scale, scale, 1.0]) @ view.K, width=size[0], height=size[1],
            split="test" if index % 4 == 0 else "train",
        )
        for index, view in enumerate(ring_of_views(VIEWS, np.zeros(3)))
    )  # fmt: skip
    sightings = [(view, point) for view in range(VIEWS) for point in range(view % 2, POINTS, 2)]
    return TrainingScene(
        views=views,
        pixels=tuple(rng.integers(0, 255, (size[1], size[0], 3), np.uint8) for _ in views),
        points=rng.uniform(-0.5, 0.5, (POINTS, 3)).astype(np.float32),
        colors=rng.integers(0, 255, (POINTS, 3), np.uint8),
        point_errors=np.full(POINTS, 0.5, np.float32),
        track_lengths=np.full(POINTS, VIEWS // 2, np.int32),
        sightings=np.array(sightings, np.int32),
    )


def unpacked(folder: Path, some: TrainingScene) -> Path:
    write_dataset(some, folder / "dataset.zip")
    with zipfile.ZipFile(folder / "dataset.zip") as archive:
        assert archive.testzip() is None
        archive.extractall(folder / "dataset")
    return folder / "dataset"


def test_every_extra_can_be_asked_for() -> None:
    assert set(EXTRAS) < set(FORMATS)


def test_the_points_are_a_coloured_point_cloud_without_those_that_are_nowhere(tmp_path: Path) -> None:
    some = scene()
    some.points[3] = np.nan
    write_points(some, tmp_path / "points.ply")
    rows = PlyData.read(tmp_path / "points.ply")["vertex"].data
    keep = np.arange(POINTS) != 3
    assert rows.dtype.names == ("x", "y", "z", "red", "green", "blue")
    np.testing.assert_array_equal(np.stack([rows["x"], rows["y"], rows["z"]], axis=1), some.points[keep])
    np.testing.assert_array_equal(np.stack([rows["red"], rows["green"], rows["blue"]], axis=1), some.colors[keep])


def test_colmap_reads_the_model_and_its_cameras_see_the_points_where_ours_do(tmp_path: Path) -> None:
    some = scene()
    model = pycolmap.Reconstruction(str(unpacked(tmp_path, some) / "sparse" / "0"))
    assert (len(model.cameras), len(model.images), len(model.points3D)) == (1, VIEWS, POINTS)
    by_name = {image.name: image for image in model.images.values()}
    for view, name in zip(some.views, picture_names(some.views), strict=True):
        image = by_name[name]
        np.testing.assert_allclose(image.cam_from_world().matrix(), view.world_to_camera[:3], atol=1e-9)
        np.testing.assert_allclose(image.camera.calibration_matrix(), view.K, atol=1e-9)
        assert image.num_points3D == POINTS // 2
    for number, point in model.points3D.items():
        np.testing.assert_allclose(point.xyz, some.points[number - 1], atol=1e-6)
        assert point.color.tolist() == some.colors[number - 1].tolist()
        assert point.track.length() == VIEWS // 2
        for element in point.track.elements:
            image = model.images[element.image_id]
            assert image.points2D[element.point2D_idx].point3D_id == number
            seen = image.points2D[element.point2D_idx].xy
            np.testing.assert_allclose(image.project_point(point.xyz), seen, atol=1e-3)


def test_transforms_json_says_the_same_and_can_be_supplied_to_a_later_run(tmp_path: Path) -> None:
    some = scene()
    folder = unpacked(tmp_path, some)
    read = read_transforms(folder / "transforms.json", "transforms.json")
    for posed, view in zip(read, some.views, strict=True):
        np.testing.assert_allclose(np.reshape(posed.pose, (3, 4)), view.world_to_camera[:3], atol=1e-9)
    document = json.loads((folder / "transforms.json").read_text())
    assert (folder / document["ply_file_path"]).is_file()
    assert len(document["test_filenames"]) == 2
    # OpenGL: the camera looks along its own -z, so the ring's centre is ahead of each
    for frame in document["frames"]:
        centre = np.linalg.inv(np.array(frame["transform_matrix"])) @ [0, 0, 0, 1]
        assert centre[2] < 0
        assert (folder / frame["file_path"]).is_file()


def test_the_pictures_are_those_of_the_training(tmp_path: Path) -> None:
    flat = scene()
    some = replace(flat, pixels=tuple(np.full((48, 64, 3), 20 * (i + 1), np.uint8) for i in range(VIEWS)))
    folder = unpacked(tmp_path, some)
    for name, pixels in zip(picture_names(some.views), some.pixels, strict=True):
        with Image.open(io.BytesIO((folder / "images" / name).read_bytes())) as picture:
            assert picture.size == (64, 48)
            assert np.abs(np.asarray(picture).astype(int) - pixels).max() <= 2


def test_two_pictures_never_share_a_name() -> None:
    view = scene().views[0]
    views = [replace(view, image=name) for name in ("a/1.png", "a/1.jpg", "A/1.PNG", "b/1.png")]
    names = picture_names(views)
    assert names[0] == "a/1.jpg"
    assert len({name.lower() for name in names}) == 4


def test_the_same_scene_is_the_same_archive(tmp_path: Path) -> None:
    for name in ("1.zip", "2.zip"):
        write_dataset(scene(), tmp_path / name)
    assert (tmp_path / "1.zip").read_bytes() == (tmp_path / "2.zip").read_bytes()


def test_the_film_plays_while_it_loads_and_goes_along_the_cameras(tmp_path: Path) -> None:
    some, path = scene((65, 49)), tmp_path / "turntable.mp4"
    assert turntable.write_turntable(some_gaussians(50), some, rasterizer("cpu", 1), path, frames=20)
    content = (tmp_path / "turntable.mp4").read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")
    with av.open(str(tmp_path / "turntable.mp4")) as film:
        stream = film.streams.video[0]
        pictures = list(film.decode(stream))
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert (stream.width, stream.height) == (64, 48)  # even, as H.264 wants
    assert len(pictures) == 20


def centres(views: list[View]) -> np.ndarray:
    return np.stack([np.linalg.inv(view.world_to_camera)[:3, 3] for view in views])


def test_the_path_is_smooth_and_looks_where_the_cameras_looked() -> None:
    """On a ring of radius 3 the path stays near it, moves little from picture to picture, and faces the centre."""
    path = turntable.path_views(ring_of_views(40, np.zeros(3)), 180)
    places = centres(path)
    assert np.abs(np.linalg.norm(places[:, [0, 2]], axis=1) - 3).max() < 0.25
    steps = np.linalg.norm(np.diff(places, axis=0), axis=1)
    assert steps.max() < 3 * steps.mean()
    for view in path:
        centre = view.world_to_camera @ [0, 0, 0, 1]
        assert centre[2] > 2.5
        assert np.abs(centre[:2]).max() < 1


def test_photos_are_gone_along_from_neighbour_to_neighbour_whatever_their_order() -> None:
    views = [replace(view, video=f"{i}.jpg", timestamp_s=0.0) for i, view in enumerate(ring_of_views(12, np.zeros(3)))]
    shuffled = [views[i] for i in np.random.default_rng(0).permutation(12)]
    places = centres(turntable.path_views(shuffled, 180))
    assert np.linalg.norm(np.diff(places, axis=0), axis=1).max() < 0.5


def test_three_cameras_make_no_film(tmp_path: Path) -> None:
    few = replace(scene(), views=scene().views[:3])
    assert turntable.write_turntable(some_gaussians(5), few, rasterizer("cpu", 1), tmp_path / "x.mp4") is False
    assert list(tmp_path.iterdir()) == []
