"""What refining the cameras while training is worth: off and on, with cameras as they were found and with noisy ones.

    SCENE_FOOTAGE=... python -m benchmarks.scenes SCENES fox walk courtyard [--preset smoke]
    python -m benchmarks.pose_refinement SCENES [--steps 700] [--cap 4000] [--seeds 0 1] [--sets SET ...]
        [--seconds 600]

Noisy cameras are those that were found, moved and turned at random, held-out ones as well; the points are triangulated
anew from them. They stand for supplied cameras that nothing has adjusted: the pose stage adjusts what it can first.
Every training adds a line to SCENES/pose_refinement.jsonl, and those that are there already are not run again;
--seconds ends the run after so many. Writes benchmarks/results/pose_refinement.md from all lines there.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import mean

from benchmarks.few_views.kept import Line, trained
from benchmarks.pose_refinement.noise import NOISE

RESULT = Path(__file__).resolve().parents[1] / "results/pose_refinement.md"
HEAD = """# Pose refinement

`python -m benchmarks.pose_refinement`: {what}.
Held-out dB: with the cameras that the held-out pictures came with (noisy ones where all are), the honest score. Extra:
each held-out camera first refined on its own picture, which is no held-out score; of noisy cameras it says how good the
scene is. Camera error: of the training cameras against those that were found (courtyard: the true ones), medians after
the best similarity, before -> after. Off -> on, means over the seeds; in brackets the difference. CPU s: of training.

| set | cameras | held-out dB | extra | train dB | position % | degrees | CPU s |
| --- | --- | --- | --- | --- | --- | --- | --- |
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenes", type=Path, metavar="SCENES")
    parser.add_argument("--steps", type=int, default=700)
    parser.add_argument("--cap", type=int, default=4000, help="most Gaussians")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1])
    parser.add_argument("--sets", nargs="+", default=["fox", "walk"], metavar="SET")
    parser.add_argument("--noise", nargs="+", default=list(NOISE), choices=list(NOISE), metavar="NOISE")
    parser.add_argument("--seconds", type=float, default=1e9, help="begins no training after so many")
    options = parser.parse_args()
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch

    keys = [
        {"steps": options.steps, "cap": options.cap, "set": name, "noise": noise, "seed": seed, "mode": mode}
        for seed in options.seeds
        for name in options.sets
        for noise in options.noise
        for mode in ("off", "on")
    ]
    measure = partial(measured, options.scenes)
    found = trained(options.scenes / "pose_refinement.jsonl", keys, measure, options.seconds)
    RESULT.write_text(page(found))


def measured(scenes: Path, key: Line) -> Line:
    """Trains once and scores."""
    from benchmarks.pose_refinement.noise import camera_error, noisy
    from benchmarks.scenes import load_scene
    from runner.context import StageContext
    from runner.quality.evaluate import evaluate
    from runner.quality.refined_views import score_refined
    from runner.raster import rasterizer
    from runner.scene.progress import SILENT
    from runner.training.loop import train
    from runner.training.settings import TrainSettings

    found = load_scene(scenes / f"{key['set']}.npz")
    given = noisy(found, key["noise"], key["seed"])
    settings = TrainSettings(
        iterations=key["steps"], cap=key["cap"], seed=key["seed"], exposure="off", budget_s=1e9, evaluations=1,
        pose_refinement=key["mode"],
    )  # fmt: skip
    backend, unsaved = rasterizer("cpu"), StageContext(Path(), SILENT)
    short = replace(settings, iterations=12)
    train(given, unsaved, short, backend, save_s=None)  # compiles
    result = train(given, unsaved, settings, backend, save_s=None, clock=time.process_time)
    scene, gaussians = result.scene_of(given), result.gaussians
    scores = evaluate(gaussians, scene, backend)
    before, after, truth = ([of.views[i] for i in found.subset("train")] for of in (given, scene, found))
    return {
        "test": scores.test.psnr, "train": scores.train.psnr,
        "extra": score_refined(gaussians, scene, backend).psnr,
        "before": camera_error(before, truth), "after": camera_error(after, truth), "cpu_s": result.wall_s,
        "views": len(truth), "side": max(found.views[0].width, found.views[0].height),
    }  # fmt: skip


def page(found: Sequence[Line]) -> str:
    """lines: of all trainings (`measured` and its key)."""
    rows = [(name, noise) for name in dict.fromkeys(line["key"]["set"] for line in found) for noise in NOISE]
    sets = {line["key"]["set"]: f"{line['key']['set']} {line['side']} px, {line['views']} views" for line in found}
    sizes = {f"{line['key']['steps']:,} steps, {line['key']['cap']:,} Gaussians" for line in found}
    seeds = sorted({line["key"]["seed"] for line in found})
    what = f"{'; '.join(sets.values())}; {', '.join(sorted(sizes))}; seeds {', '.join(map(str, seeds))}"
    return HEAD.format(what=what) + "".join(_row(name, noise, found) for name, noise in rows)


def _row(name: str, noise: str, found: Sequence[Line]) -> str:
    mine = [line for line in found if (line["key"]["set"], line["key"]["noise"]) == (name, noise)]
    by = {mode: {line["key"]["seed"]: line for line in mine if line["key"]["mode"] == mode} for mode in ("off", "on")}
    seeds = sorted(by["off"].keys() & by["on"].keys())
    if not seeds:
        return ""

    def average(mode: str, value: str, place: int | None = None) -> float:
        return mean(by[mode][s][value] if place is None else by[mode][s][value][place] for s in seeds)

    def decibels(value: str) -> str:
        off, on = average("off", value), average("on", value)
        return f"{off:.2f} -> {on:.2f} ({on - off:+.2f})"

    errors = [f"{average('on', 'before', place):.2f} -> {average('on', 'after', place):.2f}" for place in (0, 1)]
    cpu = average("on", "cpu_s") / average("off", "cpu_s")
    cells = (name, noise, *map(decibels, ("test", "extra", "train")), *errors, f"x {cpu:.2f}")
    return f"| {' | '.join(cells)} |\n"


if __name__ == "__main__":
    main()
