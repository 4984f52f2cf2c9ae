"""What people upload, before and now: `python -m benchmarks.footage [--before FOLDER] [--only NAME ...]`.

Each case of benchmarks/footage_cases is made anew and given to `video-splat scene`, of this checkout and, with
--before, of another one (a checkout of an earlier commit with its own .venv). Writes benchmarks/results/footage.json
and the table of footage.md; --only runs some cases and keeps the rows of the others. Footage that is not in the
repository is looked for in SCENE_FOOTAGE. Ends with 1 when a case of this checkout is not as it should be.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import pkgutil
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import footage_cases
from benchmarks.footage_cases.case import Case, NotHere, Run, camera_errors
from tests.synthetic import render, walk
from tests.videos import write_video

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
TABLE, ROWS = RESULTS / "footage.md", RESULTS / "footage.json"
MARK = "<!-- what is below is written by hand or by other commands and kept -->"
LIMIT_S = 3600.0

HEADER = """# Footage

`python -m benchmarks.footage`, {now}, {cores} cores, load average at the end {load:.1f}. Before is commit {before}.
Errors are medians over the cameras: of the position in per cent of the mean distance of the true cameras from their
centre, after similarity alignment; of the rotation between pairs in degrees. CPU seconds are of all processes of a run.

| kind | input | before | CPU s | now | CPU s | as it should be |
| --- | --- | --- | ---: | --- | ---: | --- |"""


def cases() -> Iterator[Case]:
    """Of all topics."""
    for module in sorted(pkgutil.iter_modules(footage_cases.__path__), key=lambda found: found.name):
        if module.name != "case":
            yield from getattr(importlib.import_module(f"benchmarks.footage_cases.{module.name}"), "CASES", ())


def run(case: Case, files: Sequence[Path], folder: Path, program: Path) -> Run:
    """The case by the program in a checkout."""
    out = folder / f"out-{program.name}"
    command = [str(program / ".venv/bin/python"), "-m", "runner", "scene", *map(str, files)]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [*command, "--out", str(out), "--name", "scene", "--quiet", *case.arguments],
        cwd=program, env={**os.environ, **case.environment}, capture_output=True, text=True, check=False,
        timeout=LIMIT_S,
    )  # fmt: skip
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Run(done.returncode, cpu_s, out, done.stderr)


def compile_kernels(program: Path) -> None:
    """Trains a small room where this checkout has no compiled kernels yet: that takes about 50 CPU seconds, which
    would be counted as those of the first case."""
    if any((program / "runner").rglob("*.nbi")):
        return
    with tempfile.TemporaryDirectory() as temporary:
        small = {
            "MIN_VIDEO_WIDTH": "320", "MIN_VIDEO_HEIGHT": "240", "COLMAP_MAX_NUM_FEATURES": "600",
            "MIN_RECONSTRUCTION_POINTS": "200",
        }  # fmt: skip
        room = Case("room", "", "", lambda folder: [_room(folder)], lambda _: "", environment=small)
        run(room, room.make(Path(temporary)), Path(temporary), program)


def _room(folder: Path) -> Path:
    return write_video(folder / "room.mp4", [render(*pose) for pose in walk(14)], fps=5)


def cell(case: Case, done: Run) -> str:
    """The outcome, with the errors of its cameras where they are known."""
    errors = camera_errors(done, case.truth(done)) if case.truth else None
    text = done.summary() + (f", {errors[0]:.1f} %, {errors[1]:.2f} deg" if errors else "")
    return " ".join(text.replace("|", "/").split())


def measured(case: Case, before: Path | None, now: bool) -> dict[str, Any]:
    """One row. now: whether this checkout runs as well."""
    row: dict[str, Any] = {"point": case.point, "what": case.what}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        try:
            files = case.make(folder)
            if before is not None:
                done = run(case, files, folder, before)
                row |= {"before": cell(case, done), "before_cpu_s": done.cpu_s}
            if now:
                done = run(case, files, folder, ROOT)
                row |= {"now": cell(case, done), "cpu_s": done.cpu_s, "wrong": case.right(done)}
        except NotHere as exc:
            row |= {"now": f"not run: {exc}", "wrong": ""}
    return row


def line(name: str, row: dict[str, Any]) -> str:
    """Of the table."""
    seconds = [f"{row[key]:.0f}" if key in row else "" for key in ("before_cpu_s", "cpu_s")]
    verdict = f"**no: {row['wrong']}**" if row["wrong"] else "yes" if seconds[1] else ""
    cells = [row["point"], f"{name}: {row['what']}", row.get("before", ""), seconds[0], row["now"], seconds[1], verdict]
    return f"| {' | '.join(cells)} |"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", type=Path, help="checkout of an earlier commit, with its own .venv")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="cases by name, or by their beginning")
    parser.add_argument("--skip-now", action="store_true", help="only the earlier commit")
    options = parser.parse_args()
    known = {case.name: case for case in cases()}
    stored = json.loads(ROWS.read_text(encoding="utf-8")) if ROWS.is_file() else {"before": "", "rows": {}}
    rows = {name: row for name, row in stored["rows"].items() if name in known}
    before = options.before.resolve() if options.before else None
    if before is not None:
        stored["before"] = _commit(before)
    for program in ([before] if before else []) + ([] if options.skip_now else [ROOT]):
        compile_kernels(program)
    for name, case in known.items():
        if options.only and not any(name.startswith(wanted) for wanted in options.only):
            continue
        earlier = rows.get(name, {})
        rows[name] = {"now": "", "wrong": "", **earlier, **measured(case, before, not options.skip_now)}
        print(line(name, rows[name]), flush=True)
        _write(stored["before"], {key: rows[key] for key in known if key in rows})
    return 1 if any(row["wrong"] for row in rows.values()) else 0


def _write(before: str, rows: dict[str, Any]) -> None:
    kept = TABLE.read_text(encoding="utf-8").partition(MARK)[2] if TABLE.is_file() else "\n"
    now = f"{datetime.now(UTC):%Y-%m-%d}"
    header = HEADER.format(now=now, cores=os.cpu_count(), load=os.getloadavg()[0], before=before or "(not run)")
    ordered = sorted(rows.items(), key=lambda item: (int(item[1]["point"].split()[0]), item[0]))
    lines = [header, *(line(name, row) for name, row in ordered), "", MARK]
    TABLE.write_text("\n".join(lines) + kept, encoding="utf-8")
    ROWS.write_text(json.dumps({"before": before, "rows": rows}, indent=1) + "\n", encoding="utf-8")


def _commit(program: Path) -> str:
    done = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=program, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
