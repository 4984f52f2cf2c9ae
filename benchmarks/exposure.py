"""Exposures that drift: without and with corrections, and as "auto" decides, with the same training in one run.

    SCENE_FOOTAGE=... python -m benchmarks.exposure [--before COMMIT] [--seeds 0 1 2] [--keep FOLDER] [SET ...]

A SET is a kind of drift, of the courtyard with its true cameras (tests/drifting_scenes.py, "none" among them); a folder
of SCENE_FOOTAGE, whose poses are found once; or FOLDER+KIND, the pictures of that folder as a camera with this drift
would have taken them. Held-out pictures keep the exposure that they were filmed with. Exposure aside: after a gain and
a bias per channel fitted to each of them. Medians of the seeds. With --before, the first version of corrections is
trained as well, without and with them, in a process of its own.
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
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # a worker imports those of another version
    from runner.scene.views import TrainingScene
    from runner.training.exposure.evidence import Decision
    from runner.training.settings import TrainSettings

ROOT = Path(__file__).resolve().parents[1]
SIDE_PX, STEPS, CAP = 160, 500, 4000
HELD_OUT = (3, 8)  # of the twelve pictures of each generated clip
SLACK_DB = 0.1
ARMS = (("now", "off"), ("now", "on"), ("now", "auto"), ("before", "off"), ("before", "on"))
HEAD = """{steps} steps, {cap:,} Gaussians, {side} px, seeds {seeds}, before: {before}

| set | off | on | auto | corrected | right | before, off | before, on | held | CPU s: off, on, auto |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="*", metavar="SET", help="default: all generated ones and sceaux_photos")
    parser.add_argument("--before", help="a commit, such as dad7dd7, the last with one threshold, or a folder with it")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--keep", type=Path, help="folder for the scenes, where another run finds them")
    parser.add_argument("--rows", type=Path, help="file to which every training is added as a line of JSON")
    options = parser.parse_args()
    from benchmarks.checkout import checked_out  # here: an earlier tree, which this is read in, need not have it

    with tempfile.TemporaryDirectory() as temporary:
        given = Path(options.before) if options.before else None
        with (
            nullcontext(given) if given is None or given.is_dir()
            else checked_out(options.before, Path(temporary, "before"))
        ) as before:  # fmt: skip
            seeds = ", ".join(map(str, options.seeds))
            head = HEAD.format(steps=STEPS, cap=CAP, side=SIDE_PX, seeds=seeds, before=options.before or "not run")
            print(head, end="", flush=True)
            for path in scenes(options.keep or Path(temporary), options.sets):
                print(line(path.stem, measured(path, before, options.seeds, options.rows)), flush=True)


def scenes(folder: Path, names: Sequence[str]) -> list[Path]:
    """The files of the sets; those that are there already are taken as they are."""
    from benchmarks.scenes import load_scene, save_scene
    from tests.drifting_scenes import KINDS, drift_of_kind

    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{name}.npz" for name in names or (*KINDS, "sceaux_photos")]
    for path in paths:
        name, _, kind = path.stem.rpartition("+") if path.stem not in KINDS else ("none", "", path.stem)
        if path.exists():
            continue
        still = folder / f"{name or kind}.npz"
        if not still.exists():
            save_scene(courtyard() if name == "none" else filmed(still.stem, folder), still)
        if name and kind != "none":
            save_scene(drift_of_kind(kind, load_scene(still)), path)
    return paths


def courtyard() -> TrainingScene:
    """The generated scene, filmed with one exposure."""
    from tests.true_scene import true_scene

    still = true_scene(size=(SIDE_PX, 2 * round(SIDE_PX * 17 / 60)), per_clip=12, points=4000, detail=0.4)
    views = (
        replace(view, split="test" if index % 12 in HELD_OUT else "train") for index, view in enumerate(still.views)
    )
    return replace(still, views=tuple(views))


def filmed(name: str, folder: Path) -> TrainingScene:
    """The videos or photos of a folder of SCENE_FOOTAGE, with the poses of the preset "laptop"."""
    from benchmarks.poses import files_of
    from benchmarks.scenes import from_clips

    with tempfile.TemporaryDirectory() as workspace:
        return from_clips(files_of(name, folder), Path(workspace), "laptop", (SIDE_PX,))[0]


