"""Real videos on this machine, from the command line to files a viewer opens."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from runner.export.ply import read_ply
from runner.export.splat import read_splat
from runner.report.documents import SCHEMA_FILE
from tests.footage import footage

ROOT = Path(__file__).parents[2]


def written(workspace: Path) -> dict[str, int]:
    """When each file of frames and poses was written, in ns, by its name in the workspace."""
    files = [workspace / "frames.json", workspace / "sparse.json"]
    files += [path for folder in ("frames", "sparse") for path in (workspace / folder).rglob("*") if path.is_file()]
    return {path.relative_to(workspace).as_posix(): path.stat().st_mtime_ns for path in files}


@pytest.mark.footage
@pytest.mark.slow
def test_three_phone_videos_become_one_measured_scene(tmp_path: Path) -> None:
    """The fox in its smallest form: poses for nearly all frames, and pictures that resemble the held-out ones."""
    videos = [str(footage(f"fox/view{i}.mp4")) for i in (1, 2, 3)]
    out = tmp_path / "fox"
    command = [sys.executable, "-m", "runner", "scene", *videos, "--out", str(out)]
    command += ["--preset", "smoke", "--backend", "cpu", "--frames", "24", "--keep-workspace"]
    environment = {name: os.environ[name] for name in ("PATH", "HOME", "NUMBA_CACHE_DIR") if name in os.environ}
    environment["COLMAP_MAX_NUM_FEATURES"] = "1024"  # half of the preset's: matching takes the time
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=1800, check=False)
    assert done.returncode == 0, done.stderr + done.stdout

    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["images_registered"] >= 0.9 * metrics["images_total"]
    assert metrics["psnr_heldout"] > 18  # a picture of the mean colour has 12.0 dB
    assert metrics["psnr_heldout_exposure_corrected"] > metrics["psnr_heldout"] - 0.2, "the same and six numbers more"
    assert metrics["training"]["exposure"]["correction"].endswith("fitted to each scored picture itself")
    assert metrics["training"]["gap_db"] == pytest.approx(metrics["psnr_train"] - metrics["psnr_heldout"])
    drift = metrics["training"]["exposure"]
    assert drift["compensated"] == any(each["helps"] for each in (drift["evidence"] or {}).values())
    assert drift["why"]
    assert 0 < metrics["training"]["loss"] == metrics["history"][-1]["loss"] < 1
    for view in metrics["training"]["worst_views"]:
        assert (out / view["picture"]).is_file()
    assert metrics["exports"]["ply"]["db_lost"] == pytest.approx(0, abs=0.01), "float32 loses nothing"
    assert metrics["exports"]["splat"]["db_lost"] < 1.5
    assert read_ply(out / "fox.ply").count == read_splat(out / "fox.splat").count == metrics["n_gaussians"]
    jsonschema.validate(json.loads((out / "manifest.json").read_text()), json.loads(SCHEMA_FILE.read_text()))
    for camera in json.loads((out / "cameras.json").read_text()):
        assert (out / "workspace" / "images" / camera["image"]).is_file()

    done_before = written(out / "workspace")
    again = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert again.returncode == 0, again.stderr
    assert {"frames.json", "sparse.json"} <= done_before.keys()
    assert written(out / "workspace") == done_before, "frames or poses were made again"

    command[command.index(str(out))] = str(tmp_path / "elsewhere")
    command[-1:] = ["--cache", str(out / "workspace" / "cache")]
    command[command.index("24")] = "32"  # more frames and more features: what presets differ by
    cached = subprocess.run(
        command, cwd=ROOT, env={**environment, "COLMAP_MAX_NUM_FEATURES": "2000"}, capture_output=True, text=True,
        timeout=600, check=False,
    )  # fmt: skip
    assert cached.returncode == 0, cached.stderr
    manifest = json.loads((tmp_path / "elsewhere" / "manifest.json").read_text())
    registered = metrics["images_registered"]
    assert manifest["reused"] == {"surveys of videos": 3, "poses of frames, preset smoke": registered}
    elsewhere = json.loads((tmp_path / "elsewhere" / "metrics.json").read_text())
    assert (elsewhere["images_total"], elsewhere["images_registered"]) == (metrics["images_total"], registered)
    assert "preset smoke, 24 frames" in elsewhere["rung_why"]
    assert elsewhere["psnr_heldout"] > 18
    jsonschema.validate(manifest, json.loads(SCHEMA_FILE.read_text()))
