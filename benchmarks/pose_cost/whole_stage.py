"""What the pose stage of today costs against an earlier one, in turns.

    python -m benchmarks.pose_cost.whole_stage [--before COMMIT] [--runs 1] [SET ...]

Each runs in a process of its own from a tree of its own, frames and settings included, on the same footage, so the
commit may be older than the interfaces of today (`benchmarks.poses --before` puts an earlier pose stage into today's
program). CPU seconds are of the COLMAP processes; seconds of the stage are wall time.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

HERE = Path(__file__).resolve()
SETS = ("fox", "demo")
PARTS = ("features", "matching", "mapping")
HEAD = """# Camera poses: the whole stage against commit {before}

`python -m benchmarks.pose_cost.whole_stage --before {before} --runs {runs}`, laptop preset, {cores} cores, load average
at the end {load:.1f}; medians of the runs, in turns.

| set | version | placed | position % median, worst | pairs | features, matching, mapping CPU s | sum | of before \
| stage s | of before |
| --- | --- | ---: | --- | ---: | --- | ---: | ---: | ---: | ---: |"""


def one(name: str, footage: Path) -> dict[str, Any]:
    """In a process of its own, of the tree that is its working folder."""
    from benchmarks import poses
    from benchmarks.pose_ways import WAYS

    parts_of = _beside("parts")
    files = sorted((footage / name).glob("*.mp4")) if name == "demo" else poses.files_of(name, footage)
    with tempfile.TemporaryDirectory() as folder:
        with parts_of.cpu_by_part() as parts:
            found = WAYS["ours"](files, Path(folder), "laptop", 0, [])
        measured = poses.measure(found, Path(folder), poses.truth_of(name, files))
    return {"placed": measured["placed"], "position": measured.get("position"), "pairs": parts.pairs,
            "stage": measured["poses_s"], **parts.seconds}  # fmt: skip


def _beside(name: str) -> ModuleType:
    """A module of this folder, which the earlier tree need not have."""
    spec = importlib.util.spec_from_file_location(f"{name}_of_today", HERE.with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look it up
    spec.loader.exec_module(module)
    return module


def medians(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Of what differs from run to run; the rest of the last one."""
    return {**runs[-1], **{key: statistics.median(run[key] for run in runs) for key in (*PARTS, "stage")}}


def rows(name: str, before: str, found: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[str]:
    """found: the runs of each version, that of `before` first."""
    base, lines = medians(found[before]), []
    for version, runs in found.items():
        got = medians(runs)
        cpu_s, of = (sum(each[part] for part in PARTS) for each in (got, base))
        position = ", ".join(f"{100 * value:.2f}" for value in got["position"] or ())
        seconds = ", ".join(f"{got[part]:.0f}" for part in PARTS)
        ratios = ("", "") if version == before else (f"{cpu_s / of:.2f}", f"{got['stage'] / base['stage']:.2f}")
        lines.append(
            f"| {name} | {version} | {got['placed']} | {position} | {got['pairs']:,} | {seconds} | {cpu_s:.0f} "
            f"| {ratios[0]} | {got['stage']:.0f} | {ratios[1]} |"
        )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="*", default=SETS)
    parser.add_argument("--before", metavar="COMMIT", default="981feaa")
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--footage", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    args = parser.parse_args()
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch: spinning threads cost 13-18x on a busy machine
    if args.one:
        print(json.dumps(one(args.one, args.footage)))
        return
    from benchmarks.checkout import ROOT, checked_out  # here: the earlier tree need not have it

    lines: list[str] = []
    with tempfile.TemporaryDirectory() as temporary, checked_out(args.before, Path(temporary) / "tree") as tree:
        for name in args.sets:
            lines += rows(name, args.before, in_turns(name, args, {args.before: tree, "now": ROOT}))
            print("\n".join(lines[-2:]), flush=True)
    head = HEAD.format(before=args.before, runs=args.runs, cores=os.cpu_count(), load=os.getloadavg()[0])
    print("\n".join([head, *lines]))


def in_turns(name: str, args: argparse.Namespace, trees: Mapping[str, Path]) -> dict[str, list[dict[str, Any]]]:
    """The runs of each version."""
    from benchmarks.poses import FOOTAGE, files_of

    found: dict[str, list[dict[str, Any]]] = {version: [] for version in trees}
    with tempfile.TemporaryDirectory() as footage:
        if name == "demo":
            files_of(name, Path(footage))  # rendered once
        for _ in range(args.runs):
            for version, tree in trees.items():
                done = subprocess.run(
                    [sys.executable, "-P", str(HERE), "--one", name, "--footage", footage], cwd=tree, check=True,
                    text=True, stdout=subprocess.PIPE,
                    env={**os.environ, "PYTHONPATH": str(tree), "SCENE_FOOTAGE": str(FOOTAGE)},
                )  # fmt: skip
                found[version].append(json.loads(done.stdout.strip().splitlines()[-1]))
    return found


if __name__ == "__main__":
    main()
