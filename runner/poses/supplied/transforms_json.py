"""A strict reader of nerfstudio's `transforms.json`. It runs in a process without credentials."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from runner.poses.supplied.cameras import (
    MAX_PIXELS,
    Lens,
    PosedImage,
    bad,
    lens,
    number,
    pose,
)
from runner.poses.supplied.json_values import LENSES, UNDISTORT, OtherLens, check_count, matrix_of, name_of, read_json
from runner.scene.inputs.pose_files import shown

OPENCV_FROM_OPENGL = np.diag([1.0, -1.0, -1.0])  # x right in both; y up and looking along -z in OpenGL


def read_transforms(path: Path, file: str) -> list[PosedImage]:
    """transforms.json of nerfstudio or instant-ngp. Raises InputError BAD_POSES, TOO_LARGE."""
    value = read_json(path, file)
    if not isinstance(value, dict) or not isinstance(value.get("frames"), list):
        raise bad(file, "", 'it has no list "frames"')
    check_count(file, len(value["frames"]))
    return [_frame(file, value, i, entry) for i, entry in enumerate(value["frames"], start=1)]


def _frame(file: str, common: dict[str, Any], position: int, entry: Any) -> PosedImage:
    where = f"frame {position}"
    try:
        if not isinstance(entry, dict):
            raise ValueError("it is no object")
        name = name_of(entry, "file_path")
        where += f" ({shown(name)})"
        matrix = matrix_of(entry.get("transform_matrix"), "transform_matrix")
        rotation = (matrix[:3, :3] @ OPENCV_FROM_OPENGL).T
        return PosedImage(name, _lens({**common, **entry}), pose(rotation, list(-rotation @ matrix[:3, 3])))
    except ValueError as exc:
        raise bad(file, where, str(exc), UNDISTORT if isinstance(exc, OtherLens) else "") from exc


def _lens(values: dict[str, Any]) -> Lens:
    """Of one frame, its own values before those of the file."""
    model = values.get("camera_model", "OPENCV")
    fisheye = values.get("is_fisheye") is True or (isinstance(model, str) and model.endswith("FISHEYE"))
    if model not in LENSES or (not fisheye and (values.get("k3") or values.get("k4"))):
        raise OtherLens(
            f"its lens ({shown(model)}{', with k3 or k4' if model in LENSES else ''}) is none that is known"
        )
    if fisheye and "fl_x" not in values:
        raise OtherLens("its lens (a fisheye without fl_x) is none that is known")
    keys = ("k1", "k2", "k3", "k4") if fisheye else ("k1", "k2", "p1", "p2")
    distortion: dict[str, Any] = {key: values[key] for key in keys if key in values}
    sized = "w" in values and "h" in values
    if "fl_x" not in values and "camera_angle_x" not in values:
        raise ValueError("it has neither fl_x nor camera_angle_x")
    if "fl_x" not in values:
        angle = number(values["camera_angle_x"], math.pi, "camera_angle_x")
        if not 0.01 < angle < 3.1:
            raise ValueError(f"camera_angle_x is {angle:g}, and radians between 0.01 and 3.1 are needed")
        focal = 0.5 / math.tan(angle / 2)  # widths
        if not sized:
            plain = Lens(0, 0, focal, focal, 0.5, 0.5, sure=bool(distortion))
            return replace(plain, **_distortion(distortion))  # type: ignore[arg-type]  # its keys are k1, k2, p1, p2
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
    return lens({**known, **distortion}, width, height, fisheye=fisheye)


def _distortion(values: dict[str, Any]) -> dict[str, float]:
    return {key: number(value, 10.0, key) for key, value in values.items()}
