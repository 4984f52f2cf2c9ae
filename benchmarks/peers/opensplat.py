"""OpenSplat (github.com/pierotofy/OpenSplat, AGPL) as a program of its own: its options, its CPU seconds, its results.

Nothing of it is in this repository: it is built elsewhere, started, and its PLY is read.
"""

from __future__ import annotations

import math
import os
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from runner.raster.port import Rasterizer, Rendering

BACKGROUND = (0.6130, 0.0101, 0.3984)  # what it blends in behind everything, in training and in its own pictures
WHOLE = 30_000  # its number of steps where none is given
STEP = re.compile(r"Step (\d+): ")
WROTE = re.compile(r"Wrote (.*_(\d+)\.ply)$")
TICKS = os.sysconf("SC_CLK_TCK")  # per second, of /proc


@dataclass(frozen=True)
class Saved:
    """A scene that it wrote."""

    path: Path
    steps: int
    cpu_s: float  # of the whole process until it was written, with its start and the reading of the pictures


def whole_schedule(save_every: int) -> list[str]:
    """Options: what it does where nothing is set, with the scene saved on the way."""
    return ["--num-iters", str(WHOLE), "--save-every", str(save_every)]


def fitted(steps: int) -> list[str]:
    """Options of its whole schedule in so many steps.

    Its shares of 30,000 steps: coarser pictures for two tenths, spherical harmonics from a 30th, the first refinement
    after a 60th, large splats on the screen until 4/30; growth until half of the steps is built into it. Refined at
    every 60th of the steps, not every 300th, but not more often than every 10 steps nor less than its 100: fewer see
    too few views. Opacities are reset after 30 refinements, as it does, which is after growth has ended up to 6,000.
    """
    refine_every = min(100, max(10, math.ceil(steps / 60)))
    return [
        "--num-iters", str(steps),
        "--resolution-schedule", str(max(1, steps // 10)),
        "--sh-degree-interval", str(max(1, steps // 30)),
        "--warmup-length", str(max(steps // 60, refine_every)),  # else the first one resets the opacities
        "--stop-screen-size-at", str(steps * 4 // 30),
        "--refine-every", str(refine_every),
    ]  # fmt: skip


def run(program: Path, project: Path, out: Path, options: Sequence[str], until_s: float | None = None) -> list[Saved]:
    """Trains on one thread; what it wrote, in order. until_s: CPU seconds after which it is ended.

    Raises SystemExit with its last lines when it fails.
    """
    out.mkdir(parents=True, exist_ok=True)
    command = [program, project, "--cpu", "--keep-crs", "--output", out / "splat.ply", *options]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    saved: list[Saved] = []
    lines: list[str] = []
    steps, ended = 0, False
    child = subprocess.Popen(
        [str(part) for part in command], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert child.stdout
    with child.stdout:
        for line in child.stdout:
            lines = [*lines[-30:], line]
            if step := STEP.match(line):
                steps = int(step[1])
                if until_s is not None and _cpu_s(child.pid) > until_s:
                    child.terminate()
                    ended = True
            elif wrote := WROTE.match(line.strip()):
                saved.append(Saved(Path(wrote[1]), int(wrote[2]), _cpu_s(child.pid)))
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode and not ended:
        raise SystemExit(f"{' '.join(map(str, command))}: exit {child.returncode}\n{''.join(lines)}")
    if not ended:
        saved.append(Saved(out / "splat.ply", steps, usage.ru_utime + usage.ru_stime))
    return saved


def last_within(saved: Sequence[Saved], seconds: float) -> Saved:
    """The last scene that was written in so many CPU seconds. Raises SystemExit when none was."""
    within = [each for each in saved if each.cpu_s <= seconds]
    if not within:
        raise SystemExit(f"no scene was saved within {seconds:.0f} CPU s: save more often (--save-every)")
    return within[-1]


def _cpu_s(pid: int) -> float:
    """CPU seconds of a running process, all its threads."""
    after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(after_name[11]) + int(after_name[12])) / TICKS


@dataclass(frozen=True)
class OnItsBackground:
    """A rasteriser that draws on the background that the other program trained with."""

    rasterizer: Rasterizer

    @property
    def name(self) -> str:
        return self.rasterizer.name

    @property
    def device(self) -> torch.device:
        return self.rasterizer.device

    def render(self, *args: Any, **options: Any) -> Rendering:
        options["background"] = torch.tensor(BACKGROUND, device=self.device)
        return self.rasterizer.render(*args, **options)
