"""Camera poses as other programs write them, made from true cameras."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pycolmap
from numpy.typing import NDArray

Pose = tuple[NDArray[np.float64], NDArray[np.float64]]  # position of the camera, world-to-camera rotation (OpenCV)
FLIP = np.diag([1.0, -1.0, -1.0, 1.0])


def camera_to_world(pose: Pose) -> NDArray[np.float64]:
    """[4, 4] in OpenCV axes."""
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = pose[1].T, pose[0]
    return matrix


def transforms(
    names: Sequence[str], poses: Sequence[Pose], size: tuple[int, int], focal: float, *, opengl: bool = True,
    lens: dict[str, Any] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """transforms.json of nerfstudio. opengl: False: the mistake of writing OpenCV's axes."""
    lens = lens or {"fl_x": focal, "fl_y": focal, "cx": size[0] / 2, "cy": size[1] / 2, "w": size[0], "h": size[1]}
    turn = FLIP if opengl else np.eye(4)
    frames = [
        {"file_path": name, "transform_matrix": (camera_to_world(pose) @ turn).tolist()}
        for name, pose in zip(names, poses, strict=True)
    ]
    return {"camera_model": "OPENCV", **lens, "frames": frames}


def write_json(path: Path, value: Any) -> Path:
    path.write_text(json.dumps(value), encoding="utf-8")
    return path


def colmap_model(names: Sequence[str], poses: Sequence[Pose], size: tuple[int, int], focal: float) -> Any:
    """A reconstruction by pycolmap itself, without points."""
    model = pycolmap.Reconstruction()
    params = [focal, focal, size[0] / 2, size[1] / 2]
    model.add_camera_with_trivial_rig(
        pycolmap.Camera(camera_id=1, model="PINHOLE", width=size[0], height=size[1], params=params)
    )
    for number, (name, (position, rotation)) in enumerate(zip(names, poses, strict=True), start=1):
        picture = pycolmap.Image(name=name, camera_id=1, image_id=number, keypoints=np.full((number % 3, 2), 7.5))
        turn = pycolmap.Rotation3d(rotation)
        model.add_image_with_trivial_frame(picture, pycolmap.Rigid3d(turn, -rotation @ position))
    return model


def write_model(folder: Path, model: Any, kind: str) -> Path:
    """kind: "bin" or "txt"."""
    folder.mkdir(parents=True, exist_ok=True)
    (model.write_binary if kind == "bin" else model.write_text)(str(folder))
    return folder


def binary_camera(model: int, params: Sequence[float], width: int = 320, height: int = 240) -> bytes:
    """cameras.bin with one camera of number 1."""
    return struct.pack("<QIiQQ", 1, 1, model, width, height) + struct.pack(f"<{len(params)}d", *params)
