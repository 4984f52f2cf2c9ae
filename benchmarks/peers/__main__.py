"""Our training against OpenSplat's on a CPU: the same views, points and CPU seconds, one thread, the same evaluation.

    export OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE NUMBA_NUM_THREADS=1
    python -m benchmarks.peers SCENE.npz ... --opensplat PROGRAM --work FOLDER [--seconds 120 300] [--only WAY ...]

SCENE.npz is a file of `python -m benchmarks.scenes`. Each scene is written as a COLMAP project of its training views
(`project.py`); FOLDER holds these projects and what OpenSplat writes. Prints one table row per training:

    ours      the preset `laptop`, its steps as many as the CPU seconds allow
    fitted    OpenSplat, its whole schedule in as many steps as the CPU seconds allow (`opensplat.fitted`)
    whole     OpenSplat with nothing set: the beginning of its 30,000 steps, as far as the CPU seconds go

    --check         instead: how far our drawing of its PLY is from its own picture of a view
    --steps NUMBER  instead: `fitted` in so many steps, however long they take; --also=--option=value sets more of it

Held-out views of OpenSplat are drawn on the background that it trained on, and once more on black, as viewers do. The
program must be built for the CPU; it is started as it is, and nothing of it is part of this repository.
"""

from __future__ import annotations

import argparse
import math
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers import opensplat
from benchmarks.peers.opensplat import Saved
from benchmarks.peers.project import picture_name, training_part, write_project
from benchmarks.scenes import load_scene

WAYS = ("ours", "fitted", "whole")
STEPS_PER_S = 40  # of ours, at most: the time budget shortens the plan to what it takes
PILOT_STEPS = 60  # of OpenSplat's first training of a scene, which tells how long its steps take
POWER = 1.25  # of the steps, that its CPU seconds grow with, before two trainings are known: it gets more Gaussians
AT_LEAST, AT_MOST = 0.92, 1.25  # of the CPU seconds: a training of OpenSplat that takes so long counts


@dataclass(frozen=True)
class Row:
    """One training."""

    scene: str
    trainer: str
    steps: int
    gaussians: int
    cpu_s: float
    psnr: float  # held out, dB, as are the next two
    psnr_corrected: float  # with the gain and bias of each picture, see runner.quality.evaluate
    psnr_black: float  # drawn on black
    ssim: float
    train_psnr: float

    def __str__(self) -> str:
        decibels = f"{self.psnr:.2f} | {self.psnr_corrected:.2f} | {self.psnr_black:.2f} | {self.ssim:.3f}"
        return (
            f"| {self.scene} | {self.trainer} | {self.steps:,} | {self.gaussians:,} | {self.cpu_s:.0f} "
            f"| {decibels} | {self.train_psnr:.2f} |"
        )


HEADER = (
    "| scene | trainer | steps | Gaussians | CPU s | held-out dB | exposure-corrected dB | on black dB | SSIM "
    "| train dB |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"
)


def ours(path: Path, seconds: int) -> Row:
    """Our training with the settings of the preset `laptop`, its steps as many as the CPU seconds allow."""
    from runner.context import StageContext
    from runner.pipeline.presets import preset
    from runner.raster import rasterizer
    from runner.scene.progress import SILENT
    from runner.training.loop import train

    scene, backend, context = load_scene(path), rasterizer("cpu"), StageContext(Path(), SILENT)
    settings = replace(preset("laptop").train, iterations=STEPS_PER_S * seconds, budget_s=float(seconds), evaluations=1)
    train(scene, context, replace(settings, iterations=12), backend, save_s=None)  # compiles the kernels
    begun_s = time.process_time()
    trained = train(scene, context, settings, backend, save_s=None, clock=time.process_time)
    cpu_s = time.process_time() - begun_s
    return scored(path, "ours", trained.steps, cpu_s, trained.gaussians, backend)


def fitted(path: Path, seconds: int, program: Path, work: Path, known: list[tuple[int, float]]) -> Saved:
    """OpenSplat, its schedule fitted to the CPU seconds. known: steps and CPU seconds of trainings of this scene."""
    for _ in range(3):
        saved = in_steps(path, steps_for(seconds, known), program, work)
        print(f"{path.stem}: {saved.steps} steps in {saved.cpu_s:.0f} CPU s", file=sys.stderr, flush=True)
        known.append((saved.steps, saved.cpu_s))
        if AT_LEAST * seconds <= saved.cpu_s <= AT_MOST * seconds:
            break
    return saved


def in_steps(path: Path, steps: int, program: Path, work: Path, also: Sequence[str] = ()) -> Saved:
    """OpenSplat, its schedule fitted to so many steps. also: further options of it, which win over those."""
    out = work / path.stem / "fitted"
    shutil.rmtree(out, ignore_errors=True)
    return opensplat.run(program, project_of(path, work), out, [*opensplat.fitted(steps), *also])[-1]


def steps_for(seconds: float, known: Sequence[tuple[int, float]]) -> int:
    """The steps that take so long: CPU seconds as a power of the steps, through the two trainings nearest to them."""
    if not known:
        return PILOT_STEPS
    (steps_a, cpu_a), *others = sorted(known, key=lambda each: abs(math.log(each[1] / seconds)))
    apart = [(steps, cpu) for steps, cpu in others if steps != steps_a]
    power = POWER
    if apart:
        steps_b, cpu_b = apart[0]
        power = min(2.0, max(1.0, math.log(cpu_b / cpu_a) / math.log(steps_b / steps_a)))
    return max(30, round(steps_a * (seconds / cpu_a) ** (1 / power)))


