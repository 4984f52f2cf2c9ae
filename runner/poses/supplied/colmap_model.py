"""A strict reader of COLMAP's cameras and images, binary and text. pycolmap aborts its process on many damaged files.

Formats: https://colmap.github.io/format.html. The points of a model are not read: they are triangulated anew from the
pictures, which shows at the same time whether the poses fit them.
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from runner.poses.supplied.cameras import MAX_PICTURES, Lens, PosedImage, bad, number, pose
from runner.poses.supplied.json_values import MAX_NAME, colmap_lens
from runner.scene.geometry import rotation_of
from runner.scene.inputs.pose_files import shown
from scenejobs.errors import Code, InputError

# Number and parameters of each model (src/colmap/sensor/models.h); those that cannot be used must be skipped.
MODELS = {
    0: ("SIMPLE_PINHOLE", 3), 1: ("PINHOLE", 4), 2: ("SIMPLE_RADIAL", 4), 3: ("RADIAL", 5), 4: ("OPENCV", 8),
    5: ("OPENCV_FISHEYE", 8), 6: ("FULL_OPENCV", 12), 7: ("FOV", 5), 8: ("SIMPLE_RADIAL_FISHEYE", 4),
    9: ("RADIAL_FISHEYE", 5), 10: ("THIN_PRISM_FISHEYE", 12), 11: ("RAD_TAN_THIN_PRISM_FISHEYE", 16),
}  # fmt: skip
MAX_BYTES = 2 << 30  # of images.bin: mostly features, which are skipped
MAX_LINE = 8 << 20  # bytes, of text: 100,000 features of 60 bytes
MAX_LINES = 4 * MAX_PICTURES + 10_000  # of text, comments and empty ones too: an image has two
MAX_FEATURES = 1_000_000  # of one image
UNIT = 1e-3  # what the length of a quaternion may be off by
FEATURE_BYTES = 24  # x, y, number of the point


def read_model(cameras: tuple[Path, str], images: tuple[Path, str]) -> list[PosedImage]:
    """Each file with its name; both binary or both text. Raises InputError BAD_POSES, TOO_LARGE."""
    for path, file in (cameras, images):
        if path.stat().st_size > MAX_BYTES:
            cause = f"{file} has {path.stat().st_size:,} bytes; {MAX_BYTES:,} are allowed"
            raise InputError(cause, advice="upload a smaller model", code=Code.TOO_LARGE, stage="validation")
    text = cameras[1].endswith(".txt")
    lenses = _text_cameras(*cameras) if text else _binary_cameras(*cameras)
    return list((_text_images if text else _binary_images)(*images, lenses))


def _binary_cameras(path: Path, file: str) -> dict[int, Lens]:
    lenses: dict[int, Lens] = {}
    with path.open("rb") as source:
        for position in range(1, _count(source, file) + 1):
            where = f"camera {position}"
            try:
                camera, model, width, height = struct.unpack("<IiQQ", _exactly(source, 24))
                if model not in MODELS:
                    raise ValueError(f"there is no camera model {model}")
                name, count = MODELS[model]
                lenses[camera] = colmap_lens(
                    name, width, height, list(struct.unpack(f"<{count}d", _exactly(source, 8 * count)))
                )
            except ValueError as exc:
                raise bad(file, where, str(exc)) from exc
        _at_end(source, file)
    return lenses


def _binary_images(path: Path, file: str, lenses: dict[int, Lens]) -> Iterator[PosedImage]:
    size = path.stat().st_size
    with path.open("rb") as source:
        for position in range(1, _count(source, file) + 1):
            where = f"image {position}"
            try:
                _, *numbers = struct.unpack("<I7d", _exactly(source, 60))
                (camera,) = struct.unpack("<I", _exactly(source, 4))
                name = _until_zero(source)
                where += f" ({shown(name)})"
                (features,) = struct.unpack("<Q", _exactly(source, 8))
                if features > MAX_FEATURES or source.tell() + FEATURE_BYTES * features > size:
                    raise ValueError("the file ends before its features do")
                source.seek(FEATURE_BYTES * features, 1)
                yield _picture(name, numbers, camera, lenses)
            except ValueError as exc:
                raise bad(file, where, str(exc)) from exc
        _at_end(source, file)


def _text_cameras(path: Path, file: str) -> dict[int, Lens]:
    lenses: dict[int, Lens] = {}
    for position, line in _lines(path, file):
        if not line.strip():
            continue
        try:
            camera, model, width, height, *params = line.split(maxsplit=20)
            lenses[_whole(camera)] = colmap_lens(model, _whole(width), _whole(height), [float(p) for p in params])
            if len(lenses) > MAX_PICTURES:
                raise ValueError(f"more than {MAX_PICTURES:,} cameras")
        except ValueError as exc:
            raise bad(file, f"line {position}", shown(exc)) from exc
    return lenses


def _text_images(path: Path, file: str, lenses: dict[int, Lens]) -> Iterator[PosedImage]:
    """Two lines for each image; the second, its features, may be empty."""
    found = 0
    lines = _lines(path, file)
    for position, line in lines:
        if not line.strip():
            continue
        try:
            parts = line.split(maxsplit=9)
            if len(parts) < 10:
                raise ValueError("ten values are needed: number, qw, qx, qy, qz, tx, ty, tz, camera, name")
            found += 1
            if found > MAX_PICTURES:
                raise ValueError(f"more than {MAX_PICTURES:,} pictures")
            _whole(parts[0])
            posed = _picture(parts[9].strip(), [float(p) for p in parts[1:8]], _whole(parts[8]), lenses)
        except ValueError as exc:
            raise bad(file, f"line {position}", shown(exc)) from exc
        next(lines, None)
        yield posed


def _picture(name: str, numbers: list[float], camera: int, lenses: dict[int, Lens]) -> PosedImage:
    """numbers: qw, qx, qy, qz, tx, ty, tz: world to camera. Raises ValueError."""
    if camera not in lenses:
        raise ValueError(f"there is no camera {camera}")
    if not 0 < len(name) <= MAX_NAME:
        raise ValueError("it has no name")
    quaternion = np.array([number(value, 2.0, "the quaternion") for value in numbers[:4]])
    length = float(np.linalg.norm(quaternion))
    if abs(length - 1) > UNIT:
        raise ValueError(f"the quaternion has length {length:.4g}, and 1 is needed")
    return PosedImage(name, lenses[camera], pose(rotation_of(quaternion), numbers[4:]))


def _count(source: BinaryIO, file: str) -> int:
    try:
        (count,) = struct.unpack("<Q", _exactly(source, 8))
    except ValueError as exc:
        raise bad(file, "", str(exc)) from exc
    if count > MAX_PICTURES:
        raise bad(file, "", f"it has {count:,} entries; {MAX_PICTURES:,} are allowed")
    return int(count)


def _exactly(source: BinaryIO, size: int) -> bytes:
    data = source.read(size)
    if len(data) < size:
        raise ValueError("the file ends in the middle of it")
    return data


def _until_zero(source: BinaryIO) -> str:
    data = source.read(4 * MAX_NAME)
    name, zero, _ = data.partition(b"\0")
    if not zero:
        raise ValueError("its name does not end")
    source.seek(len(name) + 1 - len(data), 1)
    return name.decode("utf-8")  # a UnicodeDecodeError is a ValueError


def _at_end(source: BinaryIO, file: str) -> None:
    if source.read(1):
        raise bad(file, "", "there is more in it than its count says")


def _lines(path: Path, file: str) -> Iterator[tuple[int, str]]:
    """Number and text of each line that is no comment."""
    with path.open("rb") as source:
        for position in itertools.count(1):
            line = source.readline(MAX_LINE)
            if not line:
                return
            if position > MAX_LINES:
                raise bad(
                    file, "", f"it has more than {MAX_LINES:,} lines, which {MAX_PICTURES:,} pictures do not need"
                )
            if len(line) == MAX_LINE:
                raise bad(file, f"line {position}", "it is longer than a line of COLMAP can be")
            if line.startswith(b"#"):
                continue
            try:
                yield position, line.decode("utf-8")
            except UnicodeDecodeError as exc:
                raise bad(file, f"line {position}", "it is no text") from exc


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 12):
        raise ValueError(f"{shown(text)} is no number of the kind that was expected")
    return int(text)
