"""dataset.zip: the undistorted pictures with their cameras, as other trainers read them.

    images/           what training saw: undistorted, upright, JPEG
    sparse/0/         a COLMAP model of them (INRIA, gsplat, Brush, Postshot, ...)
    transforms.json   the same for nerfstudio and instant-ngp
    points.ply        the sparse points, which transforms.json names

Everything is in the world of the exported Gaussians. It can be given to a later run as supplied poses: unpack it.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from runner.export.colmap_model import colmap_model
from runner.export.ply_elements import file_of
from runner.export.points import point_rows
from runner.files.atomic import replacing
from runner.scene.views import TrainingScene, View

OPENGL_FROM_OPENCV = np.diag([1.0, -1.0, -1.0, 1.0])  # nerfstudio's cameras: y up, looking along -z
JPEG_QUALITY = 95
TIME = (1980, 1, 1, 0, 0, 0)  # of every entry: the same scene is the same file


def write_dataset(scene: TrainingScene, path: Path) -> None:
    """Writes the archive atomically, a picture at a time. Raises ResourceError when the disk is full."""
    names = picture_names(scene.views)
    model = colmap_model(scene, names)
    with replacing(path) as file, zipfile.ZipFile(file, "w") as archive:
        for name, pixels in zip(names, scene.pixels, strict=True):
            _add(archive, f"images/{name}", _jpeg(pixels))  # packed already
        for file_name, content in vars(model).items():
            _add(archive, f"sparse/0/{'points3D' if file_name == 'points' else file_name}.bin", content, pack=True)
        transforms = json.dumps(transforms_json(scene.views, names), indent=1).encode()
        _add(archive, "transforms.json", transforms, pack=True)
        points = b"".join(bytes(piece) for piece in file_of({"vertex": point_rows(scene)}))
        _add(archive, "points.ply", points, pack=True)


def picture_names(views: Sequence[View]) -> list[str]:
    """A name below images/ for each view: that of its frame, as a JPEG; numbered where two would be the same."""
    taken: set[str] = set()
    names = []
    for view in views:
        stem = name = str(PurePosixPath(view.image).with_suffix(""))
        number = 1
        while f"{name}.jpg".lower() in taken:
            number += 1
            name = f"{stem}_{number}"
        taken.add(f"{name}.jpg".lower())
        names.append(f"{name}.jpg")
    return names


def transforms_json(views: Sequence[View], names: Sequence[str]) -> dict[str, Any]:
    """In the convention of nerfstudio: camera to world, OpenGL axes, intrinsics per frame, the split by file name."""
    frames = []
    for view, name in zip(views, names, strict=True):
        frames.append(
            {
                "file_path": f"images/{name}",
                "fl_x": float(view.K[0, 0]),
                "fl_y": float(view.K[1, 1]),
                "cx": float(view.K[0, 2]),
                "cy": float(view.K[1, 2]),
                "w": view.width,
                "h": view.height,
                "transform_matrix": (np.linalg.inv(view.world_to_camera) @ OPENGL_FROM_OPENCV).tolist(),
            }
        )
    split = {
        f"{kind}_filenames": [f"images/{name}" for view, name in zip(views, names, strict=True) if view.split == own]
        for kind, own in (("train", "train"), ("test", "test"), ("val", "test"))
    }
    return {"camera_model": "PINHOLE", "ply_file_path": "points.ply", "frames": frames, **split}


def _jpeg(pixels: NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    return buffer.getvalue()


def _add(archive: zipfile.ZipFile, name: str, content: bytes, *, pack: bool = False) -> None:
    entry = zipfile.ZipInfo(name, TIME)
    entry.external_attr = 0o644 << 16
    archive.writestr(entry, content, zipfile.ZIP_DEFLATED if pack else zipfile.ZIP_STORED)
