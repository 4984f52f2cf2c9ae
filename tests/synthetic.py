"""A textured room seen by a camera whose poses are known, for tests of reconstruction without footage."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from runner.scene.frames import ClipInfo, Frame, FrameSet

WIDTH, HEIGHT, FOCAL = 320, 240, 300.0
# Planes of the room: a point on it, its normal, and the two axes of its texture.
PLANES = (
    (np.array([0.0, 0.0, 7.0]), np.array([0.0, 0.0, -1.0]), np.array([1.0, 0, 0]), np.array([0, 1.0, 0])),
    (np.array([0.0, 1.4, 0.0]), np.array([0.0, -1.0, 0.0]), np.array([1.0, 0, 0]), np.array([0, 0, 1.0])),
    (np.array([-2.5, 0.0, 0.0]), np.array([1.0, 0.0, 0.0]), np.array([0, 1.0, 0]), np.array([0, 0, 1.0])),
)


@lru_cache
def texture(seed: int, size: int = 1024) -> NDArray[np.float64]:
    """Blobs of several sizes, the kind of thing SIFT finds. [size, size] 0..255"""
    rng = np.random.default_rng(seed)
    layers = []
    for cells in (32, 64, 128, 256):
        noise = Image.fromarray((rng.random((cells, cells)) * 255).astype(np.uint8))
        layers.append(np.asarray(noise.resize((size, size), Image.Resampling.BICUBIC), np.float64))
    return np.mean(layers, axis=0)


def looking_at(position: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
    """World-to-camera rotation [3, 3]; x right, y down, z forward."""
    z = (target - position) / np.linalg.norm(target - position)
    x = np.cross(np.array([0.0, 1.0, 0.0]), z)
    x /= np.linalg.norm(x)
    return np.stack([x, np.cross(z, x), z])


def render(
    position: NDArray[np.float64], rotation: NDArray[np.float64], seed: int = 0, *,
    size: tuple[int, int] = (WIDTH, HEIGHT), focal: float = FOCAL, tile: int | None = None,
) -> NDArray[np.uint8]:  # fmt: skip
    """What a pinhole camera sees of the room. [height, width, 3]. size: width, height; focal: both in px.

    tile: the textures repeat themselves after so many texels, of which a metre has 120.
    """
    width, height = size
    v, u = np.mgrid[0:height, 0:width] + 0.5
    rays = np.stack([(u - width / 2) / focal, (v - height / 2) / focal, np.ones_like(u)], axis=-1) @ rotation
    nearest = np.full(u.shape, np.inf)
    picture = np.zeros(u.shape)
    for number, (point, normal, right, down) in enumerate(PLANES):
        slope = rays @ normal
        distance = np.where(slope < -1e-6, ((point - position) @ normal) / np.minimum(slope, -1e-6), np.inf)
        hit = (distance > 0) & (distance < nearest)
        surface = position + rays * np.where(hit, distance, 0.0)[..., None]
        pattern = texture(10 * seed + number)[:tile, :tile]
        column = (surface @ right * 120).astype(int) % pattern.shape[1]
        row = (surface @ down * 120).astype(int) % pattern.shape[0]
        picture = np.where(hit, pattern[row, column], picture)
        nearest = np.where(hit, distance, nearest)
    return np.repeat(np.clip(2 * picture - 128, 0, 255).astype(np.uint8)[..., None], 3, axis=-1)


def walk(count: int) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Positions and rotations along an arc through the room."""
    poses = []
    for t in np.linspace(-1, 1, count):
        position = np.array([1.6 * t, -0.3 * t * t, 0.8 - 0.6 * t * t])
        poses.append((position, looking_at(position, np.array([-0.3, 0.2, 6.0]))))
    return poses


def write_frames(workspace: Path, clips: dict[str, list[NDArray[np.uint8]]]) -> FrameSet:
    """The pictures as the frame stage would leave them."""
    infos, frames, sources = [], [], []
    for name, pictures in clips.items():
        sources.append((f"{name}.mp4", hashlib.sha256(b"".join(pixels.tobytes() for pixels in pictures)).hexdigest()))
        (workspace / "frames" / name).mkdir(parents=True)
        for index, pixels in enumerate(pictures):
            image = f"{name}/{index:06d}.png"
            Image.fromarray(pixels).save(workspace / "frames" / image)
            frames.append(Frame(image, f"{name}.mp4", index, index / 5, 1.0))
        size = (pictures[0].shape[1], pictures[0].shape[0])
        infos.append(ClipInfo(f"{name}.mp4", name, len(pictures), *size, 5.0, len(pictures) / 5, "h264", 0))
    return FrameSet(tuple(infos), tuple(frames), sources=tuple(sources))


def pose_errors(
    found: NDArray[np.float64], found_rotations: NDArray[np.float64],
    true: NDArray[np.float64], true_rotations: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:  # fmt: skip
    """Position errors [N] after the best similarity (Umeyama 1991), relative to the mean distance of the true cameras
    from their centre; and errors [N (N-1) / 2] in degrees of the rotations between pairs, which need no alignment."""
    a, b = found - found.mean(axis=0), true - true.mean(axis=0)
    u, s, vt = np.linalg.svd(b.T @ a)
    flip = np.diag([1.0, 1.0, np.sign(np.linalg.det(u @ vt))])
    aligned = (s @ np.diag(flip)) / (a**2).sum() * a @ (u @ flip @ vt).T
    positions = np.linalg.norm(aligned - b, axis=1) / np.linalg.norm(b, axis=1).mean()
    one, two = np.triu_indices(len(true), 1)
    between = np.einsum("nij,nkj->nik", found_rotations[one], found_rotations[two])
    expected = np.einsum("nij,nkj->nik", true_rotations[one], true_rotations[two])
    cosine = (np.einsum("nij,nij->n", between, expected) - 1) / 2
    return positions, np.degrees(np.arccos(np.clip(cosine, -1, 1)))