def whole(path: Path, budgets: Sequence[int], program: Path, work: Path, save_every: int) -> list[Saved]:
    """The beginning of OpenSplat's whole schedule: the last scene that it had saved when the CPU seconds ended."""
    out = work / path.stem / "whole"
    shutil.rmtree(out, ignore_errors=True)
    options = opensplat.whole_schedule(save_every)
    saved = opensplat.run(program, project_of(path, work), out, options, until_s=max(budgets))
    return [opensplat.last_within(saved, seconds) for seconds in budgets]


def project_of(path: Path, work: Path) -> Path:
    """The scene as a COLMAP project, written once."""
    folder = work / path.stem / "project"
    if not (folder / "sparse/0/points3D.bin").exists():
        write_project(load_scene(path), folder)
    return folder


def scored_ply(path: Path, trainer: str, saved: Saved) -> Row:
    """A scene that OpenSplat wrote, drawn on the background that it was trained on."""
    from runner.export.ply import read_ply
    from runner.raster import rasterizer

    backend = opensplat.OnItsBackground(rasterizer("cpu"))
    return scored(path, trainer, saved.steps, saved.cpu_s, read_ply(saved.path), backend)


def scored(path: Path, trainer: str, steps: int, cpu_s: float, gaussians: Any, backend: Any) -> Row:
    from runner.quality.evaluate import evaluate
    from runner.raster import rasterizer

    scene = load_scene(path)
    score, black = evaluate(gaussians, scene, backend), evaluate(gaussians, scene, rasterizer("cpu"))
    return Row(
        path.stem, trainer, steps, gaussians.count, cpu_s, score.test.psnr or 0.0, score.test.psnr_corrected or 0.0,
        black.test.psnr or 0.0, score.test.ssim or 0.0, score.train.psnr or 0.0,
    )  # fmt: skip


def check(path: Path, program: Path, work: Path, steps: int = 60) -> str:
    """One line: our drawing of its PLY against the picture that it draws itself of a view it left out."""
    import torch
    from PIL import Image

    from runner.export.ply import read_ply
    from runner.quality.evaluate import render_view
    from runner.quality.metrics import psnr
    from runner.raster import parameters, rasterizer

    part, out = training_part(load_scene(path)), work / path.stem / "check"
    index = len(part.views) // 2
    shutil.rmtree(out, ignore_errors=True)
    left_out = ["--val-image", picture_name(index), "--val-render", str(out / "own")]
    saved = opensplat.run(program, project_of(path, work), out, [*opensplat.fitted(steps), *left_out])[-1]
    backend = opensplat.OnItsBackground(rasterizer("cpu"))
    drawn = render_view(parameters.parameters(read_ply(saved.path), backend.device), part.views[index], backend)
    own = torch.from_numpy(np.array(Image.open(out / "own" / f"{steps}.png"))).float() / 255
    truth = torch.from_numpy(part.pixels[index]).float() / 255
    return (
        f"{path.stem}, view {picture_name(index)} left out, {steps} steps: its own picture {psnr(own, truth):.2f} dB, "
        f"our drawing of its PLY {psnr(drawn, truth):.2f} dB, the two against each other {psnr(drawn, own):.1f} dB"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenes", nargs="+", type=Path, metavar="SCENE.npz")
    parser.add_argument("--opensplat", type=Path, required=True, metavar="PROGRAM")
    parser.add_argument("--name", default="OpenSplat", help="of this program, in the table")
    parser.add_argument("--work", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--seconds", nargs="+", type=int, default=[120, 300], help="CPU seconds (default 120 300)")
    parser.add_argument("--only", nargs="+", choices=WAYS, default=WAYS, metavar="WAY")
    parser.add_argument("--steps", type=int, help="OpenSplat's schedule in so many steps instead")
    parser.add_argument("--also", action="append", default=[], metavar="=OPTION", help="of OpenSplat, with --steps")
    parser.add_argument("--save-every", type=int, default=250, help="steps, of OpenSplat's whole schedule")
    parser.add_argument("--check", action="store_true", help="hold our drawing against OpenSplat's own")
    args = parser.parse_args()
    program, work = args.opensplat, args.work
    if not args.check:
        print(HEADER)
    for path in args.scenes:
        known: list[tuple[int, float]] = []
        if args.check:
            print(check(path, program, work), flush=True)
            continue
        if args.steps:
            saved = in_steps(path, args.steps, program, work, args.also)
            print(scored_ply(path, f"{args.name}, fitted", saved), flush=True)
            continue
        for seconds in args.seconds:
            if "ours" in args.only:
                print(ours(path, seconds), flush=True)
            if "fitted" in args.only:
                saved = fitted(path, seconds, program, work, known)
                print(scored_ply(path, f"{args.name}, fitted", saved), flush=True)
        if "whole" in args.only:
            for saved in whole(path, args.seconds, program, work, args.save_every):
                print(scored_ply(path, f"{args.name}, nothing set", saved), flush=True)


if __name__ == "__main__":
    main()
