"""Exposures that drift: with the commit before, without and with corrections, and as it decides now, in one run.

    SCENE_FOOTAGE=... python -m benchmarks.exposure [--before COMMIT] [--seeds 0 1 2] [--keep FOLDER] [SET ...]

The generated sets are the courtyard with its true cameras under one kind of drift each (tests/drifting_scenes.py),
"none" among them; any other SET is a folder of SCENE_FOOTAGE, whose poses are found once. Held-out pictures keep the
exposure that they were filmed with. Exposure aside: after a gain and a bias per channel fitted to each of them. Medians
of the seeds.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
BEFORE = "dad7dd7"  # the last commit with one threshold and a gain and a bias per picture
SIDE_PX, STEPS, CAP = 120, 300, 2500
HELD_OUT = (3, 8)  # of the twelve pictures of each generated clip
SLACK_DB = 0.1
ARMS = (("before", "off"), ("before", "on"), ("now", "auto"))
PAGE = """# Exposure

Measured {day} by `python -m benchmarks.exposure`, before: commit {before}. {steps} steps, {cap:,} Gaussians,
pictures of {side} px, seeds {seeds}, medians; dB as they are / exposure aside. *Kept*: in how many of the trainings the
short ones said that corrections help. *Held*: as they are no more than {slack} dB below "off", exposure aside no more
than {slack} dB below the better of the two.

| set | before, off | before, on | now | kept | held | CPU s: off, on, now |
| --- | --- | --- | --- | --- | --- | --- |
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="*", metavar="SET", help="default: all generated ones and sceaux_photos")
    parser.add_argument("--before", default=BEFORE, help="the commit, or a folder where it is checked out")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--keep", type=Path, help="folder for the scenes, where another run finds them")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks/results/exposure.md")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        before, checked_out = Path(options.before), Path(options.before).is_dir()
        if not checked_out:
            before = Path(temporary, "before")
            subprocess.run(["git", "worktree", "add", "--detach", str(before), options.before], cwd=ROOT, check=True)
        try:
            paths = scenes(options.keep or Path(temporary), options.sets)
            rows = [row for path in paths for row in measured(path, before, options.seeds)]
        finally:
            if not checked_out:
                subprocess.run(["git", "worktree", "remove", "--force", str(before)], cwd=ROOT, check=True)
        asked = ["git", "rev-parse", "--short", "HEAD" if checked_out else options.before]
        where = before if checked_out else ROOT
        commit = subprocess.run(asked, cwd=where, capture_output=True, text=True, check=True).stdout.strip()
    head = PAGE.format(
        day=f"{datetime.now(UTC):%Y-%m-%d}", before=commit, steps=STEPS, cap=CAP, side=SIDE_PX, slack=SLACK_DB,
        seeds=", ".join(map(str, options.seeds)),
    )  # fmt: skip
    options.out.write_text(head + "\n".join(line(path.stem, rows) for path in paths) + "\n")


def scenes(folder: Path, names: Sequence[str]) -> list[Path]:
    """The files of the sets; those that are there already are taken as they are."""
    from benchmarks.poses import files_of
    from benchmarks.scenes import from_clips, save_scene
    from tests.drifting_scenes import KINDS, drift_of_kind
    from tests.true_scene import true_scene

    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{name}.npz" for name in names or (*KINDS, "sceaux_photos")]
    still = None
    for path in paths:
        if path.exists():
            continue
        if path.stem not in KINDS:
            with tempfile.TemporaryDirectory() as workspace:
                files = files_of(path.stem, folder)
                save_scene(from_clips(files, Path(workspace), "laptop", (SIDE_PX,))[0], path)
            continue
        if still is None:
            still = true_scene(size=(SIDE_PX, 2 * round(SIDE_PX * 17 / 60)), per_clip=12, points=4000, detail=0.4)
            views = (
                replace(view, split="test" if index % 12 in HELD_OUT else "train")
                for index, view in enumerate(still.views)
            )
            still = replace(still, views=tuple(views))
        save_scene(drift_of_kind(path.stem, still), path)
    return paths


def measured(path: Path, before: Path, seeds: Sequence[int]) -> list[dict[str, Any]]:
    """All arms and seeds of one set, each version in a process of its own."""
    rows: list[dict[str, Any]] = []
    for version, tree in (("before", before), ("now", ROOT)):
        modes = [mode for which, mode in ARMS if which == version]
        done = subprocess.run(
            [sys.executable, "-P", str(Path(__file__)), "--worker", str(path), ",".join(modes), *map(str, seeds)],
            cwd=tree, env={**os.environ, "PYTHONPATH": str(tree), "OMP_WAIT_POLICY": "PASSIVE"}, stdout=subprocess.PIPE,
            text=True, check=True,
        )  # fmt: skip
        rows += [{"version": version, **json.loads(text)} for text in done.stdout.splitlines()]
    print(line(path.stem, rows), flush=True)
    return rows


def train_and_score(path: Path, modes: Sequence[str], seeds: Sequence[int]) -> None:
    """What a worker does, with the version that its PYTHONPATH names: one line of JSON for each training."""
    from benchmarks.scenes import load_scene
    from runner.context import StageContext
    from runner.quality.evaluate import evaluate
    from runner.raster import rasterizer
    from runner.scene.progress import SILENT
    from runner.training.loop import train
    from runner.training.settings import TrainSettings

    scene, backend, unsaved = load_scene(path), rasterizer("cpu"), StageContext(Path(), SILENT)
    settings = TrainSettings(iterations=STEPS, cap=CAP, budget_s=1e9, evaluations=1)
    train(scene, unsaved, replace(settings, iterations=12, exposure="on"), backend, save_s=None)  # compiles
    for seed in seeds:
        for mode in modes:
            begin_s = time.process_time()
            trained = train(scene, unsaved, replace(settings, seed=seed, exposure=mode), backend, save_s=None)
            cpu_s = time.process_time() - begin_s
            scores = evaluate(trained.gaussians, scene, backend).test
            decided = (
                {"why": trained.exposure.decision.why, "kept": trained.exposure.corrected} if mode == "auto" else {}
            )
            row = {"set": path.stem, "mode": mode, "seed": seed, "raw": scores.psnr, "aside": scores.psnr_corrected}
            print(json.dumps({**row, "cpu_s": cpu_s, **decided}), flush=True)


def line(name: str, rows: Sequence[dict[str, Any]]) -> str:
    """One row of the table."""

    def of(arm: tuple[str, str], key: str) -> float:
        return median(row[key] for row in rows if row["set"] == name and (row["version"], row["mode"]) == arm)

    off, on, now = ((of(arm, "raw"), of(arm, "aside")) for arm in ARMS)
    held = now[0] >= off[0] - SLACK_DB and now[1] >= max(off[1], on[1]) - SLACK_DB
    kept = [row["kept"] for row in rows if row["set"] == name and "kept" in row]
    seconds = ", ".join(f"{of(arm, 'cpu_s'):.0f}" for arm in ARMS)
    cells = (f"{raw:.2f} / {aside:.2f}" for raw, aside in (off, on, now))
    return f"| {name} | {' | '.join(cells)} | {sum(kept)} of {len(kept)} | {'yes' if held else 'no'} | {seconds} |"


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        train_and_score(Path(sys.argv[2]), sys.argv[3].split(","), [int(seed) for seed in sys.argv[4:]])
    else:
        main()
