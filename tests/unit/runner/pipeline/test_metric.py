"""METRIC: every file of a scene has the size of metres, and says so; read by a program that nobody here wrote."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from plyfile import PlyData

from runner.export.formats import EXPORTERS
from runner.pipeline import settings as pipeline_settings
from runner.pipeline import splats
from runner.pipeline.cameras import Posed
from runner.pipeline.mock import _poses
from runner.pipeline.stages import JobContext
from runner.postprocess.place import EARTH_M
from runner.raster import rasterizer
from runner.scene.frames import ClipInfo, Frame, FrameSet
from runner.scene.geometry import camera_centre
from runner.scene.progress import SILENT
from runner.scene.views import TrainingScene, View
from runner.training.loop import Trained
from scenejobs.settings.pipeline import PipelineSettings
from tests.tiny_scene import ground_truth, tiny_scene

METRES = 0.4  # of one unit of the scene
SIDE = 0.5  # of the marker, in units
CORNERS = SIDE * np.array([[-0.5, -0.5, 0.0], [0.5, -0.5, 0.0], [0.5, 0.5, 0.0], [-0.5, 0.5, 0.0]])
FORMATS = "ply,splat,spz,compressed.ply,glb,points.ply,dataset.zip"


def with_marker(view: View) -> View:
    seen = CORNERS @ view.world_to_camera[:3, :3].T + view.world_to_camera[:3, 3]
    return replace(view, markers=((3, tuple((float(x / z), float(y / z)) for x, y, z in seen)),))


def flown(scene: TrainingScene) -> list[dict[str, Any]]:
    """Of each view: where a drone says that it was, one unit being a hundred metres, and 0.2 m off."""
    places = 100.0 * np.array([camera_centre(view.world_to_camera) for view in scene.views])
    places += np.random.default_rng(0).normal(0, 0.2, places.shape)
    degrees = np.degrees(places[:, [2, 0]] / EARTH_M)
    return [
        {"gps": (float(north), float(east)), "altitude_m": float(100.0 - place[1])}
        for (north, east), place in zip(degrees, places, strict=True)
    ]


def finished(
    folder: Path, *, marker: bool = True, metric: bool = True, drone: bool = False, supplied: bool = False
) -> tuple[JobContext, Any, TrainingScene]:
    """The clean-up and the files of a scene whose Gaussians are the true ones."""
    draws = rasterizer("cpu", 1)
    scene = tiny_scene(draws)
    if marker:
        scene = replace(scene, views=tuple(map(with_marker, scene.views)))
    asked = PipelineSettings(
        preset="smoke", backend="cpu", metric=metric, export_formats=FORMATS, marker_size_m=SIDE * METRES * marker
    )
    (folder / "out").mkdir()
    context = JobContext(
        folder, SILENT, out=folder / "out", name="room", settings=pipeline_settings.resolve(asked, "id")
    )
    for view in scene.views:
        (folder / "images" / view.image).parent.mkdir(parents=True, exist_ok=True)
    said = flown(scene) if drone else [{}] * len(scene.views)
    frames = FrameSet(
        (ClipInfo("a.mp4", "a", len(scene.views), 60, 48, 5.0, 2.0, "h264", 0),),
        tuple(
            Frame(view.image, view.video, number, view.timestamp_s, 1.0, **told)
            for number, (view, told) in enumerate(zip(scene.views, said, strict=True))
        ),
    )
    poses = replace(_poses(len(scene.views)), supplied={"used": True} if supplied else None)
    posed = Posed(frames, poses, scene, {}, folder)
    trained = Trained(ground_truth(), 1000, "plan", 1.0, (), 0)
    done = splats.clean_up(context, posed, splats.TrainedSplats(trained, draws))
    for suffixes in splats.EXPORTS.values():
        splats.export(context, done, suffixes)
    return context, done, scene


def positions_in(path: Path) -> NDArray[np.float64]:
    """[N, 3]"""
    vertices = PlyData.read(str(path))["vertex"]
    return np.stack([vertices[axis] for axis in "xyz"], axis=1).astype(float)


def test_every_file_is_in_metres_and_the_documents_say_so(tmp_path: Path) -> None:
    context, done, scene = finished(tmp_path)
    told = json.loads((context.out / "orientation.json").read_text())
    assert (told["scale"]["files_in"], told["scale"]["metres_per_unit"]) == ("metres", 1.0)
    assert told["scale"]["error_percent"] < 1
    to_files = np.array(told["model_to_output"])
    truth = ground_truth().means @ to_files[:3, :3].T
    assert np.linalg.norm(to_files[:3, 0]) == pytest.approx(METRES, rel=0.01)
    for file in ("room.ply", "points.ply"):
        found = positions_in(context.out / file)
        apart = np.linalg.norm(found[:, None] - truth[None], axis=2).min(axis=1)
        assert np.median(apart) < 0.02 * METRES, file
    sizes = {
        suffix: float(np.exp(EXPORTERS[suffix].read(context.out / f"room.{suffix}").log_scales).mean())
        for suffix in ("ply", "splat", "spz", "compressed.ply", "glb")
    }
    assert sizes["ply"] == pytest.approx(METRES * np.exp(ground_truth().log_scales).mean(), rel=0.05)
    assert max(sizes.values()) < 1.05 * min(sizes.values()), sizes
    wanted = [to_files[:3, :3] @ camera_centre(view.world_to_camera) for view in scene.views]
    np.testing.assert_allclose([camera_centre(view.world_to_camera) for view in done.scene.views], wanted, rtol=1e-6)
    assert '"metres": 1.0' in (context.out / "viewer.html").read_text()
    with zipfile.ZipFile(context.out / "dataset.zip") as packed:
        frames = json.loads(packed.read("transforms.json"))["frames"]
    there = np.array([np.array(each["transform_matrix"])[:3, 3] for each in frames])
    assert np.ptp(np.linalg.norm(there, axis=1)) == pytest.approx(np.ptp(np.linalg.norm(wanted, axis=1)), abs=1e-4)
    assert np.linalg.norm(there, axis=1).mean() == pytest.approx(METRES * np.hypot(4, 0.8), rel=0.01)


def test_where_the_scale_is_unknown_they_stay_as_they_are_and_a_warning_says_why(tmp_path: Path) -> None:
    context, done, _ = finished(tmp_path, marker=False)
    told = json.loads((context.out / "orientation.json").read_text())["scale"]
    assert (told["files_in"], told["metres_per_unit"]) == ("units of the scene", None)
    assert done.place.warnings[-1].startswith("METRIC is true, and the files are in units of the scene: the scale is")
    assert len(positions_in(context.out / "room.ply")) == done.trained.gaussians.count
    np.testing.assert_allclose(np.sort(done.trained.gaussians.log_scales[:, 0]).mean(),
                               ground_truth().log_scales[:, 0].mean(), atol=0.2)  # fmt: skip


def test_unasked_nothing_is_resized(tmp_path: Path) -> None:
    context, _, _ = finished(tmp_path, metric=False)
    told = json.loads((context.out / "orientation.json").read_text())
    assert told["scale"]["files_in"] == "units of the scene"
    assert told["scale"]["metres_per_unit"] == pytest.approx(METRES, rel=0.01)
    assert np.linalg.norm(np.array(told["model_to_output"])[:3, 0]) == pytest.approx(1)


def test_cameras_that_are_where_a_drone_was_are_known_to_be_right_unless_somebody_supplied_them(tmp_path: Path) -> None:
    """Whoever supplies poses may have made them of the same positions."""
    for name, told in (("drone", {"drone": True}), ("nobody", {}), ("user", {"drone": True, "supplied": True})):
        (tmp_path / name).mkdir()
        _, done, scene = finished(tmp_path / name, **told)
        assert len(done.witness.right) == (len(scene.views) if name == "drone" else 0), name
