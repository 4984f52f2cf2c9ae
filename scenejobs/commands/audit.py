"""`scenejobs audit [--json] [--deep]`: exit code 0 when nothing is wrong, 1 when an invariant is violated."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping

from scenejobs.audit.report import Report, audit
from scenejobs.audit.snapshot import collect
from scenejobs.commands.storage import open_from
from scenejobs.logs.setup import printable
from scenejobs.settings.groups import RunnerSettings, WatchSettings
from scenejobs.settings.reader import read_all


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = commands.add_parser("audit", help="prove from the blobs that nothing was lost, doubled or left behind")
    command.add_argument("--json", action="store_true", help="one JSON object")
    command.add_argument("--deep", action="store_true", help="also read every committed result and compare its SHA-256")
    command.add_argument(
        "--max-attempts", type=int, default=0, help="MAX_RETRIES of the runner; default: from the environment"
    )
    command.set_defaults(run=run)


def run(options: argparse.Namespace, env: Mapping[str, str]) -> int:
    """Raises ConfigurationError, and the errors of storage."""
    storage, dispatch = open_from(env)
    runner, watch = read_all((RunnerSettings, WatchSettings), env)
    containers, attempts = storage.containers, options.max_attempts or runner.max_attempts
    evidence = collect(containers, storage.queues, dispatch, attempts, containers.state.now(), watch.retention_days)
    report = audit(evidence, containers.output if options.deep else None)
    print(json.dumps(report.to_json(), indent=1) if options.json else text(report))
    return 1 if report.violations else 0


def text(report: Report) -> str:
    lines = [printable(finding.line()) for finding in (*report.notes, *report.violations)]
    blobs = ", ".join(f"{count} in {kind}" for kind, count in report.blobs.items())
    verdict = f"{len(report.violations)} violations" if report.violations else "clean: I1 to I8 hold"
    return "\n".join([*lines, f"{verdict}; {report.scenes} scenes; blobs: {blobs}"])
