"""The CPU rasteriser's training step now and in other checkouts, in turns: what changes of the kernels are worth.

    python benchmarks/rasterizer_before.py CHECKOUT [CHECKOUT ...] [--rounds 7] [--threads 1 2]

Writes results/rasterizer_before.md. CHECKOUT: a worktree of a commit before. CPU time (user + system of all threads) of
whole steps (render, L1 + SSIM, backward, Adam); all take the same Gaussians, cameras and targets. With and without the
sums of |gradient| that densification reads until its last refinement (`absgrad`). What is compiled is compiled before
any clock runs.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import statistics
import subprocess
import sys
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RESULT = ROOT / "benchmarks" / "results" / "rasterizer_before.md"
SIZES = ((400, 300, 20_000), (480, 270, 40_000))
REPEATS = 12  # steps of a measurement


def child(threads: int) -> None:
    """In the checkout that PYTHONPATH names: CPU ms per step of each size, with and without `absgrad`."""
    from benchmarks import rasterizer as bench
    from runner.raster import rasterizer
    from runner.training.loss import Target, photometric_loss
    from runner.training.optimiser import CompiledAdam

    class Step(bench.Step):
        """With the Adam of a training."""

        def __init__(self, *args: object) -> None:
            super().__init__(*args)  # type: ignore[arg-type]
            self.adam = CompiledAdam([{"params": [value]} for value in self.params.values()], lr=1e-5, eps=1e-15)

    measured = {}
    for width, height, count in SIZES:
        start, views = bench.garden(count), bench.cameras(width, height)
        targets = [Target(bench.torch.full((height, width, 3), 0.5)) for _ in views]
        for absgrad in (True, False):
            draw = rasterizer("cpu", threads)
            draw.render = partial(draw.render, absgrad=absgrad)  # type: ignore[method-assign]
            step = Step(draw, photometric_loss, start, views)
            bench.timed(step, targets, bench.VIEWS)  # compiles, fills caches
            measured[f"{width}x{height}, {count}, {absgrad}"] = bench.timed(step, targets, REPEATS)
    print(json.dumps(measured))


def measure(checkout: Path, threads: int) -> dict[str, float]:
    env = {**os.environ, "PYTHONPATH": str(checkout), "OMP_NUM_THREADS": str(threads)}
    command = [sys.executable, str(Path(__file__).resolve()), "--child", str(threads)]
    done = subprocess.run(command, cwd=checkout, env=env, check=True, capture_output=True, text=True)
    return dict(json.loads(done.stdout))


def commit_of(checkout: Path) -> str:
    command = ["git", "-C", str(checkout), "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def rows(turns: dict[Path, list[dict[str, float]]], threads: int) -> list[str]:
    """Of one number of threads: a line per size, with minimum / median of each checkout and the ratios to the last."""
    lines = []
    for name in next(iter(turns.values()))[0]:
        size, count, absgrad = name.split(", ")
        values = [[turn[name] for turn in each] for each in turns.values()]
        times = " | ".join(f"{min(each):.1f} / {statistics.median(each):.1f}" for each in values)
        of_turns = [[b / a for a, b in zip(old, values[-1], strict=True)] for old in values[:-1]]
        least = [min(values[-1]) / min(old) for old in values[:-1]]
        ratios = " | ".join(f"{a:.2f} / {statistics.median(b):.2f}" for a, b in zip(least, of_turns, strict=True))
        kept = "yes" if absgrad == "True" else "no"
        lines.append(f"| {size} | {int(count):,} | {kept} | {threads} | {times} | {ratios} |")
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkouts", type=Path, nargs="*", metavar="CHECKOUT")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--child", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options.child)
        return 0
    from benchmarks.rasterizer import machine

    checkouts = [checkout.resolve() for checkout in options.checkouts]
    names = [commit_of(checkout) for checkout in checkouts]
    turns = {threads: {checkout: [] for checkout in (*checkouts, ROOT)} for threads in options.threads}
    for _ in range(options.rounds):
        for threads, measured in turns.items():
            for checkout, times in measured.items():
                times.append(measure(checkout, threads))
    told = (
        f"`python benchmarks/rasterizer_before.py CHECKOUT ...` of {', '.join(names)}, {datetime.date.today()};\n"
        f"{machine()}; load average {os.getloadavg()[0]:.0f} at the end. CPU milliseconds per step, all threads\n"
        f"together, minimum / median of {options.rounds} turns; ratios of the minima / median of the turns' ratios."
    )
    columns = [*(f"{name}, ms" for name in names), "now, ms", *(f"now / {name}" for name in names)]
    header = f"| image | Gaussians | absolute gradients | threads | {' | '.join(columns)} |"
    lines = [
        "# CPU rasteriser: one training step, before and now",
        "",
        told,
        "",
        header,
        "|---" * (4 + len(columns)) + "|",
    ]
    for threads, measured in turns.items():
        lines += rows(measured, threads)
    RESULT.write_text("\n".join(lines) + "\n")
    print(RESULT.read_text())
    return 0


if __name__ == "__main__":
    sys.exit(main())
