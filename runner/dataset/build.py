"""Frames + sparse model -> what training reads: undistorted images at training resolution, cameras, points.

The images are undistorted at full size and shrunk afterwards with a filter as wide as the reduction. The other order,
or a plain bilinear step from 720x1280 to 270x480, aliases, and training would learn the aliasing.
"""

from __future__ import annotations

import shutil
from collections.abc import Container, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pycolmap
from numpy.typing import NDArray
from PIL import Image

from runner.context import StageContext
from runner.dataset.crops import Seen, find_crops, flattened
from runner.dataset.cut_films import find_cut_films
from runner.dataset.holdout import split_of_scene
from runner.dataset.twins import find_twins
from runner.files.marker import file_fingerprint, fingerprint, read_marker, write_marker
from runner.poses.colmap import client as colmap_client
from runner.poses.colmap.requests import Undistort, UndistortedView
from runner.scene.frames import FrameSet
from runner.scene.geometry import camera_centre
from runner.scene.masks import FOLDER, digest_of_frames, read_mask
from runner.scene.views import TrainingScene, View
from scenejobs.errors import Code, RunnerError

STAGE = "colmap_reconstruction"
UNDISTORT_LIMIT_S = 1800.0
VIEW_MASKS = "view_masks"  # folder in the workspace


def build_views(frames: FrameSet, context: StageContext, long_side: int, *, markers: bool = False) -> TrainingScene:
    """Writes workspace/images/<clip>/<index>.png and, last, workspace/views.json, from workspace/sparse.

    A frame with a mask (runner/scene/masks.py) gets workspace/view_masks/<clip>/<index>.png beside its image.

    markers: printed ones are looked for (`View.markers`).

    The images on disk are lossless and exactly what training and the metrics see. Skips when all is there already.
    Raises RunnerError and ResourceError when undistortion fails, Interrupted.
    """
    workspace = context.workspace
    marker = workspace / "views.json"
    masks = digest_of_frames(workspace, frames)
    chosen = asdict(frames)
    if not frames.shared:  # as views were known before films were compared
        del chosen["shared"]
    more = [*([masks] if masks else []), *(["markers"] if markers else [])]
    made_from = fingerprint(chosen, file_fingerprint(workspace / "sparse.json"), long_side, *more)
    stored = read_marker(marker, made_from)
    if stored is None or not all(file.is_file() for view in stored["views"] for file in _files(workspace, view)):
        marker.unlink(missing_ok=True)
        stored = _write_views(frames, context, long_side, masked=bool(masks), markers=markers)
        write_marker(marker, made_from, stored)
    return _load(workspace, stored)


def load_views(workspace: Path) -> TrainingScene:
    """What `build_views` wrote, whatever it was made from. Raises RunnerError when it did not finish."""
    stored = read_marker(workspace / "views.json")
    if stored is None:
        raise RunnerError("the views are not finished", code=Code.BUG, advice="run the stages in order", stage=STAGE)
    return _load(workspace, stored)


def _files(workspace: Path, view: dict[str, Any]) -> list[Path]:
    """The files of a stored view."""
    masks = [workspace / VIEW_MASKS / view["image"]] if view.get("masked") else []
    return [workspace / "images" / view["image"], *masks]


def _write_views(
    frames: FrameSet, context: StageContext, long_side: int, *, masked: bool, markers: bool
) -> dict[str, Any]:
    """The undistorted images; what is to be known of them, for views.json."""
    workspace, progress = context.workspace, context.progress
    for folder in ("images", VIEW_MASKS):
        shutil.rmtree(workspace / folder, ignore_errors=True)
    names = tuple(frame.image for frame in frames.frames)
    request = Undistort(
        seed=0, images=str(workspace / "frames"), model=str(workspace / "sparse"), output=str(workspace / "images"),
        names=names, long_side=long_side, masks=str(workspace / FOLDER) if masked else "",
        masks_output=str(workspace / VIEW_MASKS), markers=markers,
    )  # fmt: skip
    made = colmap_client.run(
        request, workspace / "sfm", progress, limit_s=UNDISTORT_LIMIT_S,
        watch=lambda done: progress.report(STAGE, 1.0, f"{done} of {len(names)} frames undistorted"),
    ).views  # fmt: skip
    shutil.rmtree(workspace / "sfm")
    frame_of = {frame.image: frame for frame in frames.frames}
    timeline = [(frame_of[view.image].video, frame_of[view.image].timestamp_s) for view in made]
    together = {clip.name: clip.source or clip.name for clip in frames.clips if clip.view is not None}
    photos = {frame.video for frame in frames.frames if frame.photo is not None}
    turning = {clip.name for clip in frames.clips if clip.turns}
    twins = _twins(made, timeline, together, photos, workspace / "sparse")
    return {
        "twins": len(twins),
        "views": [
            {
                **msgspec.to_builtins(view),
                "video": video,
                "timestamp_s": timestamp_s,
                "split": split,
                **({"alone": True} if video in turning else {}),
            }
            for view, (video, timestamp_s), split in zip(
                made, timeline, split_of_scene(timeline, together, photos, frames.shared, twins), strict=True
            )
        ],
    }


