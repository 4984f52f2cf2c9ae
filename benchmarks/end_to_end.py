"""Videos in, measured scene out: the whole job as a user runs it, per data set.

    python benchmarks/end_to_end.py [--preset laptop] [--runs 1] [SET ...]

A set is a folder of videos below SCENE_FOOTAGE (default: the folder `shared/data` beside the repository), or `demo` for
the rendered footage. Writes benchmarks/results/end_to_end.md; the raw metrics go to end_to_end.json beside it.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))
RESULTS = REPOSITORY / "benchmarks" / "results"
FOOTAGE = Path(os.environ.get("SCENE_FOOTAGE", REPOSITORY.parent / "shared" / "data"))
VIDEO_SUFFIXES = {".mp4", ".mov"}


def videos_of(name: str, folder: Path) -> list[Path]:
    """The clips of a set. Ends the program when they are not there."""
    if name == "demo":
        from local.footage.film import make_demo_footage

        return make_demo_footage(folder / "demo")
    found = sorted(path for path in (FOOTAGE / name).glob("*") if path.suffix.lower() in VIDEO_SUFFIXES)
    if not found:
        sys.exit(f"no videos in {name}: set SCENE_FOOTAGE to the folder that holds it")
    return found


def run(videos: list[Path], out: Path, preset: str) -> dict[str, object]:
    """One run of the job; its metrics with wall, CPU and memory of the whole process tree."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.monotonic()
    command = [sys.executable, "-m", "runner", "scene", *map(str, videos), "--out", str(out), "--preset", preset]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{out.name}: exit {done.returncode}: {done.stderr[-2000:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    metrics = json.loads((out / "metrics.json").read_text())
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {**metrics, "wall_s": time.monotonic() - began, "cpu_s": cpu_s, "peak_mb": after.ru_maxrss / 1024}


def row(name: str, runs: list[dict[str, object]]) -> str:
    """One line of the table: the run with the median PSNR, medians of the times."""
    middle = sorted(runs, key=lambda each: each["psnr_heldout"])[len(runs) // 2]
    stages = middle["stage_seconds"].items()
    cells = [
        name,
        f"{middle['images_registered']}/{middle['images_total']}",
        f"{middle['mean_reprojection_error_px']:.2f}",
        f"{middle['psnr_heldout']:.2f}",
        f"{middle['ssim_heldout']:.3f}",
        f"{middle['n_gaussians']:,}",
        f"{statistics.median(each['wall_s'] for each in runs):.0f}",
        f"{statistics.median(each['cpu_s'] for each in runs):.0f}",
        f"{max(each['peak_mb'] for each in runs):.0f}",
        ", ".join(f"{stage} {seconds:.0f}" for stage, seconds in stages if seconds >= 0.5),
    ]
    return f"| {' | '.join(cells)} |"


def machine() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "?")
    return f"{os.cpu_count()} cores of {model}, no GPU, Python {sys.version.split()[0]}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="*", default=["fox", "walk", "demo"])
    parser.add_argument("--preset", default="laptop")
    parser.add_argument("--runs", type=int, default=1)
    options = parser.parse_args()
    results = {}
    with tempfile.TemporaryDirectory() as temporary:
        for name in options.sets:
            videos = videos_of(name, Path(temporary))
            results[name] = [run(videos, Path(temporary) / f"{name}-{k}", options.preset) for k in range(options.runs)]
            print(row(name, results[name]), flush=True)
    columns = "set, registered, reprojection px, held-out PSNR dB, SSIM, Gaussians, wall s, CPU s, peak MB, stages s"
    command = f"python benchmarks/end_to_end.py --preset {options.preset} {' '.join(options.sets)}"
    lines = [
        "# End to end",
        "",
        f"`{command}`, {datetime.now(UTC):%Y-%m-%d}, {machine()}; load average at the end {os.getloadavg()[0]:.1f}.",
        f"Medians of {options.runs} run(s). PSNR and SSIM on held-out blocks of consecutive frames, at training size.",
        "",
        f"| {columns.replace(', ', ' | ')} |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
        *(row(name, runs) for name, runs in results.items()),
        "",
    ]
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / "end_to_end.md").write_text("\n".join(lines))
    (RESULTS / "end_to_end.json").write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
