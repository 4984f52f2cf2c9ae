"""The CPU rasteriser's training step now and in another checkout, in turns: what a change of the kernels is worth.

    python benchmarks/rasterizer_before.py CHECKOUT [--rounds 7]     # writes results/rasterizer_before.md

CHECKOUT: a worktree of the commit before. CPU time (user + system, one thread) of whole steps (render, L1 + SSIM,
backward, Adam); both take the same Gaussians, cameras and targets. With and without the sums of |gradient| that
densification reads until its last refinement (`absgrad`). What is compiled is compiled before any clock runs.
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
HEADER = "| image | Gaussians | absolute gradients | before, ms | now, ms | now / before |\n|---|---|---|---|---|---|"


def child() -> None:
    """In the checkout that PYTHONPATH names: CPU ms per step of each size, with and without `absgrad`."""
    from benchmarks import rasterizer as bench
    from runner.raster import rasterizer
    from runner.training.loss import Target, photometric_loss

    measured = {}
    for width, height, count in SIZES:
        start, views = bench.garden(count), bench.cameras(width, height)
        targets = [Target(bench.torch.full((height, width, 3), 0.5)) for _ in views]
        for absgrad in (True, False):
            draw = rasterizer("cpu", 1)
            draw.render = partial(draw.render, absgrad=absgrad)  # type: ignore[method-assign]
            step = bench.Step(draw, photometric_loss, start, views)
            bench.timed(step, targets, bench.VIEWS)  # compiles, fills caches
            measured[f"{width}x{height}, {count}, {absgrad}"] = bench.timed(step, targets, REPEATS)
    print(json.dumps(measured))


def measure(checkout: Path) -> dict[str, float]:
    env = {**os.environ, "PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(Path(__file__).resolve()), "--child"]
    done = subprocess.run(command, cwd=checkout, env=env, check=True, capture_output=True, text=True)
    return dict(json.loads(done.stdout))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkout", type=Path, nargs="?")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child()
        return 0
    from benchmarks.rasterizer import machine

    before, now = list[dict[str, float]](), list[dict[str, float]]()
    for _ in range(options.rounds):
        before.append(measure(options.checkout.resolve()))
        now.append(measure(ROOT))
    commit = subprocess.run(
        ["git", "-C", str(options.checkout), "rev-parse", "--short", "HEAD"], check=True, capture_output=True, text=True
    ).stdout.strip()
    told = (
        f"`python benchmarks/rasterizer_before.py CHECKOUT` of {commit}, {datetime.date.today()}; {machine()}; load\n"
        f"average {os.getloadavg()[0]:.0f} at the end. CPU milliseconds per step on one thread, median of "
        f"{options.rounds} turns;\nthe ratio is the median of the turns' ratios."
    )
    lines = ["# CPU rasteriser: one training step, before and now", "", told, "", HEADER]
    for name in now[0]:
        size, count, absgrad = name.split(", ")
        old, new = [each[name] for each in before], [each[name] for each in now]
        ratio = statistics.median(b / a for a, b in zip(old, new, strict=True))
        kept, medians = "yes" if absgrad == "True" else "no", (statistics.median(old), statistics.median(new))
        lines.append(f"| {size} | {int(count):,} | {kept} | {medians[0]:.1f} | {medians[1]:.1f} | {ratio:.2f} |")
    RESULT.write_text("\n".join(lines) + "\n")
    print(RESULT.read_text())
    return 0


if __name__ == "__main__":
    sys.exit(main())
