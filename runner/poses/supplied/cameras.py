"""What a supplied camera is: its lens and its pose, each checked. The files that hold them, by their names:

transforms.json                        nerfstudio, instant-ngp
cameras.json                           what an earlier run of this program left beside its result
[sparse/0/, sparse/] cameras, images   a COLMAP model, .bin or .txt
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from runner.scene.inputs.pose_files import shown
from scenejobs.errors import Code, InputError
from scenejobs.logs.setup import printable

MAX_PICTURES = 20_000
MAX_COORDINATE = 1e7  # of a camera's position, in the units of the file: larger ones lose the digits that matter
MAX_PIXELS = 100_000.0  # sides, focal lengths
MAX_DISTORTION = 10.0
ORTHOGONAL = 2e-3  # what a rotation may be off by: files keep five digits or more


@dataclass(frozen=True)
class Lens:
    """OpenCV's pinhole camera with distortion, or its fisheye, in pixels of an image of width x height.

    width 0: the file does not say for which size; lengths are in widths of the image, its centre is the centre.
    """

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    k1: float = 0.0
    k2: float = 0.0
    p1: float = 0.0
    p2: float = 0.0
    sure: bool = True  # False: no distortion is known, or the focal length only roughly
    fisheye: bool = False  # the distance from the middle is that of the angle, bent by k1 to k4
    k3: float = 0.0  # these two of a fisheye only
    k4: float = 0.0

    def scaled(self, width: int, height: int) -> Lens:
        """Of the same image in another size."""
        if not self.width:
            return replace(self, width=width, height=height, fx=self.fx * width, fy=self.fy * width,
                           cx=width / 2, cy=height / 2)  # fmt: skip
        x, y = width / self.width, height / self.height
        return replace(self, width=width, height=height, fx=self.fx * x, fy=self.fy * y,
                       cx=self.cx * x, cy=self.cy * y)  # fmt: skip

    def turned(self) -> Lens:
        """Of the same image turned by 90 degrees counter-clockwise: x' = y, y' = width - x."""
        return replace(self, width=self.height, height=self.width, fx=self.fy, fy=self.fx,
                       cx=self.cy, cy=self.width - self.cx, p1=-self.p2, p2=self.p1)  # fmt: skip


@dataclass(frozen=True)
class PosedImage:
    """An image with its camera, as a file describes it."""

    name: str  # as the file calls it: "images/IMG_0001.jpg", "view1/000012.png"
    lens: Lens
    pose: tuple[float, ...]  # 12 numbers, the rows of [R | t]: world to camera, OpenCV axes (x right, y down, z ahead)
    frame: tuple[str, int, float] | None = None  # of our own files: clip, number of the frame, seconds


def bad(file: str, where: str, what: str, advice: str = "") -> InputError:
    """A file that cannot be what it is called."""
    cause = f"{printable(file)}{', ' if where else ''}{printable(where)}: {what}"
    advice = advice or "export the poses again, or leave the file out: then poses are found from the pictures"
    return InputError(cause, advice=advice, code=Code.BAD_POSES, stage="validation", files=(file,))


def number(value: object, most: float, what: str) -> float:
    """Raises ValueError for what is no finite number of at most that size."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= most:
        raise ValueError(f"{what} is {shown(repr(value))}, and a number up to {most:g} is needed")
    return float(value)


def pose(rotation: NDArray[np.float64], translation: Sequence[float]) -> tuple[float, ...]:
    """World to camera [3, 3] and [3], made exactly orthogonal. Raises ValueError where it is no rotation."""
    if np.abs(rotation).max() > 1e3:
        raise ValueError("the rotation has numbers that no rotation has")
    determinant = float(np.linalg.det(rotation))
    scale = abs(determinant) ** (1 / 3)
    if scale < 1e-6 or np.abs(rotation @ rotation.T / scale**2 - np.eye(3)).max() > ORTHOGONAL:
        raise ValueError("the matrix is no rotation: its axes are not at right angles, or of different lengths")
    if determinant < 0:
        raise ValueError("the matrix mirrors the world: its determinant is negative")
    if abs(scale - 1) > ORTHOGONAL:
        raise ValueError(f"the matrix scales by {scale:.4g}: a camera's axes have length 1")
    u, _, vt = np.linalg.svd(rotation)
    exact = u @ vt
    rows = np.hstack([exact, np.array(translation, np.float64).reshape(3, 1)])
    if not np.isfinite(rows).all() or np.abs(rows[:, 3]).max() > MAX_COORDINATE:
        raise ValueError("the camera is further away than numbers can tell")
    return tuple(map(float, rows.ravel()))


def lens(values: Mapping[str, object], width: object, height: object, *, fisheye: bool = False) -> Lens:
    """From fx, fy, cx, cy in pixels and k1, k2, p1, p2; of a fisheye k1 to k4. Raises ValueError."""
    sides = (_side(width, "the width"), _side(height, "the height"))
    numbers = {
        key: number(value, MAX_DISTORTION if key[0] in "kp" else MAX_PIXELS, key) for key, value in values.items()
    }
    made = Lens(*sides, fisheye=fisheye, **numbers)  # type: ignore[arg-type]  # mypy sees floats for `sure`, no key
    if min(made.fx, made.fy) <= 0:
        raise ValueError("the focal length is not positive")
    if not (0 <= made.cx <= made.width and 0 <= made.cy <= made.height):
        raise ValueError(f"the principal point {made.cx:g}, {made.cy:g} lies outside of {made.width}x{made.height}")
    if not math.isclose(made.fx, made.fy, rel_tol=0.5):
        raise ValueError(f"fx {made.fx:g} and fy {made.fy:g} cannot be of one lens")
    return made


def _side(value: object, what: str) -> int:
    """Raises ValueError for what is no whole number of pixels."""
    side = number(value, MAX_PIXELS, what)
    if side != int(side) or side < 1:
        raise ValueError(f"{what} is {value}, and a whole number of pixels is needed")
    return int(side)
