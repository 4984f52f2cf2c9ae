"""`scenejobs audit [--json] [--deep]`: exit code 0 when nothing is wrong, 1 when an invariant is violated."""

from __future__ import annotations

import click

from scenejobs.audit.report import Report, audit
from scenejobs.audit.snapshot import collect
from scenejobs.commands.shell.command import Answer, Shell
from scenejobs.commands.shell.command import command as made
from scenejobs.settings.groups import RunnerSettings, WatchSettings
from scenejobs.settings.reader import read_all


@made(
    "audit", "prove from the blobs that nothing was lost, doubled or left behind",
    click.option("--deep", is_flag=True, help="Also read every committed result and compare its SHA-256."),
    click.option("--max-attempts", type=int, default=0, help="MAX_RETRIES of the runner.  [default: as set here]"),
    section="For operators",
)  # fmt: skip
def command(shell: Shell, deep: bool, max_attempts: int) -> Answer:
    """Raises ConfigurationError, and the errors of storage."""
    storage, dispatch = shell.open()
    runner, watch = read_all((RunnerSettings, WatchSettings), shell.env)
    containers, attempts = storage.containers, max_attempts or runner.max_attempts
    evidence = collect(containers, storage.queues, dispatch, attempts, containers.state.now(), watch.retention_days)
    report = audit(evidence, containers.output if deep else None)
    for line in lines(report):
        shell.say(line)
    return Answer(report.to_json(), 1 if report.violations else 0)


def lines(report: Report) -> list[str]:
    blobs = ", ".join(f"{count} in {kind}" for kind, count in report.blobs.items())
    verdict = f"{len(report.violations)} violations" if report.violations else "clean: I1 to I8 hold"
    found = [finding.line() for finding in (*report.notes, *report.violations)]
    return [*found, f"{verdict}; {report.scenes} scenes; blobs: {blobs}"]
