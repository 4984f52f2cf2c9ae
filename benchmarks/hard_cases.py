"""Every hard case of tests/hard_inputs.py: `python -m benchmarks.hard_cases [CASE ...] [--out FILE]`.

Prints a table, and ends with 1 when a case was neither stopped with the right code nor rescued with right cameras.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

HEADER = """# Hard cases

`python -m benchmarks.hard_cases`, {now}, commit {commit}, {cores} cores, load average at the start {load}.
480 x 360, 30 frames, 1,500 features. Errors are the worst of all placed cameras against the true ones: position after
similarity alignment, relative to the mean distance of the true cameras from their centre; rotation between any two.
CPU seconds are of all processes, for frames and poses; load is the average of the last minute at the end of each case.

| case | what | becomes | placed | position % | rotation deg | won by | CPU s | load | it says |
| --- | --- | --- | --- | --- | --- | --- | ---: | ---: | --- |"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*")
    parser.add_argument("--out", type=Path, help="also write the table to this file")
    args = parser.parse_args()
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

    from tests.hard_inputs import Case, Outcome, named, run

    def row(case: Case, outcome: Outcome, wrong: str) -> str:
        report = outcome.report
        cells = [
            case.name, case.what, f"**WRONG: {wrong}**" if wrong else str(outcome.code or "rescued"),
            f"{report.images_registered} of {report.images_total}" if report else "",
            f"{100 * outcome.position:.2f}" if outcome.position is not None else "",
            f"{outcome.angle_deg:.2f}" if outcome.angle_deg is not None else "",
            report.rung if report else "", f"{outcome.cpu_s:.0f}",
            f"{os.getloadavg()[0]:.1f}", " ".join(outcome.text[:400].replace("|", "/").split()),
        ]  # fmt: skip
        return f"| {' | '.join(cells)} |"

    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.strip()
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    lines = [HEADER.format(cores=os.cpu_count(), now=f"{datetime.now(UTC):%Y-%m-%d}", commit=commit, load=load)]
    print(lines[0], flush=True)
    failed, total_s = 0, 0.0
    for case in named(args.cases):
        with tempfile.TemporaryDirectory() as folder:
            outcome = run(case, Path(folder))
        wrong = outcome.wrong(case)
        failed += bool(wrong)
        lines.append(row(case, outcome, wrong))
        total_s += outcome.cpu_s
        print(lines[-1], flush=True)
        if args.out:  # after each case: a run that is ended leaves what it knows
            args.out.write_text("\n".join([*lines, _sum(len(lines) - 1, failed, total_s)]) + "\n", encoding="utf-8")
    print(_sum(len(lines) - 1, failed, total_s))
    return 1 if failed else 0


def _sum(cases: int, failed: int, total_s: float) -> str:
    right = f"{cases - failed} of {cases} cases are stopped or rescued as they should be"
    return f"\n{right}; {total_s:.0f} CPU seconds in all."


if __name__ == "__main__":
    sys.exit(main())
