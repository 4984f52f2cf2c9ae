"""A printed marker in photos of a place: its size is said in scene.yaml, and the scene has metres."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from scripts.marker import BLACK, modules
from tests.photos import write_photo
from tests.synthetic import render, walk

SIZE, FOCAL = (640, 480), 600.0
METRES = 0.5  # of one unit of the generated room
SIDE = 1.2  # of the black square, in units; on the wall at z = 7
MIDDLE = (-0.6, 0.1)


def with_marker(pixels: np.ndarray, position: np.ndarray, rotation: np.ndarray) -> np.ndarray:
    """The picture, with the marker on the far wall."""
    tag, module = modules(3), SIDE / BLACK
    v, u = np.mgrid[0 : SIZE[1], 0 : SIZE[0]] + 0.5
    rays = np.stack([(u - SIZE[0] / 2) / FOCAL, (v - SIZE[1] / 2) / FOCAL, np.ones_like(u)], axis=-1) @ rotation
    wall = position + rays * ((7.0 - position[2]) / rays[..., 2])[..., None]
    column = np.floor((wall[..., 0] - MIDDLE[0]) / module + len(tag) / 2).astype(int)
    row = np.floor((wall[..., 1] - MIDDLE[1]) / module + len(tag) / 2).astype(int)
    on = (column >= 0) & (column < len(tag)) & (row >= 0) & (row < len(tag))
    shown = tag[np.clip(row, 0, len(tag) - 1), np.clip(column, 0, len(tag) - 1)]
    return np.where(on[..., None], shown[..., None], pixels)


@pytest.mark.slow
def test_the_scene_has_metres_within_the_error_that_is_told(tmp_path: Path) -> None:
    poses, files = walk(12), []
    for number, (position, rotation) in enumerate(poses):
        pixels = with_marker(render(position, rotation, size=SIZE, focal=FOCAL), position, rotation)
        files.append(write_photo(tmp_path / f"IMG_{number}.jpg", pixels))
    asked = tmp_path / "scene.yaml"
    asked.write_text(f"marker_size_m: {SIDE * METRES:g}\ntrain_steps: 100\n")
    done = subprocess.run(
        [sys.executable, "-m", "runner", "scene", *map(str, files), str(asked), "--out", str(tmp_path / "out"),
         "--preset", "smoke", "--name", "room", "--colmap-max-num-features", "768"],
        capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    scale = json.loads((tmp_path / "out/orientation.json").read_text())["scale"]
    assert scale["from"] == "printed marker", scale
    cameras = {each["photo"]: each for each in json.loads((tmp_path / "out/cameras.json").read_text())}
    names = [f"IMG_{number}.jpg" for number in range(len(poses)) if f"IMG_{number}.jpg" in cameras]
    found = [np.array(cameras[name]["world_to_camera"]) for name in names]
    centres = np.array([-pose[:3, :3].T @ pose[:3, 3] for pose in found])
    truth = np.array([poses[int(name[4:-4])][0] for name in names])
    spread, wanted = (np.sqrt(((each - each.mean(0)) ** 2).sum()) for each in (centres, METRES * truth))
    off = 100 * abs(scale["metres_per_unit"] * spread / wanted - 1)
    assert off < max(1.0, 3 * scale["error_percent"]), (off, scale)
    assert "printed marker of 0.6 m" in " ".join((tmp_path / "out/report.html").read_text().split())
