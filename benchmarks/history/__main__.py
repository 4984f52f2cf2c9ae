"""What a sweep, a burst of uploads and a look of watch mode cost beside what was done before, now and before.

    python -m benchmarks.history [--before COMMIT] [--scenes 1000000] [--refused 12000] [--out FILE]

The same rows (`rows.py`) run on this version and on a checkout of the commit before, one after the other, on
the same machine. Calls and blobs are tests as well (tests/unit/function_app/test_cost_of_history.py), seconds are not.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.checkout import ROOT, checked_out

ROWS = Path(__file__).with_name("rows.py")
BEFORE = "8424e4f"
LONGEST_S = 600  # of one row: no sweep may


def measured(tree: Path, *row: str) -> Any:
    """One row on one version. None where it takes too long."""
    env = {**os.environ, "PYTHONPATH": str(tree)}
    try:
        done = subprocess.run(
            [sys.executable, str(ROWS), *row],
            cwd=tree,
            env=env,
            capture_output=True,
            text=True,
            check=True,
            timeout=600,
        )
    except subprocess.TimeoutExpired:
        return None
    except subprocess.CalledProcessError as exc:
        raise SystemExit(f"{' '.join(row)} on {tree}: {exc.stderr[-2000:]}") from exc
    return json.loads(done.stdout)


def cell(value: Any) -> str:
    if value is None:
        return f"longer than {LONGEST_S} s"
    if isinstance(value, dict):
        return ", ".join(f"{name} {cell(each)}" for name, each in value.items())
    return f"{value:,}" if isinstance(value, int) else str(value)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", default=BEFORE, help="the commit to compare with")
    parser.add_argument("--scenes", type=int, default=1_000_000, help="finished scenes, in memory")
    parser.add_argument("--refused", type=int, default=12_000, help="refused names, on the emulator; 0: leave it out")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks/results/history.md")
    options = parser.parse_args()
    rows = [
        ("a sweep beside 100,000 finished scenes", ("memory", "100000")),
        (f"a sweep beside {options.scenes:,} finished scenes", ("memory", str(options.scenes))),
        ("1,000 uploads into one scene", ("uploads",)),
        ("one look of watch mode, ms of CPU by finished scenes", ("watch",)),
    ]
    if options.refused:
        rows.append((f"{options.refused:,} refused names, on the emulator", ("refused", str(options.refused))))
    lines = ["| what | before | now |", "| --- | --- | --- |"]
    with tempfile.TemporaryDirectory() as folder, checked_out(options.before, Path(folder, "before")) as before:
        if (ROOT / ".local").exists():  # the emulator is installed there
            (before / ".local").symlink_to(ROOT / ".local")
        for what, row in rows:
            lines.append(f"| {what} | {cell(measured(before, *row))} | {cell(measured(ROOT, *row))} |")
            print(lines[-1], flush=True)
    head = f"Measured {datetime.now(UTC):%Y-%m-%d} by `python -m benchmarks.history`, before: commit {options.before}."
    options.out.write_text("# The cost of history\n\n" + head + "\n\n" + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
