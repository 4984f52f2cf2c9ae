"""A small result as values: frames, poses, training and run, and the documents made of them."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from runner.files import json_file
from runner.files.atomic import WrittenFile
from runner.poses.gates import gate_results
from runner.report import documents
from runner.report.documents import Results, RunInfo, TrainingSummary
from runner.scene.cameras import CameraIntrinsics
from runner.scene.frames import ClipInfo, Frame, FrameSet, RefusedClip
from runner.scene.pose_report import Health, PoseReport
from runner.scene.views import View
from scenejobs.errors import Failure

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)

RUN = RunInfo(
    "lobby-1", NOON, "laptop", {"poses": 0, "training": 0}, {"pycolmap": "4.2.1"}, {"training": 61.5}, mock=False
)
FRAMES = FrameSet(
    clips=(
        ClipInfo("a.mp4", "a", 120, 720, 1280, 30.0, 4.0, "h264", 90, "2026-11-01T10:00:00Z", "Phone 15", (48.1, 11.6)),
        ClipInfo("b.mov", "b", 60, 1280, 720, 15.0, 4.0, "hevc", 0),
    ),
    frames=(
        Frame("a/000000.png", "a.mp4", 0, 0.0, 10.0),
        Frame("a/000030.png", "a.mp4", 30, 1.0, 12.0),
        Frame("b/000000.png", "b.mov", 0, 0.0, 9.0),
    ),
    refused=(RefusedClip("c.mp4", Failure("validation", "TOO_SHORT", "c.mp4 has 3 frames", "film longer")),),
)
HEALTH = Health(0.3, 0.5, 1.0, 0.02, 900.0, 12.0)
POSES = PoseReport(
    3, 2, 4000, 5.5, 0.61, HEALTH, "exhaustive + incremental", ("exhaustive + incremental: 2 of 3",),
    ("b/000000.png",), ("one image left out",), gates=gate_results(HEALTH),
)  # fmt: skip
TRAINING = TrainingSummary(
    "cpu", 20_000, 5000, 27.5, 0.9, 29.0, ({"step": 2500, "psnr": 26.0},), {"loss": 0.02}, ("budget ran out",)
)
INTRINSICS = (
    CameraIntrinsics.from_colmap("b.mov", "SIMPLE_RADIAL", 1280, 720, [1000.0, 640.0, 360.0, 0.02]),
    CameraIntrinsics.from_colmap("a.mp4", "OPENCV", 720, 1280, [990.0, 991.0, 360.0, 640.0, 0.1, 0.2, 0.3, 0.4]),
)
OUTPUTS = {"lobby.ply": WrittenFile(248_000, "0" * 64), "lobby.splat": WrittenFile(32_000, "f" * 64)}
RESULTS = Results("lobby", FRAMES, POSES, (), TRAINING, {}, INTRINSICS)


def view(image: str, split: str) -> View:
    K = np.array([[500.0, 0, 320], [0, 501, 240], [0, 0, 1]])
    return View(image, "a.mp4", 0.5, 640, 480, K, np.eye(4), split)


def manifest(frames: FrameSet = FRAMES, *, publish_geo: bool = False) -> dict[str, Any]:
    return documents.manifest(replace(RUN, publish_geo=publish_geo), replace(RESULTS, frames=frames), OUTPUTS)


def written(document: Any, folder: Path) -> Any:
    """What a strict parser reads from the written file."""

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is not JSON")

    json_file.write_json(folder / "document.json", document)
    return json.loads((folder / "document.json").read_text(encoding="utf-8"), parse_constant=refuse)
