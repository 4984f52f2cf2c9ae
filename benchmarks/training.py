"""Quality of the training at a fixed effort, on scenes whose poses are known already.

    python -m benchmarks.training SCENE [SCENE ...] [--preset laptop] [--set iterations=3000] [--recipe lr_sh0=0.005]

SCENE is a file of `python -m benchmarks.scenes`, or the workspace of a job. Prints one table row per scene.
Held-out PSNR is on the views of split "test", at the size of the saved pictures; CPU seconds are of this process, all
threads together, without compiling the kernels. Nothing is chosen by the held-out numbers within a run. Scenes beside
it that differ in picture size only (`fox_960.npz` beside `fox.npz`) are scored as well: as a viewer zooms.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import time
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from benchmarks.scenes import load_scene


@dataclass(frozen=True)
class Row:
    """One line of the result table."""

    scene: str
    steps: int
    gaussians: int
    cpu_s: float
    psnr: float
    psnr_corrected: float
    ssim: float
    train_psnr: float
    rss_mb: int
    sizes: str  # "long side: dB, SSIM" at other picture sizes
    curve: str  # "cpu_s:dB" at the evaluations

    def __str__(self) -> str:
        decibels = f"{self.psnr:.2f} | {self.psnr_corrected:.2f} | {self.ssim:.3f} | {self.train_psnr:.2f}"
        return (
            f"| {self.scene} | {self.steps} | {self.gaussians:,} | {self.cpu_s:.0f} | {decibels} | {self.rss_mb} "
            f"| {self.sizes} | {self.curve} |"
        )


HEADER = (
    "| scene | steps | Gaussians | CPU s | held-out dB | exposure-corrected dB | SSIM | train dB | RSS MB "
    "| other sizes: held-out dB, SSIM | CPU s: held-out dB |\n"
    "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"
)


def measure(path: Path, settings: Any, recipe: Any, save: Path | None = None) -> Row:
    """Train once and score."""
    from runner.context import StageContext
    from runner.quality.evaluate import evaluate, score_split
    from runner.raster import parameters, rasterizer
    from runner.report.pictures import write_comparisons
    from runner.scene.progress import SILENT
    from runner.training.loop import train

    scene = load_scene(path)
    backend = rasterizer("auto")
    unsaved = StageContext(Path(), SILENT)
    train(scene, unsaved, replace(settings, iterations=12, evaluations=1), backend, recipe=recipe, save_s=None)
    trained = train(scene, unsaved, settings, backend, recipe=recipe, save_s=None, clock=time.process_time)
    curve = [
        f"{line.seconds:.0f}: {line.psnr_heldout:.2f}" for line in trained.history if line.psnr_heldout is not None
    ]
    score = evaluate(trained.gaussians, scene, backend)
    params = parameters.parameters(trained.gaussians, backend.device)
    sizes = []
    for other in sorted(path.parent.glob(f"{path.stem}_[0-9]*.npz")):
        at = score_split(params, load_scene(other), backend, "test")
        sizes.append(f"{other.stem.removeprefix(path.stem + '_')}: {at.psnr or 0.0:.2f}, {at.ssim or 0.0:.3f}")
    if save:
        save.mkdir(parents=True, exist_ok=True)
        write_comparisons(trained.gaussians, scene, backend, score.test, save)
    return Row(
        scene=path.stem,
        steps=trained.steps,
        gaussians=trained.gaussians.count,
        cpu_s=trained.wall_s,
        psnr=score.test.psnr or 0.0,
        psnr_corrected=score.test.psnr_corrected or 0.0,
        ssim=score.test.ssim or 0.0,
        train_psnr=score.train.psnr or 0.0,
        rss_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        sizes="; ".join(sizes),
        curve=", ".join(curve),
    )


def changed(value: Any, changes: list[str]) -> Any:
    """A copy of a settings dataclass with "name=value" changes; values are JSON, or plain words."""
    known = {field.name for field in fields(value)}
    for change in changes:
        name, _, text = change.partition("=")
        if name not in known:
            raise SystemExit(f"{name} is unknown; use one of {', '.join(sorted(known))}")
        try:
            parsed = json.loads(text)
        except json.JSONDecodeError:
            parsed = text
        value = replace(value, **{name: tuple(parsed) if isinstance(parsed, list) else parsed})
    return value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenes", nargs="+", type=Path)
    parser.add_argument("--preset", default="laptop")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="change a training setting")
    parser.add_argument("--recipe", action="append", default=[], metavar="NAME=VALUE", help="change the recipe")
    parser.add_argument("--save", type=Path, help="folder for comparison pictures")
    args = parser.parse_args()
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch: spinning threads cost 13-18x on a busy machine

    from runner.pipeline.presets import preset
    from runner.training.schedule import recipe_of

    settings = changed(replace(preset(args.preset).train, budget_s=1e9), args.set)
    recipe = changed(recipe_of(settings), args.recipe)
    print(HEADER)
    for path in args.scenes:
        print(measure(path, settings, recipe, args.save / path.stem if args.save else None), flush=True)


if __name__ == "__main__":
    main()
