"""What a run takes of a machine: CPU seconds by stage, memory of all processes, disk. The numbers of docs/sizing.md.

    python -m benchmarks.sizing PRESET SET [--frames N] [--out FILE]

A set is as in end_to_end.py. --frames: fewer than the preset's, where the machine is needed for something else; what a
frame and a pair of frames takes can be worked out all the same. The run is added to benchmarks/results/sizing.json;
`make docs` writes the tables.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.end_to_end import REPOSITORY, RESULTS, machine, videos_of

TICKS = os.sysconf("SC_CLK_TCK")
LOOK_S = 0.5
TOOK = re.compile(r"(\w+) took ([\d.]+) s: ")


def family(pid: int) -> list[int]:
    """A process and all that descend from it."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [pid, *(each for child in children for each in family(int(child)))]


def cpu_s(pids: Iterable[int]) -> float:
    """Of these processes, and of children of theirs that have ended."""
    total = 0
    for pid in pids:
        try:
            words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        total += sum(map(int, words[11:15]))
    return total / TICKS


def memory_mb(pids: Iterable[int]) -> float:
    """Proportional set size: what several of them share counts once."""
    total = 0
    for pid in pids:
        try:
            text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:
            continue
        total += int(re.findall(r"^Pss:\s+(\d+) kB", text, re.MULTILINE)[0]) if text else 0
    return total / 1024


def disk_mb(folder: Path) -> float:
    """Bytes in use below a folder."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.lstat().st_blocks * 512
        except OSError:
            continue
    return total / 1e6


def measured(preset: str, name: str, frames: int, work: Path) -> dict[str, object]:
    """One run, looked at from outside. Raises SystemExit with its last words if it fails."""
    videos = videos_of(name, work)
    out, temporary = work / "out", work / "tmp"
    temporary.mkdir()
    env = {**os.environ, "TMPDIR": str(temporary), "TEMP_PATH": str(temporary), "LOG_FORMAT": "text"}
    command = [sys.executable, "-m", "runner", "scene", *map(str, videos), "--out", str(out), "--preset", preset]
    if frames:
        command += ["--frames", str(frames)]
    log = work / "log"
    with log.open("w") as stream:
        process = subprocess.Popen(command, cwd=REPOSITORY, env=env, stdout=stream, stderr=stream)
        stages: dict[str, dict[str, float]] = {}
        seen, before, peak, highest, used, spent = 0, 0.0, 0.0, 0.0, 0.0, 0.0
        largest: dict[str, float] = {}
        while process.poll() is None:
            pids = family(process.pid)
            spent = max(spent, cpu_s(pids))
            peak, used = max(peak, memory_mb(pids)), max(used, disk_mb(out) + disk_mb(temporary))
            highest = max(highest, peak)
            told = out / "run.log"
            found = TOOK.findall(told.read_text()) if told.exists() else []
            for stage, _ in found[seen:]:
                stages[stage] = {"cpu_s": round(spent - before, 1), "peak_mb": round(peak)}
                before, peak = spent, 0.0
            seen = len(found)
            for folder in (out / "workspace").glob("*/"):
                largest[folder.name] = max(largest.get(folder.name, 0.0), round(disk_mb(folder), 1))
            time.sleep(LOOK_S)
    if process.returncode:
        sys.exit(log.read_text()[-2000:])
    metrics = json.loads((out / "metrics.json").read_text())
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=REPOSITORY, capture_output=True, text=True)
    return {
        "preset": preset, "set": name, "input_mb": round(sum(path.stat().st_size for path in videos) / 1e6, 1),
        "frames": metrics["images_total"], "registered": metrics["images_registered"],
        "gaussians": metrics["n_gaussians"], "steps": metrics["steps"],
        "cpu_s": round(spent, 1), "stages": stages, "peak_mb": round(highest),
        "disk_mb": round(used, 1), "folders_mb": largest, "results_mb": round(disk_mb(out), 1),
        "commit": commit.stdout.strip(), "date": f"{datetime.now(UTC):%Y-%m-%d}", "machine": machine(),
        "cores_used": len(os.sched_getaffinity(0)),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("preset")
    parser.add_argument("set")
    parser.add_argument("--frames", type=int, default=0, help="0: as the preset says")
    parser.add_argument("--out", type=Path, default=RESULTS / "sizing.json")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        run = measured(options.preset, options.set, options.frames, Path(temporary))
    kept = json.loads(options.out.read_text()) if options.out.exists() else []
    options.out.write_text(json.dumps([*kept, run], indent=1) + "\n")
    print(json.dumps(run, indent=1))


if __name__ == "__main__":
    main()
