"""Reads `cameras.json`, which an earlier run of this program wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from runner.poses.supplied.cameras import (
    MAX_PIXELS,
    Lens,
    PosedImage,
    bad,
    number,
    pose,
)
from runner.poses.supplied.json_values import check_count, colmap_lens, matrix_of, name_of, read_json
from runner.scene.inputs.pose_files import shown

VIEWER_KEYS = {"img_name", "position", "rotation"}  # the cameras.json of 3DGS trainers


def read_own(path: Path, file: str) -> list[PosedImage]:
    """cameras.json as `runner.report.documents.cameras` writes it. Raises InputError BAD_POSES, TOO_LARGE."""
    value = read_json(path, file)
    if not isinstance(value, list):
        raise bad(file, "", "it is no list of cameras")
    if value and isinstance(value[0], dict) and set(value[0]) >= VIEWER_KEYS:
        what = "this is the cameras.json of a 3DGS trainer, which has no lens to rely on, and not one of this program"
        raise bad(file, "", what, "upload the COLMAP model or transforms.json that the trainer was given")
    check_count(file, len(value))
    return [_own(file, i, entry) for i, entry in enumerate(value, start=1)]


def _own(file: str, position: int, entry: Any) -> PosedImage:
    where = f"camera {position}"
    try:
        if not isinstance(entry, dict):
            raise ValueError("it is no object")
        name, clip = name_of(entry, "image"), name_of(entry, "video")
        where += f" ({shown(name)})"
        time_s = number(entry.get("timestamp_s"), 1e9, "timestamp_s")
        matrix = matrix_of(entry.get("world_to_camera"), "world_to_camera")
        stem = name.rpartition("/")[2].removesuffix(".png")
        if not (stem.isascii() and stem.isdigit() and len(stem) <= 9):
            raise ValueError("image is not called by the number of a frame")
        photo = name_of(entry, "photo") if entry.get("photo") is not None else None
        return PosedImage(
            photo or name, _own_lens(entry), pose(matrix[:3, :3], list(matrix[:3, 3])), (clip, int(stem), time_s)
        )
    except ValueError as exc:
        raise bad(file, where, str(exc)) from exc


def _own_lens(entry: dict[str, Any]) -> Lens:
    match entry.get("lens"):
        case {"model": str(model), "width": width, "height": height, "params": list(params)}:
            return colmap_lens(model, width, height, params)
        case None:  # of an older version: the lens of the undistorted picture, which is a little smaller
            matrix = entry.get("K")
            width = number(entry.get("width"), MAX_PIXELS, "width")
            if not (isinstance(matrix, list) and matrix and isinstance(matrix[0], list) and matrix[0]):
                raise ValueError("K is no matrix")
            focal = number(matrix[0][0], MAX_PIXELS, "K") / max(width, 1.0)
            if not 0.01 < focal < 100:
                raise ValueError("K is that of no lens")
            return Lens(0, 0, focal, focal, 0.5, 0.5, sure=False)
    raise ValueError("lens is not described")
