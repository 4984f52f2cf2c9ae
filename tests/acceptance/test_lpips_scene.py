"""Photos become a scene whose LPIPS is measured, from the stages to the documents beside it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import numpy as np
import pytest
import torch
from PIL import Image

from runner.pipeline import reconstruct
from runner.pipeline import settings as pipeline_settings
from runner.quality.lpips import load_lpips
from runner.report.documents import SCHEMA_FILE
from runner.scene.frames import Clip
from runner.scene.progress import SILENT
from scenejobs.settings.pipeline import PipelineSettings
from tests.perceptual import random_weights
from tests.photos import write_photo
from tests.supplied import transforms, write_json
from tests.synthetic import FOCAL, HEIGHT, WIDTH, render, walk


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The given NumPy array is not writable")  # Pillow's pictures; nobody writes to them
def test_with_weights_at_hand_a_scene_tells_its_lpips(tmp_path: Path) -> None:
    """And it is the one of the pictures that the run wrote beside its result. Poses are supplied: that is quicker."""
    poses = walk(9)
    names = [f"IMG_{i}.jpg" for i in range(len(poses))]
    clips = [
        Clip(name, write_photo(tmp_path / name, render(*pose))) for name, pose in zip(names, poses, strict=True)
    ]  # fmt: skip
    document = transforms([name.removesuffix(".jpg") for name in names], poses, (WIDTH, HEIGHT), FOCAL)
    clips.append(Clip("transforms.json", write_json(tmp_path / "transforms.json", document)))
    settings = PipelineSettings(
        preset="smoke",
        backend="cpu",
        threads=2,
        min_long_side=WIDTH,
        min_short_side=HEIGHT,
        features=600,
        min_points=200,
    )
    weights = random_weights(tmp_path / "weights")
    chosen = pipeline_settings.resolve(settings, "run-1")
    short = replace(chosen.preset, train=replace(chosen.preset.train, iterations=60))
    chosen = replace(chosen, preset=short, lpips=weights)
    out = tmp_path / "room"
    reconstruct.reconstruct(clips, tmp_path / "workspace", out, "room", chosen, SILENT)

    manifest = json.loads((out / "manifest.json").read_text())
    jsonschema.validate(manifest, json.loads(SCHEMA_FILE.read_text()))
    metrics = json.loads((out / "metrics.json").read_text())
    assert 0 < metrics["lpips_heldout"] == manifest["training"]["lpips_heldout"]
    assert 0 < metrics["training"]["lpips_train"] < 2
    lpips = load_lpips(weights, torch.device("cpu"))
    for view in metrics["training"]["worst_views"]:
        pair = torch.from_numpy(np.asarray(Image.open(out / view["picture"])).copy()).float() / 255
        filmed, drawn = pair.chunk(2, dim=1)
        assert view["lpips"] == pytest.approx(lpips(drawn, filmed), rel=0.1), "but for rounding to bytes"
    assert "LPIPS on held-out images" in (out / "report.html").read_text()
