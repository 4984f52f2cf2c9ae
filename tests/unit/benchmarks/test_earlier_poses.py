"""The pose stage of an earlier commit is measured as a whole, with the COLMAP process that belongs to it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from benchmarks.pose_cost.parts import ROOT, earlier


def test_a_commit_before_starts_its_own_process_of_colmap(tmp_path: Path) -> None:
    """It started today's: the runner asked for it in the folder that its links led to."""
    with earlier("HEAD", tmp_path) as folder:
        done = subprocess.run(
            [sys.executable, "-c", "import runner.paths, benchmarks.poses as b; print(runner.paths.ROOT, b.__file__)"],
            cwd=folder, env={**os.environ, "PYTHONPATH": str(folder)}, capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert (folder / "runner/poses/find.py").is_file()
    root, benchmark = map(Path, done.stdout.split())
    assert root == folder != ROOT
    assert benchmark.parent.parent == folder
