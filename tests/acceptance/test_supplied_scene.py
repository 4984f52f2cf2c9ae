"""Photos with the poses their user had, from the command line to files a viewer opens."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import jsonschema
import numpy as np
import pytest

from runner.report.documents import SCHEMA_FILE
from tests.photos import write_photo
from tests.supplied import transforms, write_json
from tests.synthetic import FOCAL, HEIGHT, WIDTH, render, walk

ROOT = Path(__file__).parents[2]
SMALL = {
    "MIN_VIDEO_WIDTH": str(WIDTH), "MIN_VIDEO_HEIGHT": str(HEIGHT), "COLMAP_MAX_NUM_FEATURES": "600",
    "MIN_RECONSTRUCTION_POINTS": "200",
}  # fmt: skip


@pytest.mark.slow
def test_photos_with_transforms_json_become_a_scene_in_its_world(tmp_path: Path) -> None:
    """The exported cameras are the supplied ones, neither turned upright nor scaled, and all documents say where they
    are from. One of the poses names no photo, and one photo has no pose: it is placed beside the others."""
    poses = walk(9)
    photos = [write_photo(tmp_path / f"IMG_{i}.jpg", render(*pose)) for i, pose in enumerate(poses)]
    names = [f"./images/IMG_{i}" for i in range(8)] + ["./images/IMG_99"]
    poses_file = write_json(tmp_path / "transforms.json", transforms(names, poses, (WIDTH, HEIGHT), FOCAL))
    out = tmp_path / "room"
    command = [sys.executable, "-m", "runner", "scene", *map(str, photos), str(poses_file), "--out", str(out)]
    command += ["--preset", "smoke", "--backend", "cpu", "--threads", "2"]
    environment = {name: os.environ[name] for name in ("PATH", "HOME", "NUMBA_CACHE_DIR") if name in os.environ}
    done = subprocess.run(
        command, cwd=ROOT, env=environment | SMALL, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr + done.stdout

    true = {f"IMG_{i}.jpg": pose for i, pose in enumerate(poses)}
    cameras = json.loads((out / "cameras.json").read_text())
    assert sorted(camera["photo"] for camera in cameras) == sorted(true)
    for camera in cameras:
        position, rotation = true[camera["photo"]]
        matrix = np.array(camera["world_to_camera"])
        exact = 1e-6 if camera["photo"] != "IMG_8.jpg" else 0.03
        assert matrix[:3, :3] == pytest.approx(rotation, abs=exact)
        assert -matrix[:3, :3].T @ matrix[:3, 3] == pytest.approx(position, abs=exact)
        assert camera["lens"]["params"][0] == pytest.approx(FOCAL)
    manifest = json.loads((out / "manifest.json").read_text())
    jsonschema.validate(manifest, json.loads(SCHEMA_FILE.read_text()))
    supplied = manifest["reconstruction"]["supplied"]
    assert (supplied["source"], supplied["used"], supplied["adjusted"]) == ("transforms.json", True, False)
    assert (supplied["pictures_in_file"], supplied["pictures_matched"]) == (9, 8)
    assert manifest["reconstruction"]["rung"] == "supplied: transforms.json"
    assert json.loads((out / "metrics.json").read_text())["psnr_heldout"] > 14
    assert json.loads((out / "orientation.json").read_text())["model_to_output"] == np.eye(4).tolist()
    report = (out / "report.html").read_text()
    assert "supplied: transforms.json" in report
    assert "8 of 9 supplied poses" in report
