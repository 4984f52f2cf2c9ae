"""A COLMAP model of undistorted views, in its binary files: cameras.bin, images.bin, points3D.bin.

Layout: https://colmap.github.io/format.html. Its axes are ours (x right, y down, z ahead), and so are its pixel centres
(at .5). Which view saw which point is known, where in it is not kept: the 2D features are the points as the cameras
project them, so the reprojection errors of the file are those of the points, and not of its features.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runner.scene.geometry import quaternion
from runner.scene.views import TrainingScene, View

PINHOLE = 1  # number of the model; its parameters: fx, fy, cx, cy


@dataclass(frozen=True)
class ColmapModel:
    """The three files, to be put into one folder."""

    cameras: bytes
    images: bytes
    points: bytes


def colmap_model(scene: TrainingScene, names: Sequence[str]) -> ColmapModel:
    """names: of the pictures, one per view. Views of one size and K share a camera."""
    numbers: dict[tuple[float, ...], int] = {}
    for view in scene.views:
        numbers.setdefault(_lens(view), len(numbers) + 1)
    cameras = struct.pack("<Q", len(numbers))
    for (width, height, *params), number in numbers.items():
        cameras += struct.pack("<IiQQ4d", number, PINHOLE, int(width), int(height), *params)
    features = _features(scene)
    images = [struct.pack("<Q", len(scene.views))]
    for index, (view, name) in enumerate(zip(scene.views, names, strict=True)):
        pose = view.world_to_camera
        images.append(struct.pack("<I7d", index + 1, *quaternion(pose[:3, :3]), *pose[:3, 3]))
        images.append(struct.pack("<I", numbers[_lens(view)]) + name.encode() + b"\0")
        points, pixels = features[index]
        rows = np.empty(len(points), [("x", "<f8"), ("y", "<f8"), ("point", "<i8")])
        rows["x"], rows["y"], rows["point"] = pixels[:, 0], pixels[:, 1], points + 1
        images.append(struct.pack("<Q", len(points)) + rows.tobytes())
    return ColmapModel(cameras, b"".join(images), _points(scene, [points for points, _ in features]))


def _lens(view: View) -> tuple[float, ...]:
    return (view.width, view.height, *(float(view.K[place]) for place in ((0, 0), (1, 1), (0, 2), (1, 2))))


def _features(scene: TrainingScene) -> list[tuple[NDArray[np.int64], NDArray[np.float64]]]:
    """Per view the points that it saw [M], and where they are in it [M, 2] in pixels; those behind it are left out."""
    found = []
    for index, view in enumerate(scene.views):
        points = np.unique(scene.sightings[scene.sightings[:, 0] == index, 1]).astype(np.int64)
        places = scene.points[points].astype(np.float64) @ view.world_to_camera[:3, :3].T + view.world_to_camera[:3, 3]
        ahead = np.isfinite(places).all(axis=1) & (places[:, 2] > 0)
        projected = places[ahead] @ view.K.T
        found.append((points[ahead], projected[:, :2] / projected[:, 2:]))
    return found


def _points(scene: TrainingScene, seen: Sequence[NDArray[np.int64]]) -> bytes:
    """points3D.bin: the tracks name a view and the place of the feature in its list, both as images.bin has them."""
    tracks: dict[int, list[tuple[int, int]]] = {}
    for index, points in enumerate(seen):
        for place, point in enumerate(points.tolist()):
            tracks.setdefault(point, []).append((index + 1, place))
    kept = np.flatnonzero(np.isfinite(scene.points).all(axis=1)).tolist()
    blocks = [struct.pack("<Q", len(kept))]
    for point in kept:
        track = tracks.get(point, [])
        color = (int(value) for value in scene.colors[point])
        xyz = (float(value) for value in scene.points[point])
        blocks.append(struct.pack("<Q3d3BdQ", point + 1, *xyz, *color, float(scene.point_errors[point]), len(track)))
        blocks.append(struct.pack(f"<{2 * len(track)}I", *(number for pair in track for number in pair)))
    return b"".join(blocks)
