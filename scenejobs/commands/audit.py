"""`python -m scenejobs audit [--json] [--deep]`: exit code 0 when nothing is wrong, 1 when an invariant is violated."""

from __future__ import annotations

import argparse
import json
from typing import Any

from scenejobs.audit.report import Report, audit
from scenejobs.audit.snapshot import collect
from scenejobs.logs.setup import printable
from scenejobs.ports import Containers, Queues
from scenejobs.settings.groups import DispatchSettings


def add_to(commands: Any) -> None:
    command = commands.add_parser("audit", help="prove from the blobs that nothing was lost, doubled or left behind")
    command.add_argument("--json", action="store_true", help="one JSON object")
    command.add_argument("--deep", action="store_true", help="also read every committed result and compare its SHA-256")
    command.add_argument(
        "--max-attempts", type=int, default=0, help="MAX_RETRIES of the runner; default: from the environment"
    )


def run(
    options: argparse.Namespace,
    containers: Containers,
    queues: Queues,
    settings: DispatchSettings,
    max_attempts: int,
    retention_days: float,
) -> int:
    attempts, now = options.max_attempts or max_attempts, containers.state.now()
    evidence = collect(containers, queues, settings, attempts, now, retention_days)
    report = audit(evidence, containers.output if options.deep else None)
    print(json.dumps(report.to_json(), indent=1) if options.json else text(report))
    return 1 if report.violations else 0


def text(report: Report) -> str:
    lines = [printable(finding.line()) for finding in (*report.notes, *report.violations)]
    blobs = ", ".join(f"{count} in {kind}" for kind, count in report.blobs.items())
    verdict = f"{len(report.violations)} violations" if report.violations else "clean: I1 to I8 hold"
    return "\n".join([*lines, f"{verdict}; {report.scenes} scenes; blobs: {blobs}"])
