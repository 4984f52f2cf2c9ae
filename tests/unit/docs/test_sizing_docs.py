"""docs/sizing.md tells what was measured and what the programs do: numbers and messages are held against both."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from runner.files import disk
from runner.pipeline import estimate
from runner.poses.settings import FRAME_S, PAIR_FEATURES, PAIR_S, PoseSettings
from runner.process import memory
from scenejobs.errors import Code, ResourceError
from scenejobs.estimate.plans import NEIGHBOURS
from scenejobs.settings.groups import RunnerSettings
from tests.infra.scripts.scripted import ROOT

PAGE = (ROOT / "docs/sizing.md").read_text()


def test_measurements_are_those_of_the_committed_results() -> None:
    (fox,) = json.loads((ROOT / "benchmarks/results/end_to_end.json").read_text())["fox"]
    cpu_s, frames = round(fox["cpu_s"]), fox["images_total"]
    assert f"| {frames} | {cpu_s} | {cpu_s / frames:.0f} | {round(fox['peak_mb'])} |" in PAGE
    poses = (ROOT / "benchmarks/results/poses.md").read_text()
    for name in ("demo", "walk", "fox"):
        (row,) = re.findall(rf"^\| {name} \| ours \|(.*)\|$", poses, re.MULTILINE)
        cells = [cell.strip() for cell in row.split("|")]
        frames, cpu, peak_mib = int(cells[0].split()[-1]), int(cells[-2]), int(cells[-1])
        assert f"| {frames} | {cpu} | {cpu / frames:.0f} | {round(peak_mib * 1.048576)} |" in PAGE, name
    assert "| fox, 480 px | 3000 | 39,998 | 164 |" in (ROOT / "benchmarks/results/training.md").read_text()
    assert f"{164 / 3000:.3f} per step" in PAGE


def test_what_was_looked_at_from_outside_is_what_the_page_tells() -> None:
    (run,) = json.loads((ROOT / "benchmarks/results/sizing.json").read_text())
    cpu_s, frames = round(run["cpu_s"]), run["frames"]
    assert f"| {frames} | {cpu_s} | {cpu_s / frames:.0f} | {run['peak_mb']}, of all processes together |" in PAGE
    stages = [round(run["stages"][name]["cpu_s"]) for name in ("frame_extraction", "colmap_reconstruction", "training")]
    assert f"Of those {cpu_s} CPU s {stages[0]} were frames, {stages[1]} poses and {stages[2]} training" in PAGE
    assert f"after {run['steps']} steps" in PAGE
    assert f"uploads ({run['input_mb']:.0f} MB): {run['disk_mb']:.0f} MB for the {frames} frames" in PAGE
    folders = run["folders_mb"]
    assert f"{int(folders['frames'] + 0.5)} the frames and {round(folders['sfm'])} the database" in PAGE
    assert f"commit `{run['commit']}`" in PAGE


def test_what_a_part_takes_is_what_the_deadline_is_made_of() -> None:
    assert f"{estimate.DECODE_S_PER_GB:.0f} per GB of video" in PAGE
    assert f"{FRAME_S} per frame" in PAGE
    assert f"{PAIR_S} per pair at {PAIR_FEATURES:,} features" in PAGE
    for frames in (50, 72):
        pairs = min(frames * (frames - 1) / 2, frames * NEIGHBOURS)
        assert f"{int(PAIR_S * pairs + 0.5)} for {frames}" in PAGE.replace(" frames", "")
    assert f"up to {PoseSettings().exhaustive_up_to} frames, {NEIGHBOURS} per frame above" in PAGE
    assert f"{estimate.START_S:.0f} at the start, {estimate.FINISH_S:.0f} at the end" in PAGE
    assert f"{RunnerSettings().deadline_factor:g} times what they add up to" in PAGE


def test_a_shortage_says_its_numbers_as_the_page_shows_them(tmp_path: Path) -> None:
    assert "twice its uploads" in PAGE
    assert disk.WORKSPACE_FACTOR == 2
    with pytest.raises(ResourceError) as caught:
        disk.require_space(tmp_path, input_bytes=10**18, reserve_gb=5)
    (shown,) = re.findall(r"`DISK_FULL`: `([^`]+)`", PAGE)

    def words(text: str) -> str:
        return re.sub(r"[\d.,]+|/\S+", "#", text)

    assert words(shown) == words(caught.value.cause)
    (shown,) = re.findall(r"`OUT_OF_MEMORY`: `([^`]+)`", PAGE)
    assert words(shown) == words(memory.describe())
    table = PAGE[PAGE.index("| too little |") :]
    assert set(re.findall(r"`([A-Z]+(?:_[A-Z]+)+)`", table)) <= set(Code)
