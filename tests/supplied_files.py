"""Files of camera poses that the user supplies, right ones, and what is read from them."""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import Any

import numpy as np

from runner.poses.supplied.read import Supplied, read_supplied
from runner.scene.frames import Clip, ClipInfo, Frame, FrameSet
from tests.supplied import transforms, write_json
from tests.synthetic import FOCAL, HEIGHT, WIDTH, walk

SIZE = (WIDTH, HEIGHT)
NAMES = [f"images/IMG_{i:04d}.jpg" for i in range(5)]
POSES = walk(5)
TRANSFORMS = transforms(NAMES, POSES, SIZE, FOCAL)
COLMAP = ["sparse/0/cameras.bin", "sparse/0/images.bin"]


OWN = {"image": "a/000012.png", "video": "a.mp4", "timestamp_s": 0.4, "split": "train", "width": 320, "height": 240,
       "K": [[300.0, 0, 160], [0, 300, 120], [0, 0, 1]], "world_to_camera": np.eye(4).tolist()}  # fmt: skip
"""One camera of a cameras.json as an older version wrote it."""


def read(folder: Path, *names: str) -> Supplied:
    found = read_supplied([Clip(name, folder / name) for name in names])
    assert found is not None
    return found


def read_value(folder: Path, value: Any, name: str = "transforms.json") -> Supplied:
    write_json(folder / name, value)
    return read(folder, name)


def assert_sound(supplied: Supplied) -> None:
    """What no parser may let through, whatever it was given."""
    for picture in supplied.images:
        rows = np.array(picture.pose).reshape(3, 4)
        assert np.isfinite(rows).all()
        assert np.allclose(rows[:, :3] @ rows[:, :3].T, np.eye(3), atol=1e-9)
        assert np.linalg.det(rows[:, :3]) > 0
        lens = picture.lens
        assert all(math.isfinite(value) for value in (lens.fx, lens.fy, lens.cx, lens.cy, lens.k1, lens.k2))
        assert min(lens.fx, lens.fy) > 0
        assert 0 < len(picture.name) <= 1024


def changed(**values: Any) -> dict[str, Any]:
    """The first frame with other values."""
    value = copy.deepcopy(TRANSFORMS)
    value["frames"][0] |= values
    return value


def photo_set(*names: str, size: tuple[int, int] = SIZE, turned_deg: int = 0) -> FrameSet:
    info = ClipInfo("photos", "photos", len(names), *size, 1.0, float(len(names)), "jpeg", 0)
    frames = [
        Frame(f"photos/{i:06d}.png", "photos", i, float(i), 1.0, photo=name, turned_deg=turned_deg)
        for i, name in enumerate(names)
    ]
    return FrameSet((info,), tuple(frames))