def measured(path: Path, before: Path | None, seeds: Sequence[int], told: Path | None) -> list[dict[str, Any]]:
    """All arms and seeds of one set, each version in a process of its own; each row is added to `told` at once."""
    rows: list[dict[str, Any]] = []
    for version, tree in (("now", ROOT), ("before", before)):
        if tree is None:
            continue
        modes = [mode for which, mode in ARMS if which == version]
        command = [sys.executable, "-P", str(Path(__file__)), "--worker", str(path), ",".join(modes), *map(str, seeds)]
        environment = {**os.environ, "PYTHONPATH": str(tree), "OMP_WAIT_POLICY": "PASSIVE"}
        with subprocess.Popen(command, cwd=tree, env=environment, stdout=subprocess.PIPE, text=True) as worker:
            for text in worker.stdout or ():
                rows.append({"version": version, **json.loads(text)})
                if told:
                    with told.open("a", encoding="utf-8") as file:
                        file.write(json.dumps(rows[-1]) + "\n")
        if worker.returncode:
            sys.exit(f"the trainings of {path.stem} failed, see above")
    return rows


def train_and_score(path: Path, modes: Sequence[str], seeds: Sequence[int]) -> None:
    """What a worker does, with the version that its PYTHONPATH names: one line of JSON for each training.

    "auto" decides, and is then the training that was asked for in so many words: the same bytes, not trained again.
    """
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
        rows: dict[str, dict[str, Any]] = {}
        for mode in modes:
            begin_s = time.process_time()
            asked = replace(settings, seed=seed, exposure=mode)
            if mode == "auto":
                decision = decided(scene, asked)
                told = {"why": decision.why, "corrected": decision.corrected, "decision": decision.to_json()}
            if mode == "auto" and not decision.follows_place:
                same = rows["on" if decision.corrected else "off"]
                rows[mode] = {**same, "cpu_s": same["cpu_s"] + time.process_time() - begin_s, "mode": mode, **told}
            else:
                trained = train(scene, unsaved, asked, backend, save_s=None)
                cpu_s = time.process_time() - begin_s
                scores = evaluate(trained.gaussians, scene, backend).test
                row = {"set": path.stem, "mode": mode, "seed": seed, "raw": scores.psnr, "aside": scores.psnr_corrected}
                rows[mode] = {**row, "cpu_s": cpu_s, **(told if mode == "auto" else {})}
            print(json.dumps(rows[mode]), flush=True)


def decided(scene: TrainingScene, settings: TrainSettings) -> Decision:
    """What a training with these settings decides before its first step."""
    from runner.context import StageContext
    from runner.raster import rasterizer
    from runner.scene.progress import SILENT
    from runner.training import loop, schedule
    from runner.training.exposure.evidence import decide
    from runner.training.start import prepare

    recipe = schedule.recipe_of(settings)
    run = prepare(scene, StageContext(Path(), SILENT), settings, rasterizer("cpu"), recipe, None, time.monotonic)
    return decide(run.scene, run.settings, run.drift, partial(loop._short_training, run))


def line(name: str, rows: Sequence[dict[str, Any]]) -> str:
    """One row of the table. *right*: against "off" and "on" of now; *held*: against those of the commit before."""

    def of(arm: tuple[str, str], key: str) -> float | None:
        found = [row[key] for row in rows if row["set"] == name and (row["version"], row["mode"]) == arm]
        return median(found) if found else None

    def holds(version: str) -> str:
        raw, aside = ([of((which, mode), key) for which, mode in _against(version)] for key in ("raw", "aside"))
        if None in raw:
            return ""
        short = [raw[2] - raw[0], aside[2] - max(aside[:2])]  # type: ignore[operator, type-var]
        worst = min(short)
        return "yes" if worst >= -SLACK_DB else f"no, {'raw' if short[0] == worst else 'aside'} {worst:+.2f}"

    cells = []
    for arm in ARMS:
        raw, aside = of(arm, "raw"), of(arm, "aside")
        cells.append("" if raw is None else f"{raw:.2f} / {aside:.2f}")
    corrected = [row["corrected"] for row in rows if row["set"] == name and "corrected" in row]
    seconds = ", ".join(f"{of(arm, 'cpu_s'):.0f}" for arm in ARMS[:3])
    columns = (
        name, *cells[:3], f"{sum(corrected)} of {len(corrected)}", holds("now"), *cells[3:], holds("before"), seconds
    )  # fmt: skip
    return f"| {' | '.join(columns)} |"


def _against(version: str) -> tuple[tuple[str, str], ...]:
    return (version, "off"), (version, "on"), ("now", "auto")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        train_and_score(Path(sys.argv[2]), sys.argv[3].split(","), [int(seed) for seed in sys.argv[4:]])
    else:
        main()
