"""Strict readers of the two JSON files that may hold camera poses. They run in a process without credentials."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from runner.documents import COLMAP_PARAMETERS
from runner.supplied_files import (
    MAX_COORDINATE,
    MAX_PICTURES,
    MAX_PIXELS,
    Lens,
    Picture,
    bad,
    lens,
    number,
    pose,
    shown,
)
from scenejobs.errors import Code, InputError

MAX_JSON_BYTES = 16 << 20  # 20,000 pictures of 800 bytes
MAX_NAME = 1024  # characters
OPENCV_FROM_OPENGL = np.diag([1.0, -1.0, -1.0])  # x right in both; y up and looking along -z in OpenGL
LENSES = tuple(COLMAP_PARAMETERS)  # a tuple: what is asked about may be of any type
VIEWER_KEYS = {"img_name", "position", "rotation"}  # the cameras.json of 3DGS trainers
UNDISTORT = "undistort the pictures and upload these with their poses, or leave the file out"


def read_json(path: Path, file: str) -> Any:
    """Raises InputError BAD_POSES, TOO_LARGE."""
    size = path.stat().st_size
    if size > MAX_JSON_BYTES:
        cause = f"{file} has {size:,} bytes; {MAX_JSON_BYTES:,} are allowed"
        raise InputError(cause, advice="it should hold poses only", code=Code.TOO_LARGE, stage="validation")
    try:
        return json.loads(path.read_bytes(), parse_constant=_not_finite)
    except json.JSONDecodeError as exc:
        raise bad(file, f"line {exc.lineno}", f"this is no JSON: {exc.msg}") from exc
    except (ValueError, RecursionError) as exc:
        raise bad(file, "", f"this is no JSON that can be read: {shown(exc)}") from exc


def read_transforms(path: Path, file: str) -> list[Picture]:
    """transforms.json of nerfstudio or instant-ngp. Raises InputError BAD_POSES, TOO_LARGE."""
    value = read_json(path, file)
    if not isinstance(value, dict) or not isinstance(value.get("frames"), list):
        raise bad(file, "", 'it has no list "frames"')
    _check_count(file, len(value["frames"]))
    return [_frame(file, value, i, entry) for i, entry in enumerate(value["frames"], start=1)]


def _frame(file: str, common: dict[str, Any], place: int, entry: Any) -> Picture:
    where = f"frame {place}"
    try:
        if not isinstance(entry, dict):
            raise ValueError("it is no object")
        name = _name(entry, "file_path")
        where += f" ({shown(name)})"
        matrix = _matrix(entry.get("transform_matrix"), "transform_matrix")
        rotation = (matrix[:3, :3] @ OPENCV_FROM_OPENGL).T
        return Picture(name, _lens({**common, **entry}), pose(rotation, list(-rotation @ matrix[:3, 3])))
    except ValueError as exc:
        raise bad(file, where, str(exc), UNDISTORT if isinstance(exc, _OtherLens) else "") from exc


class _OtherLens(ValueError):
    """A lens that the later stages do not know."""


def _lens(values: dict[str, Any]) -> Lens:
    """Of one frame, its own values before those of the file."""
    model = values.get("camera_model", "OPENCV")
    if model not in LENSES or values.get("is_fisheye") is True or values.get("k3") or values.get("k4"):
        raise _OtherLens(
            f"its lens ({shown(model)}{', with k3 or k4' if model in LENSES else ''}) is none that is known"
        )
    distortion = {key: values[key] for key in ("k1", "k2", "p1", "p2") if key in values}
    sized = "w" in values and "h" in values
    if "fl_x" not in values and "camera_angle_x" not in values:
        raise ValueError("it has neither fl_x nor camera_angle_x")
    if "fl_x" not in values:
        angle = number(values["camera_angle_x"], math.pi, "camera_angle_x")
        if not 0.01 < angle < 3.1:
            raise ValueError(f"camera_angle_x is {angle:g}, and radians between 0.01 and 3.1 are needed")
        focal = 0.5 / math.tan(angle / 2)  # widths
        if not sized:
            return Lens(0, 0, focal, focal, 0.5, 0.5, sure=bool(distortion), **_distortion(distortion))
        values = {**values, "fl_x": focal * number(values["w"], MAX_PIXELS, "w")}
    if not sized:
        if "cx" not in values or "cy" not in values:
            raise ValueError("it has no w and h")
        values = {**values, "w": round(2 * number(values["cx"], MAX_PIXELS, "cx")),
                  "h": round(2 * number(values["cy"], MAX_PIXELS, "cy"))}  # fmt: skip
    width, height = (number(values[key], MAX_PIXELS, key) for key in ("w", "h"))
    known = {
        "fx": values["fl_x"], "fy": values.get("fl_y", values["fl_x"]),
        "cx": values.get("cx", width / 2), "cy": values.get("cy", height / 2),
    }  # fmt: skip
    return lens({**known, **distortion}, width, height)


def _distortion(values: dict[str, Any]) -> dict[str, float]:
    return {key: number(value, 10.0, key) for key, value in values.items()}


def read_own(path: Path, file: str) -> list[Picture]:
    """cameras.json as `runner.documents.cameras` writes it. Raises InputError BAD_POSES, TOO_LARGE."""
    value = read_json(path, file)
    if not isinstance(value, list):
        raise bad(file, "", "it is no list of cameras")
    if value and isinstance(value[0], dict) and set(value[0]) >= VIEWER_KEYS:
        what = "this is the cameras.json of a 3DGS trainer, which has no lens to rely on, and not one of this program"
        raise bad(file, "", what, "upload the COLMAP model or transforms.json that the trainer was given")
    _check_count(file, len(value))
    return [_own(file, i, entry) for i, entry in enumerate(value, start=1)]


def _own(file: str, place: int, entry: Any) -> Picture:
    where = f"camera {place}"
    try:
        if not isinstance(entry, dict):
            raise ValueError("it is no object")
        name, clip = _name(entry, "image"), _name(entry, "video")
        where += f" ({shown(name)})"
        time_s = number(entry.get("timestamp_s"), 1e9, "timestamp_s")
        matrix = _matrix(entry.get("world_to_camera"), "world_to_camera")
        stem = name.rpartition("/")[2].removesuffix(".png")
        if not (stem.isascii() and stem.isdigit() and len(stem) <= 9):
            raise ValueError("image is not called by the number of a frame")
        photo = _name(entry, "photo") if entry.get("photo") is not None else None
        return Picture(
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


def colmap_lens(model: str, width: Any, height: Any, params: list[Any]) -> Lens:
    """Raises ValueError."""
    names = COLMAP_PARAMETERS.get(model)
    if names is None:
        raise _OtherLens(f"its lens ({shown(model)}) is none that is known: {', '.join(COLMAP_PARAMETERS)}")
    if len(names) != len(params):
        raise ValueError(f"{model} has {len(names)} parameters, and {len(params)} are given")
    values = dict(zip(names, params, strict=True))
    if "f" in values:
        values["fx"] = values["fy"] = values.pop("f")
    return lens(values, width, height)


def _name(entry: dict[str, Any], key: str) -> str:
    value = entry.get(key)
    if not isinstance(value, str) or not 0 < len(value) <= MAX_NAME:
        raise ValueError(f"{key} is no name")
    return value


def _matrix(value: Any, what: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    """[4, 4]; three rows will do. Raises ValueError."""
    if not (
        isinstance(value, list) and len(value) in (3, 4) and all(isinstance(r, list) and len(r) == 4 for r in value)
    ):
        raise ValueError(f"{what} is no matrix of 4 x 4 numbers")
    rows = np.array([[number(cell, MAX_COORDINATE, what) for cell in row] for row in value])
    if len(rows) == 4 and np.abs(rows[3] - [0, 0, 0, 1]).max() > 1e-6:
        raise ValueError(f"the last row of {what} is not 0 0 0 1")
    return rows


def _check_count(file: str, count: int) -> None:
    if count > MAX_PICTURES:
        raise bad(file, "", f"it has {count:,} pictures; {MAX_PICTURES:,} are allowed")


def _not_finite(word: str) -> NoReturn:
    raise ValueError(f"{word} is no number")
