"""Values of untrusted JSON pose files, each checked: numbers, matrices, lenses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from runner.poses.supplied.cameras import (
    MAX_COORDINATE,
    MAX_PICTURES,
    Lens,
    bad,
    lens,
    number,
)
from runner.scene.cameras import COLMAP_PARAMETERS
from runner.scene.inputs.pose_files import shown
from scenejobs.errors import Code, InputError

MAX_JSON_BYTES = 16 << 20  # 20,000 images of 800 bytes
MAX_NAME = 1024  # characters
LENSES = tuple(COLMAP_PARAMETERS)  # a tuple: what is asked about may be of any type
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


class OtherLens(ValueError):
    """A lens that the later stages do not know."""


def colmap_lens(model: str, width: Any, height: Any, params: list[Any]) -> Lens:
    """Raises ValueError."""
    names = COLMAP_PARAMETERS.get(model)
    if names is None:
        raise OtherLens(f"its lens ({shown(model)}) is none that is known: {', '.join(COLMAP_PARAMETERS)}")
    if len(names) != len(params):
        raise ValueError(f"{model} has {len(names)} parameters, and {len(params)} are given")
    values = dict(zip(names, params, strict=True))
    if "f" in values:
        values["fx"] = values["fy"] = values.pop("f")
    return lens(values, width, height, fisheye=model.endswith("FISHEYE"))


def name_of(entry: dict[str, Any], key: str) -> str:
    """Raises ValueError for what is no name."""
    value = entry.get(key)
    if not isinstance(value, str) or not 0 < len(value) <= MAX_NAME:
        raise ValueError(f"{key} is no name")
    return value


def matrix_of(value: Any, what: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    """[4, 4]; three rows will do. Raises ValueError."""
    if not (
        isinstance(value, list) and len(value) in (3, 4) and all(isinstance(r, list) and len(r) == 4 for r in value)
    ):
        raise ValueError(f"{what} is no matrix of 4 x 4 numbers")
    rows = np.array([[number(cell, MAX_COORDINATE, what) for cell in row] for row in value])
    if len(rows) == 4 and np.abs(rows[3] - [0, 0, 0, 1]).max() > 1e-6:
        raise ValueError(f"the last row of {what} is not 0 0 0 1")
    return rows


def check_count(file: str, count: int) -> None:
    """Raises InputError BAD_POSES for more images than a scene can have."""
    if count > MAX_PICTURES:
        raise bad(file, "", f"it has {count:,} pictures; {MAX_PICTURES:,} are allowed")


def _not_finite(word: str) -> NoReturn:
    raise ValueError(f"{word} is no number")
