"""Quality against CPU seconds: held-out PSNR when training is given 15, 30, 60, 120 and 180 CPU seconds.

    python -m benchmarks.quality_over_time SCENE [SCENE ...] [--seconds 15 30 60 120 180] [--only NAME ...]

SCENE as for benchmarks.training. Per scene, in one process, one after the other:

    planned   the recipe in use, with a plan made for each of the times
    one       the recipe in use, one plan for the longest time, looked at on the way
    paper     our kernels with the 3DGS paper's recipe and the beginning of its 30,000 steps
    fitted    our kernels with the paper's recipe, its schedules and the number of Gaussians fitted to the longest time
    torch     the recipe in use on the plain torch rasteriser, one plan for the longest time

Time is process CPU time of all threads, without compiling and without drawing held-out views. Rewrites the lines of the
scenes and runs it was asked for in results/quality_over_time.md, and keeps the others.

    python -m benchmarks.quality_over_time SCENE [...] --before CHECKOUT [--seconds 60 120] [--seeds 0 1]

The run *planned* in a worktree of a commit before and in this one, in turns, into the second table of that file.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.gpu.baselines import PAPER, first_steps
from benchmarks.scenes import load_scene

ROOT = Path(__file__).resolve().parents[1]
RESULT = ROOT / "benchmarks" / "results" / "quality_over_time.md"
BEGIN, END = "<!-- table -->\n", "<!-- end of table -->"
BEFORE_BEGIN, BEFORE_END = "<!-- before and now -->\n", "<!-- end of before and now -->"
RUNS = ("planned", "one", "paper", "fitted", "torch")
SECONDS = (15.0, 30.0, 60.0, 120.0, 180.0)
CAPS = {15.0: 14_000, 30.0: 17_000, 60.0: 24_000, 120.0: 33_000, 180.0: 40_000}  # Gaussians, by CPU seconds
STEPS_PER_S = 60  # more than a plan reaches: the time budget makes it shorter, never longer
LOOKS = 40  # at the held-out views on the way; the times between are interpolated
PAPER_REACHES = 4_000  # steps in the longest time, at most


class Watch:
    """A rasteriser with a clock of CPU seconds that stands still while pictures are drawn for scores."""

    def __init__(self, inner: Any) -> None:
        self._inner, self.name, self.device = inner, inner.name, inner.device
        self._free_s = 0.0

    def seconds(self) -> float:
        return time.process_time() - self._free_s

    def render(self, params: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
        import torch

        begun_s = time.process_time()
        rendering = self._inner.render(params, *args, **kwargs)
        if not torch.is_grad_enabled():
            self._free_s += time.process_time() - begun_s
        return rendering


@dataclass(frozen=True)
class Line:
    """One line of the table."""

    scene: str
    name: str
    steps: int
    gaussians: int
    at: tuple[float | None, ...]  # dB at each of the times; None: not reached, or not this line's

    def __str__(self) -> str:
        values = " | ".join("" if value is None else f"{value:.2f}" for value in self.at)
        return f"| {self.scene} | {self.name} | {self.steps} | {self.gaussians:,} | {values} |"


def measure(scene: Any, label: str, seconds: tuple[float, ...], run: str, seed: int = 0) -> list[Line]:
    """The lines of one run on one scene."""
    from runner.context import StageContext
    from runner.pipeline.presets import preset
    from runner.raster import rasterizer
    from runner.scene.progress import SILENT
    from runner.training.loop import Trained, train
    from runner.training.schedule import Recipe

    longest = seconds[-1]
    usual = replace(preset("laptop").train, cap=cap_for(longest), iterations=round(longest * STEPS_PER_S), seed=seed)

    unsaved = StageContext(Path(), SILENT)

    def trained(settings: Any, recipe: Recipe = Recipe(), backend: str = "cpu") -> Trained:  # noqa: B008 (frozen)
        watch = Watch(rasterizer(backend))
        if backend == "cpu":
            short = replace(settings, iterations=12, evaluations=1)
            train(scene, unsaved, short, watch, recipe=recipe, save_s=None)  # compiles
        return train(scene, unsaved, settings, watch, recipe=recipe, save_s=None, clock=watch.seconds)

    def curve(name: str, result: Trained) -> Line:
        times = [line.seconds for line in result.history]
        values = [line.psnr_heldout or 0.0 for line in result.history]
        # A plan that ends a little early has its final quality at the time it was made for.
        at = [float(np.interp(s, times, values)) if times[0] <= s <= 1.1 * times[-1] else None for s in seconds]
        return Line(label, name, result.steps, result.gaussians.count, tuple(at))

    match run:
        case "planned":
            lines = []
            for place, budget_s in enumerate(seconds):
                steps = round(budget_s * STEPS_PER_S)
                short = replace(usual, iterations=steps, cap=cap_for(budget_s), budget_s=budget_s, evaluations=1)
                result = trained(short)
                last = result.history[-1].psnr_heldout
                at = tuple(last if i == place else None for i in range(len(seconds)))
                name = f"ours, planned for {budget_s:.0f} s"
                lines.append(Line(label, name, result.steps, result.gaussians.count, at))
            return lines
        case "one":
            result = trained(replace(usual, budget_s=longest, evaluations=LOOKS))
            return [curve(f"ours, one plan for {longest:.0f} s", result)]
        case "paper":
            steps = round(PAPER_REACHES * longest / SECONDS[-1])
            begun = replace(usual, iterations=steps, budget_s=1e9, evaluations=LOOKS, cap=10**6)
            return [curve("paper's recipe, its 30,000 steps begun", trained(begun, first_steps(PAPER, steps)))]
        case "fitted":
            fitted = replace(usual, budget_s=longest, evaluations=LOOKS)
            return [curve(f"paper's recipe, fitted to {longest:.0f} s", trained(fitted, PAPER))]
        case _:
            slow = replace(usual, iterations=round(longest), budget_s=longest, evaluations=LOOKS // 4)
            return [curve(f"ours on plain torch, one plan for {longest:.0f} s", trained(slow, backend="torch"))]


def in_checkout(checkout: Path, scene: Path, seconds: tuple[float, ...], seed: int) -> list[float]:
    """Held-out dB at each of the times, planned for it, by the code of a checkout in a process of its own."""
    command = [sys.executable, str(Path(__file__).resolve()), str(scene.resolve()), "--seeds", str(seed), "--json"]
    command += ["--only", "planned", "--seconds", *map(str, seconds)]
    env = {**os.environ, "PYTHONPATH": str(checkout)}
    done = subprocess.run(command, cwd=checkout, env=env, check=True, capture_output=True, text=True)
    return [float(value) for value in json.loads(done.stdout.splitlines()[-1])]


def before_and_now(scenes: list[Path], checkout: Path, seconds: tuple[float, ...], seeds: list[int]) -> None:
    """Writes the second table of the result file after each scene."""
    cells = [f"{s:.0f} s: {column}" for s in seconds for column in ("before", "now", "gain")]
    head = f"| scene | seed | {' | '.join(cells)} |\n{'| --- ' * (2 + len(cells))}|\n"
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=checkout, check=True, capture_output=True, text=True
    )
    rows: list[str] = []
    gains: list[list[float]] = []
    for path in scenes:
        for seed in seeds:
            before, now = (in_checkout(folder, path, seconds, seed) for folder in (checkout, ROOT))
            gains.append([new - old for old, new in zip(before, now, strict=True)])
            three = [f"{old:.2f} | {new:.2f} | {new - old:+.2f}" for old, new in zip(before, now, strict=True)]
            rows.append(f"| {path.stem} | {seed} | {' | '.join(three)} |\n")
            print(rows[-1], end="", flush=True)
            means = [f" | | {statistics.fmean(column):+.2f}" for column in zip(*gains, strict=True)]
            text = RESULT.read_text(encoding="utf-8")
            first, rest = text.split(BEFORE_BEGIN)
            said = f"Before: {commit}; load average at the end {os.getloadavg()[0]:.1f}.\n\n"
            table = said + head + "".join(rows) + f"| mean | | {' | '.join(means)} |\n"
            RESULT.write_text(first + BEFORE_BEGIN + table + BEFORE_END + rest.split(BEFORE_END)[1], encoding="utf-8")


def cap_for(seconds: float) -> int:
    """How many Gaussians a plan of so many CPU seconds can train."""
    return round(float(np.interp(seconds, list(CAPS), list(CAPS.values()))))


def write(lines: list[Line], seconds: tuple[float, ...], path: Path = RESULT) -> None:
    """Puts the lines into the table of the result file, in the place of those of the same scene and name."""
    text = path.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    old, after = rest.split(END)
    rows = {tuple(row.split(" | ")[:2]): row for row in old.splitlines()[2:] if row}
    rows |= {tuple(str(line).split(" | ")[:2]): str(line) for line in lines}
    head = ["| scene | run | steps | Gaussians | " + " | ".join(f"{s:.0f} s" for s in seconds) + " |"]
    table = [*head, "|" + " --- |" * (4 + len(seconds)), *(rows[key] for key in sorted(rows, key=lambda key: key[0]))]
    path.write_text(before + BEGIN + "\n".join(table) + "\n" + END + after, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenes", nargs="+", type=Path)
    parser.add_argument("--seconds", nargs="+", type=float, default=list(SECONDS), metavar="CPU_S")
    parser.add_argument("--only", nargs="+", choices=RUNS, default=list(RUNS))
    parser.add_argument("--keep", action="store_true", help="print only, leave the result file alone")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0], help="the run planned; several with --before only")
    parser.add_argument("--before", type=Path, metavar="CHECKOUT")
    parser.add_argument("--json", action="store_true", help=argparse.SUPPRESS)  # the child of --before
    args = parser.parse_args()
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch: spinning threads cost 13-18x on a busy machine
    seconds = tuple(args.seconds)
    if args.before:
        before_and_now(args.scenes, args.before, seconds, args.seeds)
        return
    for path in args.scenes:
        scene = load_scene(path)
        if args.json:
            lines = measure(scene, path.stem, seconds, "planned", args.seeds[0])
            print(json.dumps([line.at[place] for place, line in enumerate(lines)]))
            return
        for run in args.only:
            lines = measure(scene, path.stem, seconds, run)
            for line in lines:
                print(line, flush=True)
            if not args.keep:
                write(lines, seconds)


if __name__ == "__main__":
    main()
