"""Estimate against actual: what a scene was expected to take before it was decoded, and what it took.

    python -m benchmarks.estimate --committed
    python -m benchmarks.estimate PRESET SET...

The first holds estimates against the committed runs of other benchmarks (results/estimate.md), the second runs sets
(results/estimate_runs.md). A set is as in end_to_end.py. Actual times are CPU seconds divided by the machine's cores:
others who use it change nothing then, and a stage that uses one core alone takes longer by the clock. The last column
is what the same footage is expected to take when the other sets have been finished here.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.end_to_end import RESULTS, machine, videos_of
from benchmarks.sizing import measured
from runner.commands.inputs import named_files
from runner.media.footage import read_footage
from runner.pipeline.fitting import plan_of
from runner.pipeline.presets import preset
from scenejobs.estimate import learned
from scenejobs.estimate.learned import Finished
from scenejobs.estimate.model import CORES, STAGE_OF, STAGES, Estimate, estimate
from scenejobs.estimate.plans import PLANS
from scenejobs.estimate.words import size, time


def ran(name: str, chosen: str) -> tuple[Finished, dict[str, Any], Any]:
    """One run: what it took, what sizing.py saw, its footage."""
    with tempfile.TemporaryDirectory() as folder:
        seen: dict[str, Any] = measured(chosen, name, 0, Path(folder))
        metrics = json.loads((Path(folder) / "out/metrics.json").read_text())
        clips = named_files([str(path) for path in videos_of(name, Path(folder) / "again")]).clips
        footage = read_footage(clips, preset(chosen).frames)
    cores = len(os.sched_getaffinity(0))
    took = learned.by_stage({stage: each["cpu_s"] / cores for stage, each in seen["stages"].items()}, STAGE_OF)
    prior = metrics["estimate"]["prior_s"]
    return Finished(name, "cpu", chosen, float(cores), metrics["images_total"], prior, took, 0.0, 0.0), seen, footage


def row(one: Finished, first: Estimate, after: Estimate, seen: dict[str, Any]) -> str:
    cells = [
        one.run,
        f"{first.frames.high:.0f}: {one.frames}",
        *(f"{time(first.stages_s[stage])}: {one.took_s.get(stage, 0.0):.0f}" for stage in STAGES),
        f"{time(first.total_s)}: {one.total_s:.0f} s",
        "yes" if first.total_s.low <= one.total_s <= first.total_s.high else "no",
        f"{size(first.memory_mb)}: {seen['peak_mb']}",
        f"{size(first.disk_mb)}: {seen['disk_mb']:.0f}",
        time(after.total_s),
    ]
    return f"| {' | '.join(cells)} |"


def committed() -> list[str]:
    """fox with the whole preset; demo, fox and walk with 1,000 steps of 20,000 Gaussians, as results/poses.md tells."""
    short = replace(PLANS["laptop"], steps=1000, gaussians=20_000)
    (whole,) = json.loads((RESULTS / "end_to_end.json").read_text())["fox"]
    runs = [("fox", PLANS["laptop"], whole["cpu_s"], whole["images_total"], "end_to_end.json")]
    for line in (RESULTS / "poses.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if cells[0] in ("demo", "fox", "walk") and cells[1] == "ours":
            runs.append((cells[0], short, float(cells[-2]), int(cells[2].split()[-1]), "poses.md"))
    lines = [
        "# Estimate against actual",
        "",
        "`python -m benchmarks.estimate --committed`: runs of other benchmarks on two cores, with what their files are",
        "expected to take by their headers. CPU seconds, since those runs shared their machine: an estimate is of wall",
        "clock on two idle cores, and is doubled here. The formula was made with these runs in sight.",
        "",
        "| set | steps | from | frames expected | frames | CPU s expected | CPU s | within |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, plan, cpu_s, frames, source in runs:
        with tempfile.TemporaryDirectory() as folder:
            clips = named_files([str(path) for path in videos_of(name, Path(folder))]).clips
            found = estimate(read_footage(clips, preset("laptop").frames), plan)
        total = found.total_s.times(CORES)
        within = "yes" if total.low <= cpu_s <= total.high else "no"
        lines.append(
            f"| {name} | {plan.steps:,} | [{source}]({source}) | {found.frames.high:.0f} | {frames} | "
            f"{total.low:.0f} to {total.high:.0f} | {cpu_s:.0f} | {within} |"
        )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--committed", action="store_true")
    parser.add_argument("preset", nargs="?", default="laptop")
    parser.add_argument("sets", nargs="*")
    options = parser.parse_args()
    if options.committed:
        write("estimate.md", committed())
        return
    plan = plan_of(preset(options.preset), "cpu")
    runs = [ran(name, options.preset) for name in options.sets]
    lines = [
        "# Estimate against actual",
        "",
        f"`python -m benchmarks.estimate {options.preset} {' '.join(options.sets)}`, {machine()}. In each cell first "
        "what was expected from headers, then what it took: CPU seconds divided by the cores, memory of all processes "
        "in MB, disk of the workspace in MB. The last column: expected after the other sets were finished.",
        "",
        f"| set | frames | {' | '.join(STAGES)} | all | within | memory | disk | learned from the others |",
        "| --- |" + " --- |" * (len(STAGES) + 6),
    ]
    for one, seen, footage in runs:
        others = [each for each, _, _ in runs if each.run != one.run]
        ratios = learned.ratios(others, "cpu", STAGES)
        lines.append(row(one, estimate(footage, plan, CORES), estimate(footage, plan, CORES, ratios), seen))
    write("estimate_runs.md", lines)


def write(name: str, lines: Sequence[str]) -> None:
    (RESULTS / name).write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
