"""The table of the whole pose stage: medians of runs in turns, and what is left of the version before."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.pose_cost.whole_stage import HERE, rows


def run(features: float, stage: float) -> dict[str, Any]:
    return {"placed": 72, "position": [0.0003, 0.0008], "pairs": 2556, "features": features, "matching": 10.0,
            "mapping": 10.0, "stage": stage}  # fmt: skip


def test_rows_are_medians_and_parts_of_the_version_before() -> None:
    before, now = rows("demo", "981feaa", {
        "981feaa": [run(80, 100), run(90, 120), run(80, 110)], "now": [run(20, 50), run(31, 55), run(30, 60)],
    })  # fmt: skip
    assert before == "| demo | 981feaa | 72 | 0.03, 0.08 | 2,556 | 80, 10, 10 | 100 |  | 110 |  |"
    assert now == "| demo | now | 72 | 0.03, 0.08 | 2,556 | 30, 10, 10 | 50 | 0.50 | 55 | 0.50 |"


def test_photos_without_known_cameras_have_no_errors() -> None:
    line = rows("fox", "a", {"a": [{**run(1, 1), "position": None}]})[0]
    assert line.startswith("| fox | a | 72 |  | 2,556 |")


def test_it_runs_from_the_tree_that_it_is_started_in(tmp_path: Path) -> None:
    """Else an earlier version were measured with the modules of today."""
    folder = tmp_path / "benchmarks"
    folder.mkdir()
    for name, text in {"__init__": "", "pose_ways": "WAYS = {}", "poses": "raise SystemExit('of that tree')"}.items():
        (folder / f"{name}.py").write_text(text)
    done = subprocess.run(
        [sys.executable, "-P", str(HERE), "--one", "fox", "--footage", str(tmp_path)], cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "of that tree" in done.stderr
