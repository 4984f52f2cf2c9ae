"""The table of results, benchmarks/results/simulation.md."""

from __future__ import annotations

import argparse

from tests.simulation.campaign import Outcome, Totals
from tests.simulation.mutants import Mutant

COLUMNS = (
    ("uploads", ("upload",)),
    ("of them superseded", ("superseded",)),
    ("committed runs", ("commit",)),
    ("dead letters", ("dead letter",)),
    ("executions", ("execution",)),
    ("crashes", ("crash", "out of memory", "killed after the grace")),
    ("lost answers", ("lost answer", "unanswered")),
    ("503", ("503",)),
    ("pauses", ("pause", "pause of one thread")),
    ("SIGTERM", ("SIGTERM",)),
    ("failed, ghost, stillborn starts", ("start failed", "ghost", "dies at once")),
    ("copies that took time, or failed", ("slow copy", "failing copy")),
    ("attempts that went on from saved work", ("goes on",)),
    ("hostile messages and names", ("hostile message", "hostile upload")),
)


def table(
    options: argparse.Namespace,
    totals: Totals,
    crashes: Totals,
    scenarios: int,
    noticed: list[tuple[Mutant, Outcome | None, int]],
) -> str:
    lines = [
        "# Simulated schedules",
        "",
        "The real dispatcher and runner over the in-memory adapters, on a virtual clock (`tests/simulation`).",
        "Written by",
        "",
        f"    python -m tests.simulation --schedules {options.schedules} --seed {options.seed} --jobs {options.jobs} "
        "--table benchmarks/results/simulation.md",
        "",
        "| | |",
        "| --- | --- |",
        f"| schedules | {totals.schedules:,} |",
        f"| steps | {totals.steps:,} |",
        *(f"| {title} | {sum(totals.counts[kind] for kind in kinds):,} |" for title, kinds in COLUMNS),
        f"| seconds, {options.jobs} process{'es' if options.jobs > 1 else ''} | {totals.seconds:,.0f} |",
        f"| **violations of I1 to I10** | **{len(totals.violations)}** |",
        "",
        "One crash before or after each single call of dispatcher and runner, nothing else going wrong:",
        f"{crashes.schedules:,} crash points of {scenarios} scenarios, **{len(crashes.violations)} not recovered**, "
        f"{crashes.seconds:.0f} s.",
        "",
        "## Mutants",
        "",
        "Each rule of the protocol switched off, by replacing one function. Noticed: at which schedule, by which",
        "invariant.",
        "",
        "| rule that is missing | faults | noticed |",
        "| --- | --- | --- |",
    ]
    for mutant, outcome, tried in noticed:
        lines.append(f"| {mutant.name}: {mutant.rule} | {mutant.profile} | {_noticed(mutant, outcome, tried)} |")
    return "\n".join(lines) + "\n"


def _noticed(mutant: Mutant, outcome: Outcome | None, tried: int) -> str:
    if outcome is None:
        return f"redundant ({tried} schedules): {mutant.redundant}" if mutant.redundant else f"NOT in {tried} schedules"
    return f"schedule {tried}, {outcome.violation.partition(':')[0]}"
