"""Which images of a model contradict their own matches.

Where two images fit together, by one fundamental matrix, a right model agrees: the rays of a match lie in one plane
with the two cameras, and most matches become points. An image that a few chance matches (a repeated window, a far
corner) put elsewhere explains hardly any of the many that it shares with its true neighbours, and the rays of many miss
each other. Neither is enough alone: what only turns has no points, and the rays of a camera that is right but for its
distance miss nothing. Measured: docs/decisions/poses.md, 314.
"""

from __future__ import annotations

import zlib  # noqa: F401 - must be loaded before pycolmap, else Pillow's PNG writer frees its memory in another zlib
from dataclasses import dataclass

import numpy as np
import pycolmap
from numpy.typing import NDArray

LEAST_EXPLAINED = 0.25  # of the matches of an image with others of its model: their two ends are one point
LEAST_CONSISTENT = 0.9  # of them: the rays lie in one plane with the cameras, or one camera only turned
NEAR_PX = 4.0  # from the epipolar line; COLMAP's own limit for two images

F64 = NDArray[np.float64]


@dataclass(frozen=True)
class Agreement:
    """Of one image with its matches; shares, 0 to 1."""

    explained: float
    consistent: float

    @property
    def contradicts(self) -> bool:
        """Is it placed where its own matches say it is not?"""
        return self.explained < LEAST_EXPLAINED and self.consistent < LEAST_CONSISTENT


@dataclass(frozen=True)
class _Placed:
    """A registered image."""

    points: NDArray[np.int64]  # of its features; -1: none
    rays: F64  # [features, 3] in its own axes, z = 1
    world_to_camera: F64  # [3, 4]
    focal_px: float


class Matches:
    """The matches of a database that fit together, of each pair of images."""

    def __init__(self, path: str) -> None:
        with pycolmap.Database.open(path) as database:
            pairs, geometries = database.read_two_view_geometries()
        self._of_pair: dict[tuple[int, ...], NDArray[np.int64]] = {
            tuple(pycolmap.pair_id_to_image_pair(pair)): np.asarray(geometry.inlier_matches, np.int64).reshape(-1, 2)
            for pair, geometry in zip(pairs, geometries, strict=True)
        }

    def agreement(self, model: pycolmap.Reconstruction) -> dict[int, Agreement]:
        """Of each registered image with its matches with other registered images, by its number."""
        placed = {
            image.image_id: _placed(image, model.cameras[image.camera_id])
            for image in model.images.values() if image.has_pose
        }  # fmt: skip
        every, joined, near = (dict.fromkeys(placed, 0) for _ in range(3))
        for (one, two), matches in self._of_pair.items():
            if one in placed and two in placed:
                first, second = placed[one], placed[two]
                ends = first.points[matches[:, 0]], second.points[matches[:, 1]]
                same = int(((ends[0] >= 0) & (ends[0] == ends[1])).sum())
                fitting = int((~_missing(first, second, matches)).sum())
                for image in (one, two):
                    every[image] += len(matches)
                    joined[image] += same
                    near[image] += fitting
        return {
            image: Agreement(joined[image] / every[image], near[image] / every[image])
            for image in placed if every[image]
        }  # fmt: skip

    def drop_contradicted(self, model: pycolmap.Reconstruction) -> tuple[str, ...]:
        """Takes the images that contradict their matches out of a model; their names. What is left is to be adjusted.

        All of them at once, until none is left: of two that are wrong together the second one looks right alone.
        """
        dropped: list[str] = []
        while wrong := [image for image, one in self.agreement(model).items() if one.contradicts]:
            dropped += (model.images[image].name for image in wrong)
            for frame in {model.images[image].frame_id for image in wrong}:
                model.deregister_frame(frame)
        return tuple(dropped)


def _placed(image: pycolmap.Image, lens: pycolmap.Camera) -> _Placed:
    features = image.points2D
    pixels = np.array([feature.xy for feature in features], np.float64).reshape(-1, 2)
    flat = np.asarray(lens.cam_from_img(pixels), np.float64).reshape(-1, 2)
    return _Placed(
        np.array([feature.point3D_id if feature.has_point3D() else -1 for feature in features], np.int64),
        np.column_stack([flat, np.ones(len(flat))]), image.cam_from_world().matrix(),
        float(lens.mean_focal_length()),
    )  # fmt: skip


def _missing(first: _Placed, second: _Placed, matches: NDArray[np.int64]) -> NDArray[np.bool_]:
    """[matches]: the two rays miss each other. What is not a number does not.

    Sampson's distance from the epipolar geometry of the two poses (Hartley and Zisserman 2003, 11.4.3); where the
    cameras stand at one place it says nothing, and the rays are compared as they are.
    """
    x, y = first.rays[matches[:, 0]], second.rays[matches[:, 1]]
    rotation = second.world_to_camera[:, :3] @ first.world_to_camera[:, :3].T
    step = second.world_to_camera[:, 3] - rotation @ first.world_to_camera[:, 3]
    step = step / max(float(np.linalg.norm(step)), 1e-12)
    cross = np.array([[0.0, -step[2], step[1]], [step[2], 0.0, -step[0]], [-step[1], step[0], 0.0]])
    essential = cross @ rotation
    lines, back = x @ essential.T, y @ essential
    slope = np.sqrt((lines[:, :2] ** 2).sum(axis=1) + (back[:, :2] ** 2).sum(axis=1))
    with np.errstate(divide="ignore", invalid="ignore"):
        apart = np.abs((y * lines).sum(axis=1)) / slope * (first.focal_px + second.focal_px) / 2
        turned = x @ rotation.T
        off = np.linalg.norm(turned[:, :2] / turned[:, 2:] - y[:, :2], axis=1) * second.focal_px
    still = (off < NEAR_PX) & (turned[:, 2] > 0)
    missing: NDArray[np.bool_] = (apart >= NEAR_PX) & ~still
    return missing
