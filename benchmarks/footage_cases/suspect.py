"""What is said of a result that may be wrong, whatever found that out: the doubt is given to the mock pipeline."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from benchmarks.footage_cases.case import Case, Run

REASON = "Held-out frames are 14.0 dB, 12.3 dB below training frames."


def _any_bytes(folder: Path) -> Sequence[Path]:
    path = folder / "view1.mp4"
    path.write_bytes(b"any bytes do for the mock")
    return [path]


def _said_everywhere(run: Run) -> str:
    if run.exit_code != 0 or not run.metrics:
        return f"no result, exit {run.exit_code}"
    manifest = json.loads((run.out / "manifest.json").read_text(encoding="utf-8"))
    says = {
        "metrics.json": run.metrics.get("suspect") is True,
        "manifest.json": manifest.get("suspect") is True and (manifest.get("doubt") or {}).get("reasons") == [REASON],
        "report.html": REASON in (run.out / "report.html").read_text(encoding="utf-8"),
        "stderr": run.stderr.startswith("doubtful (POSES_SUSPECT): "),
    }
    viewer = run.out / "viewer.html"
    if viewer.is_file():  # the mock makes none
        says["viewer.html"] = REASON in viewer.read_text(encoding="utf-8")
    return ", ".join(f"nothing in {place}" for place, said in says.items() if not said)


CASES = (
    Case(
        "in doubt", "11 suspect results", "a result that is in doubt (mock pipeline)", _any_bytes, _said_everywhere,
        arguments=("--backend", "mock"), environment={"MOCK_DOUBT": REASON},
    ),
)  # fmt: skip
