"""A furnished room seen by lenses that are no pinhole, from places that are known: 360-degree and fisheye footage.

Camera axes as everywhere: x right, y down, z forward; the world of the room has z up.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from local.footage.ray_caster import QUAD, Patch, World, packed, render_rays
from tests.videos import write_video

Array = NDArray[np.float64]
Pose = tuple[Array, Array]  # position [3]; rotation world to camera [3, 3]

HALF, HEIGHT = (4.0, 3.0), 3.0  # metres: half the length and width of the room; its height
TEXELS = 150  # per metre
# Boxes: centre x, y; half edges; height.
BOXES = ((2.6, 1.7, 0.5, 0.4, 1.1), (-2.4, -1.6, 0.4, 0.6, 1.6), (-2.9, 1.9, 0.5, 0.3, 0.8), (1.9, -2.0, 0.7, 0.3, 0.9),
         (0.3, 2.3, 0.3, 0.3, 2.0), (-0.4, -2.3, 0.3, 0.25, 1.3))  # fmt: skip


@lru_cache
def room(seed: int = 0) -> World:
    """Walls, floor and ceiling of other textures, and boxes along the walls; the middle is free to walk."""
    patches: list[Patch] = []

    def quad(centre: tuple[float, float, float], u: Array, v: Array, across: float, up: float) -> None:
        rng = np.random.default_rng([seed, len(patches)])
        size = max(32, int(2 * across * TEXELS)), max(32, int(2 * up * TEXELS))
        grey = np.mean([_blobs(rng, size, cell) for cell in (6, 12, 25, 60)], axis=0)
        colour = (np.clip(2 * grey - 0.5, 0.03, 0.97)[..., None] * (0.75 + 0.25 * rng.random(3))).astype(np.float32)
        axes = np.array([u, v, np.cross(u, v)], np.float64)
        patches.append(Patch(QUAD, np.array(centre), axes, (across, up), colour))

    x, y, z = np.eye(3)
    long, wide = HALF
    quad((0, 0, 0), x, y, long, wide)
    quad((0, 0, HEIGHT), x, -y, long, wide)
    for side in (-1, 1):
        quad((0, side * wide, HEIGHT / 2), -side * x, z, long, HEIGHT / 2)
        quad((side * long, 0, HEIGHT / 2), side * y, z, wide, HEIGHT / 2)
    for cx, cy, a, b, height in BOXES:
        quad((cx, cy, height), x, y, a, b)
        for side in (-1, 1):
            quad((cx, cy + side * b, height / 2), side * x, z, a, height / 2)
            quad((cx + side * a, cy, height / 2), -side * y, z, b, height / 2)
    return packed(patches)


def _blobs(rng: np.random.Generator, size: tuple[int, int], cell: int) -> Array:
    """[height, width] 0..1, blobs of about `cell` texels; nothing repeats. size: width, height."""
    coarse = rng.random((size[1] // cell + 2, size[0] // cell + 2))
    image = Image.fromarray((coarse * 255).astype(np.uint8)).resize(size, Image.Resampling.BICUBIC)
    return np.asarray(image, np.float64) / 255


def walk(count: int, looking: float | None = None) -> list[Pose]:
    """A loop around the middle of the room. looking: degrees from the way ahead, to the right; None: outwards."""
    found = []
    for share in np.linspace(0, 0.8, count):
        angle = 2 * np.pi * share
        position = np.array([1.5 * np.cos(angle), 0.9 * np.sin(angle), 1.5 + 0.1 * np.sin(3 * angle)])
        ahead = np.arctan2(0.9 * np.cos(angle), -1.5 * np.sin(angle))
        heading = angle if looking is None else ahead - np.radians(looking)
        tilt = 0.06 * np.sin(5 * angle)
        forward = np.array([np.cos(heading) * np.cos(tilt), np.sin(heading) * np.cos(tilt), np.sin(tilt)])
        right = np.cross(forward, [0.0, 0.0, 1.0])
        right /= np.linalg.norm(right)
        found.append((position, np.stack([right, np.cross(forward, right), forward])))
    return found


def equirectangular_rays(width: int) -> Array:
    """[width / 2, width, 3] camera axes: the middle looks ahead, the left edge back, the top row up."""
    v, u = np.mgrid[0 : width // 2, 0:width] + 0.5
    longitude, latitude = (u / width - 0.5) * 2 * np.pi, (0.5 - v / (width / 2)) * np.pi
    return np.stack(
        [np.cos(latitude) * np.sin(longitude), -np.sin(latitude), np.cos(latitude) * np.cos(longitude)], axis=-1
    )


def fisheye_rays(width: int, height: int, focal: float, most_deg: float = 200.0) -> Array:
    """[height, width, 3] of an equidistant lens (radius = focal x angle); length 0 beyond half of most_deg."""
    v, u = np.mgrid[0:height, 0:width] + 0.5
    x, y = u - width / 2, v - height / 2
    radius = np.hypot(x, y)
    angle = radius / focal
    sine = np.where(radius > 0, np.sin(angle) / np.maximum(radius, 1e-9), 1 / focal)
    rays = np.stack([x * sine, y * sine, np.cos(angle)], axis=-1)
    return np.where((angle <= np.radians(most_deg) / 2)[..., None], rays, 0.0)


def seen(pose: Pose, rays: Array, seed: int = 0) -> NDArray[np.uint8]:
    """[height, width, 3] what comes along rays [height, width, 3] of the camera."""
    position, rotation = pose
    height, width = rays.shape[:2]
    middle = rays[height // 2, width // 2 - 1 : width // 2 + 1]
    pixel_rad = float(np.linalg.norm(middle[1] - middle[0]))
    flat = np.ascontiguousarray((rays @ rotation).reshape(-1, 3))
    return render_rays(room(seed), position, flat, pixel_rad).reshape(height, width, 3)


def film(path: Path, poses: list[Pose], rays: Array, *, fps: int = 5, seed: int = 0, crf: int = 14) -> Path:
    """A clip of these poses, one frame each."""

    def pictures() -> Iterator[NDArray[np.uint8]]:
        for pose in poses:
            yield seen(pose, rays, seed)

    return write_video(path, pictures(), fps=fps, crf=crf)


def truth(poses: list[Pose]) -> list[Array]:
    """World to camera [4, 4] of each."""
    found = []
    for position, rotation in poses:
        matrix = np.eye(4)
        matrix[:3, :3], matrix[:3, 3] = rotation, -rotation @ position
        found.append(matrix)
    return found
