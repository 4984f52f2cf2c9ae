"""What keeps a training of few views from learning them by heart: each way alone, on the same poses.

    SCENE_FOOTAGE=... python -m benchmarks.scenes SCENES sceaux_photos banana_photos walk fox ... --sides 240
    python -m benchmarks.few_views SCENES [--side 240] [--steps 1600] [--cap 8000] [--seeds 0 1] [--ways WAY ...]
        [--sets SET ...] [--seconds 600] [--exposure off]

Poses are those of SCENES, found once with all views; sparse points are those that two training views saw (sets.py).
Held-out views lie between training views. Every training adds a line to SCENES/few_views.jsonl, and those that are
there already are not run again; --seconds ends the run after so many, to be continued by another one. Writes
benchmarks/results/few_views.md from all lines there.
"""

from __future__ import annotations

import argparse
import os
import time
from dataclasses import fields, replace
from functools import partial
from pathlib import Path

from benchmarks.few_views.kept import Line, trained
from benchmarks.few_views.sets import SETS, split_by
from benchmarks.few_views.table import page

RESULT = Path(__file__).resolve().parents[1] / "results/few_views.md"
MANY, FREE = "as for many views", "depth_weight=0.0"
WAYS: dict[str, tuple[str, ...]] = {
    MANY: (FREE,),
    "depths of the plane sweep": (),
    "SH degree 2": (FREE, "sh_degree=2"),
    "SH degree 1": (FREE, "sh_degree=1"),
    "SH degree 0": (FREE, "sh_degree=0"),
    "penalty on opacities": (FREE, "opacity_penalty=0.01"),
    "penalty on scales": (FREE, "scale_penalty=0.01"),
    "both penalties": (FREE, "opacity_penalty=0.01", "scale_penalty=0.01"),
    "half the Gaussians": (FREE, "cap=0.5"),
    "a quarter of the Gaussians": (FREE, "cap=0.25"),
    "half the steps": (FREE, "iterations=0.5"),
}
"""Name to changes of settings and recipe, the second one in use; numbers of Gaussians and steps are shares."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenes", type=Path, metavar="SCENES")
    parser.add_argument("--side", type=int, default=240, help="long side of the pictures, px")
    parser.add_argument("--steps", type=int, default=1600)
    parser.add_argument("--cap", type=int, default=8000, help="most Gaussians")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1])
    parser.add_argument("--ways", nargs="+", choices=list(WAYS), default=list(WAYS), metavar="WAY")
    parser.add_argument("--sets", nargs="+", choices=list(SETS), default=list(SETS), metavar="SET")
    parser.add_argument("--seconds", type=float, default=1e9, help="begins no training after so many")
    parser.add_argument("--exposure", default="off", help="off | auto")
    options = parser.parse_args()
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch
    measure = partial(measured, options.scenes)
    found = trained(options.scenes / "few_views.jsonl", keys(options), measure, options.seconds)
    RESULT.write_text(page(found))


def keys(options: argparse.Namespace) -> list[Line]:
    """What tells one training from others, of all that are asked for: one way after the other."""
    common = {name: getattr(options, name) for name in ("side", "steps", "cap", "exposure")}
    return [
        {**common, "way": way, "set": name, "seed": seed}
        for seed in options.seeds
        for way in options.ways
        for name in options.sets
    ]


def measured(scenes: Path, key: Line) -> Line:
    """Trains once and scores."""
    from benchmarks.scenes import load_scene
    from benchmarks.training import changed
    from runner.context import StageContext
    from runner.quality.evaluate import evaluate
    from runner.raster import rasterizer
    from runner.scene.progress import SILENT
    from runner.training.loop import train
    from runner.training.schedule import recipe_of
    from runner.training.settings import TrainSettings

    base, split = SETS[key["set"]]
    path = scenes / f"{base}_{key['side']}.npz"
    scene = split_by(load_scene(path if path.exists() else scenes / f"{base}.npz"), split)
    settings = TrainSettings(
        iterations=key["steps"], cap=key["cap"], seed=key["seed"], exposure=key["exposure"], budget_s=1e9,
        evaluations=10,
    )  # fmt: skip
    recipe = recipe_of(settings)
    for change in WAYS[key["way"]]:
        name, _, value = change.partition("=")
        if name in ("cap", "iterations"):
            settings = replace(settings, **{name: round(float(value) * getattr(settings, name))})
        elif name in {field.name for field in fields(settings)}:
            settings = changed(settings, [change])
        else:
            recipe = changed(recipe, [change])
    backend, unsaved = rasterizer("cpu"), StageContext(Path(), SILENT)
    train(
        scene, unsaved, replace(settings, iterations=12, evaluations=1, exposure="off"), backend, save_s=None
    )  # compiles
    result = train(scene, unsaved, settings, backend, recipe=recipe, save_s=None, clock=time.process_time)
    scores = evaluate(result.gaussians, scene, backend)
    curve = [(line.step, line.psnr_heldout) for line in result.history]
    return {
        "test": scores.test.psnr, "aside": scores.test.psnr_corrected, "ssim": scores.test.ssim,
        "train": scores.train.psnr, "gaussians": result.gaussians.count, "cpu_s": result.wall_s, "curve": curve,
    }  # fmt: skip


if __name__ == "__main__":
    main()
