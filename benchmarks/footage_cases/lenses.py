"""Lenses that are no pinhole: 360-degree and fisheye films of a room that is rendered, so their cameras are known."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.footage_cases.case import Case, Run, refused, result, wrong_cameras
from runner.scene.view_directions import NAMES, cam_from_first
from tests.videos import write_video
from tests.wide_lenses import Pose, equirectangular_rays, film, fisheye_rays, seen, truth, walk

FRAMES = 40
POSE_ERROR = 2.0  # per cent
Cameras = Mapping[tuple[str, int], NDArray[np.float64]]


def _sphere_poses() -> list[Pose]:
    return walk(FRAMES, 0.0)


def _sphere(folder: Path) -> Sequence[Path]:
    return [film(folder / "round.mp4", _sphere_poses(), equirectangular_rays(1600))]


def _sphere_truth(_: Run) -> Cameras:
    found = {}
    for index, pose in enumerate(truth(_sphere_poses())):
        for turns, name in enumerate(NAMES):
            turned = pose.copy()
            turned[:3] = cam_from_first(turns) @ pose[:3]
            found[f"round.mp4 ({name})", index] = turned
    return found


def _with_a_phone(folder: Path) -> Sequence[Path]:
    """The same, and what a phone sees that is carried along the same way."""
    v, u = np.mgrid[0:480, 0:640]
    rays = np.stack([(u - 319.5) / 500, (v - 239.5) / 500, np.ones(u.shape)], axis=-1)
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    return [*_sphere(folder), film(folder / "phone.mp4", walk(FRAMES), rays)]


def _truth_with_a_phone(run: Run) -> Cameras:
    phone = {("phone.mp4", index): pose for index, pose in enumerate(truth(walk(FRAMES)))}
    return {**_sphere_truth(run), **phone}


def _right_with_a_phone(run: Run) -> str:
    """Cameras of both films that are where they were."""
    used = {video.split(" (")[0] for video, _ in run.cameras()}
    missing = {"round.mp4", "phone.mp4"} - used
    return _right(_truth_with_a_phone)(run) or (f"{', '.join(missing)} is not used" if missing else "")


def _fisheye(folder: Path, across_deg: float) -> Sequence[Path]:
    """A disc in the middle of the frame above 180 degrees, else a full frame."""
    width, height = (960, 540) if across_deg < 180 else (960, 720)
    focal = (width if across_deg < 180 else height) / 2 / math.radians(across_deg / 2)
    rays = fisheye_rays(width, height, focal, 360 if across_deg < 180 else across_deg)
    return [film(folder / "wide.mp4", walk(FRAMES), rays)]


def _fisheye_truth(_: Run) -> Cameras:
    return {("wide.mp4", index): pose for index, pose in enumerate(truth(walk(FRAMES)))}


def _raw(folder: Path) -> Sequence[Path]:
    rays = fisheye_rays(480, 480, 240 / math.radians(95), 190)
    pairs = zip(walk(20), walk(20, 180.0), strict=True)
    pictures = [np.hstack([seen(front, rays), seen(back, rays)]) for front, back in pairs]
    return [write_video(folder / "VID_20240101_120000_00_001.insv", pictures, fps=1)]


def _right(cameras: Callable[[Run], Cameras]) -> Callable[[Run], str]:
    """A result with cameras that are where they were."""

    def right(run: Run) -> str:
        return result(run) or wrong_cameras(run, cameras(run), POSE_ERROR)

    return right


CASES = (
    Case(
        "sphere", "12 lenses", "a 360-degree film without metadata", _sphere, _right(_sphere_truth),
        truth=_sphere_truth,
    ),
    Case(
        "sphere-and-phone", "12 lenses", "a 360-degree film and one of a phone, of one room", _with_a_phone,
        _right_with_a_phone, truth=_truth_with_a_phone,
    ),
    *(
        Case(
            f"fisheye-{across}", "12 lenses", f"an equidistant fisheye of {across} degrees",
            partial(_fisheye, across_deg=across), _right(_fisheye_truth),
            arguments=("--preset", "smoke", "--frames", "24"), truth=_fisheye_truth,
        )
        for across in (120, 150, 190)
    ),
    Case("raw-discs", "12 lenses", "a raw recording of a 360-degree camera (.insv)", _raw, refused("PANORAMA")),
)  # fmt: skip
