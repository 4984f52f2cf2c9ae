"""Every hard case of tests/hard_inputs.py: `python -m benchmarks.hard_cases [CASE ...] [--out FILE]`.

Prints a table, and ends with 1 when a case was neither stopped with the right code nor rescued with right cameras.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

HEADER = """# Hard cases

`python -m benchmarks.hard_cases`, {cores} cores. 480 x 360, 30 frames, 1,500 features. Errors are the worst of all
placed cameras against the true ones: position after similarity alignment, relative to the mean distance of the true
cameras from their centre; rotation between any two. Seconds are wall time for frames and poses.

| case | what | becomes | placed | position % | rotation deg | won by | s | it says |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |"""


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
            report.rung if report else "", f"{outcome.seconds:.0f}", outcome.text[:300],
        ]  # fmt: skip
        return f"| {' | '.join(cells)} |"

    lines = [HEADER.format(cores=os.cpu_count())]
    print(lines[0], flush=True)
    failed = 0
    for case in named(args.cases):
        with tempfile.TemporaryDirectory() as folder:
            outcome = run(case, Path(folder))
        wrong = outcome.wrong(case)
        failed += bool(wrong)
        lines.append(row(case, outcome, wrong))
        print(lines[-1], flush=True)
    lines.append(f"\n{len(lines) - 1 - failed} of {len(lines) - 1} cases are stopped or rescued as they should be.")
    print(lines[-1])
    if args.out:
        args.out.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