def _twins(
    made: Sequence[UndistortedView], timeline: Sequence[tuple[str, float]], together: Container[str], photos: set[str],
    sparse: Path,
) -> dict[int, int]:  # fmt: skip
    """Of the views that were taken alone (those of one sphere are at one place): `find_twins`, by their cameras, and
    `find_crops` of photos and `find_cut_films`, by what they see of the model in the folder `sparse`."""
    alone = [index for index, (video, _) in enumerate(timeline) if video not in together]
    if not alone:
        return {}
    matrices = np.array([made[index].world_to_camera for index in alone], np.float64)
    centres = np.array([camera_centre(matrix) for matrix in matrices])
    by_cameras = find_twins([timeline[index] for index in alone], photos, centres, matrices[:, :3, :3])
    stills = [number for number, index in enumerate(alone) if timeline[index][0] in photos]
    films: dict[str, list[int]] = {}
    for number in sorted(set(range(len(alone))) - set(stills), key=lambda number: timeline[alone[number]]):
        films.setdefault(timeline[alone[number]][0], []).append(number)
    if not stills and len(films) < 2:
        return {alone[one]: alone[other] for one, other in by_cameras.items()}
    seen = _seen(sparse, [made[index].image for index in alone])
    crops, cut = find_crops(seen, stills), find_cut_films(seen, [*films.values()])
    return {alone[one]: alone[other] for one, other in flattened(crops, cut, by_cameras).items()}


def _seen(sparse: Path, names: Sequence[str]) -> list[Seen]:
    """What these pictures see of the model."""
    model = pycolmap.Reconstruction(str(sparse))
    images = {image.name: image for image in model.images.values()}
    found = []
    for name in names:
        camera = model.cameras[images[name].camera_id]
        at = {point.point3D_id: point.xy for point in images[name].get_observation_points2D()}
        points = np.array(sorted(at), np.int64)
        places = np.array([at[number] for number in points.tolist()], np.float64).reshape(-1, 2)
        found.append(Seen(camera.width, camera.height, points, places))
    return found


def _load(workspace: Path, stored: dict[str, Any]) -> TrainingScene:
    views, pixels, masks = [], [], []
    for entry in stored["views"]:
        matrices = {name: np.array(entry[name], np.float64) for name in ("K", "world_to_camera")}
        facts = {name: value for name, value in entry.items() if name not in ("masked", "markers")}
        views.append(View(**{**facts, **matrices}, markers=_markers(entry)))
        masks.append(read_mask(workspace / VIEW_MASKS, entry["image"]) if entry.get("masked") else None)
        with Image.open(workspace / "images" / entry["image"]) as image:
            pixels.append(np.asarray(image.convert("RGB")))
    model = pycolmap.Reconstruction(str(workspace / "sparse"))
    points = model.points3D
    ordered = [points[number] for number in sorted(points)]
    sightings, seen_at = _sightings(model, [view.image for view in views], sorted(points))
    return TrainingScene(
        views=tuple(views),
        pixels=tuple(pixels),
        points=np.array([point.xyz for point in ordered], np.float32).reshape(-1, 3),
        colors=np.array([point.color for point in ordered], np.uint8).reshape(-1, 3),
        point_errors=np.array([point.error for point in ordered], np.float32),
        track_lengths=np.array([point.track.length() for point in ordered], np.int32),
        sightings=sightings,
        seen_at=seen_at,
        twins=stored.get("twins", 0),
        masks=tuple(masks) if any(mask is not None for mask in masks) else (),
    )


def _markers(entry: dict[str, Any]) -> tuple[tuple[int, tuple[tuple[float, float], ...]], ...]:
    """Of a stored view."""
    return tuple((each["number"], tuple(map(tuple, each["corners"]))) for each in entry.get("markers", ()))


def _sightings(
    model: pycolmap.Reconstruction, names: list[str], points: list[int]
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """[M, 2] (index of the view, index of the point), in the order of both, and [M, 2] where the lens saw it, in the
    plane one unit before the camera. Of a point that a view saw twice the first sighting stands."""
    view_of = {name: index for index, name in enumerate(names)}
    place_of = {number: index for index, number in enumerate(points)}
    pairs, places = [np.zeros((0, 2), np.int32)], [np.zeros((0, 2))]
    for image in model.images.values():
        seen = image.get_observation_points2D() if image.name in view_of else []
        if seen:
            pairs.append(np.array([(view_of[image.name], place_of[each.point3D_id]) for each in seen], np.int32))
            places.append(model.cameras[image.camera_id].cam_from_img(np.array([each.xy for each in seen])))
    ordered, first = np.unique(np.concatenate(pairs), axis=0, return_index=True)
    return ordered, np.concatenate(places)[first].astype(np.float32)
