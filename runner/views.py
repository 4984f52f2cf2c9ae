"""Frames + sparse model -> what training reads: undistorted pictures at training resolution, cameras, points.

The pictures are undistorted at full size and shrunk afterwards with a filter as wide as the reduction. The other order,
or a plain bilinear step from 720x1280 to 270x480, aliases, and training would learn the aliasing.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pycolmap
from numpy.typing import NDArray
from PIL import Image

from runner import sfm_child
from runner.atomic import FULL
from runner.marker import file_fingerprint, fingerprint, read_marker, write_marker
from runner.progress import Progress
from runner.scene import Frame, FrameSet, TrainingScene, View
from runner.split import assign_split
from runner.video import shrink
from scenejobs.errors import Code, ResourceError, RunnerError

STAGE = "colmap_reconstruction"
UNDISTORT_LIMIT_S = 1800.0


def build_views(frames: FrameSet, workspace: Path, long_side: int, progress: Progress) -> TrainingScene:
    """Writes workspace/images/<clip>/<index>.png and, last, workspace/views.json, from workspace/sparse.

    The pictures on disk are lossless and exactly what training and the metrics see. Skips when all is there already.
    Raises RunnerError and ResourceError when undistortion fails, Interrupted.
    """
    marker = workspace / "views.json"
    made_from = fingerprint(asdict(frames), file_fingerprint(workspace / "sparse.json"), long_side)
    stored = read_marker(marker, made_from)
    if stored is None or not all((workspace / "images" / view["image"]).is_file() for view in stored["views"]):
        marker.unlink(missing_ok=True)
        stored = _write_views(frames, workspace, long_side, progress)
        write_marker(marker, made_from, stored)
    return _load(workspace, stored)


def load_views(workspace: Path) -> TrainingScene:
    """What `build_views` wrote, whatever it was made from. Raises RunnerError when it did not finish."""
    stored = read_marker(workspace / "views.json")
    if stored is None:
        raise RunnerError("the views are not finished", code=Code.BUG, advice="run the stages in order", stage=STAGE)
    return _load(workspace, stored)


def scaled_intrinsics(camera: Sequence[float], from_size: tuple[int, int], to_size: tuple[int, int]) -> NDArray[Any]:
    """K [3, 3] of a pinhole camera (fx, fy, cx, cy) after its picture (width, height) was resized.

    Each axis has its own scale, because sizes are rounded to whole pixels. Pixel centres lie at .5, so the principal
    point scales without an offset.
    """
    fx, fy, cx, cy = camera
    sx, sy = to_size[0] / from_size[0], to_size[1] / from_size[1]
    return np.array([[fx * sx, 0.0, cx * sx], [0.0, fy * sy, cy * sy], [0.0, 0.0, 1.0]])


def _write_views(frames: FrameSet, workspace: Path, long_side: int, progress: Progress) -> dict[str, Any]:
    full = workspace / "undistorted"
    for folder in (full, workspace / "images"):
        shutil.rmtree(folder, ignore_errors=True)
    request = {
        "action": "undistort", "images": str(workspace / "frames"), "model": str(workspace / "sparse"),
        "output": str(full), "threads": -1,
    }  # fmt: skip
    sfm_child.run(request, workspace / "sfm", progress, limit_s=UNDISTORT_LIMIT_S)
    model = pycolmap.Reconstruction(str(full / "sparse"))
    placed = {image.name: image for image in model.images.values() if image.has_pose}
    kept = [frame for frame in frames.frames if frame.image in placed]
    split = assign_split([(frame.video, frame.timestamp_s) for frame in kept])

    def write(frame: Frame) -> tuple[int, int]:
        progress.check(STAGE)
        camera = model.cameras[placed[frame.image].camera_id]
        size = shrink(camera.width, camera.height, long_side)
        _shrink_file(full / "images" / frame.image, workspace / "images" / frame.image, size)
        return size

    with ThreadPoolExecutor() as pool:  # Pillow releases the interpreter's lock while it resizes and compresses
        sizes = list(pool.map(write, kept))
    views = []
    for frame, size, part in zip(kept, sizes, split, strict=True):
        camera = model.cameras[placed[frame.image].camera_id]
        pose = placed[frame.image].cam_from_world().matrix()
        views.append({
            "image": frame.image, "video": frame.video, "timestamp_s": frame.timestamp_s,
            "width": size[0], "height": size[1], "split": part,
            "K": scaled_intrinsics(camera.params, (camera.width, camera.height), size).tolist(),
            "world_to_camera": [*pose.tolist(), [0.0, 0.0, 0.0, 1.0]],
        })  # fmt: skip
    shutil.rmtree(full)
    shutil.rmtree(workspace / "sfm", ignore_errors=True)
    return {"views": views}


def _shrink_file(source: Path, target: Path, size: tuple[int, int]) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with Image.open(source) as image:
        picture = image.convert("RGB")
    if picture.size != size:
        picture = picture.resize(size, Image.Resampling.LANCZOS)
    try:
        picture.save(target, "PNG", compress_level=1)
    except OSError as exc:
        if exc.errno not in FULL:
            raise
        raise ResourceError(
            f"no space left while writing {target.name}", code=Code.DISK_FULL, advice="give the workspace a larger disk"
        ) from exc


def _load(workspace: Path, stored: dict[str, Any]) -> TrainingScene:
    views, pixels = [], []
    for entry in stored["views"]:
        matrices = {name: np.array(entry[name], np.float64) for name in ("K", "world_to_camera")}
        views.append(View(**{**entry, **matrices}))
        with Image.open(workspace / "images" / entry["image"]) as image:
            pixels.append(np.asarray(image.convert("RGB")))
    points = pycolmap.Reconstruction(str(workspace / "sparse")).points3D
    ordered = [points[number] for number in sorted(points)]
    return TrainingScene(
        views=tuple(views),
        pixels=tuple(pixels),
        points=np.array([point.xyz for point in ordered], np.float32).reshape(-1, 3),
        colors=np.array([point.color for point in ordered], np.uint8).reshape(-1, 3),
        point_errors=np.array([point.error for point in ordered], np.float32),
        track_lengths=np.array([point.track.length() for point in ordered], np.int32),
    )
