"""Every failure of the list, and their table: python -m tests.deployment_simulation [--table FILE]."""

from __future__ import annotations

import argparse
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.deployment_simulation.campaign import Outcome, before, play
from tests.deployment_simulation.failures import FAILURES
from tests.infra.azd.dry_run import AZURE
from tests.infra.scripts.scripted import SUBSCRIPTION

HEAD = """\
# Deployments that fail, and the run after

Written by `python -m tests.deployment_simulation --table benchmarks/results/deployment.md`: the real hooks in azd's
order against a model of azd and Resource Manager (`tests/deployment_simulation`). Nothing ran on Azure. Of the first
run the last line; what azd and Resource Manager say is the model's.

| failure | step | first run says | second run |
| --- | --- | --- | --- |
"""


def said(outcome: Outcome) -> str:
    if outcome.failure.survived and not outcome.first.code:
        return "nothing: it gets over it"
    lines = [
        line for line in outcome.first.said.splitlines() if ".sh: " in line or "ERROR" in line or "interrupted" in line
    ]
    line = lines[-1] if lines else f"ends with {outcome.first.code}"
    line = re.sub(r"\bce9af14d4062d\b", "ID", line.replace(SUBSCRIPTION, "SUBSCRIPTION"))
    return re.sub(r"cuda13-[0-9a-f]{16}", "cuda13-HASH", line).replace("|", "\\|")[:240]


def row(outcome: Outcome) -> str:
    failure = outcome.failure
    where = f"hook `{failure.step}`" if failure.step in AZURE["hooks"] else failure.step
    name = (
        failure.name
        + {"first": "", "working": " (of a deployment that works)", "two jobs": " (with two jobs)"}[failure.world]
    )
    after = "FAULT: " + "; ".join(outcome.faults) if outcome.faults else "ends well"
    return f"| {name} | {where} | {said(outcome)} | {after} |"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--table", type=Path)
    parser.add_argument("--only", default="", help="failures whose step and name contain it")
    parser.add_argument("--jobs", type=int, default=2, help="failures beside each other")
    chosen = parser.parse_args()
    rows, faults = [], 0
    before()  # once for all
    before(two_jobs=True)
    with ThreadPoolExecutor(chosen.jobs) as pool:
        for outcome in pool.map(play, [item for item in FAILURES if chosen.only in f"{item.step}: {item.name}"]):
            faults += bool(outcome.faults)
            rows.append(row(outcome))
            print(rows[-1], flush=True)
    if chosen.table:
        chosen.table.write_text(HEAD + "\n".join(rows) + f"\n\n{len(rows)} failures, {faults} with a fault.\n")
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
