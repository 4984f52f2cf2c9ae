"""The table of results, benchmarks/results/simulation.md."""

from __future__ import annotations

import argparse

from tests.simulation.campaign import Totals, Trial, Verdict
from tests.simulation.profile import SCRIPTED

COLUMNS = (
    ("uploads", ("upload",)),
    ("of them superseded", ("superseded",)),
    ("committed runs", ("commit",)),
    ("dead letters", ("dead letter",)),
    ("executions", ("execution",)),
    ("of them in the fallback job", ("start at the fallback job",)),
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
    trials: list[Trial],
) -> str:
    lines = [
        "# Simulated schedules",
        "",
        "The real dispatcher and runner over the in-memory adapters, on a virtual clock (`tests/simulation`).",
        "Written by",
        "",
        f"    python -m tests.simulation --schedules {options.schedules} --seed {options.seed} --jobs {options.jobs} "
        f"--crash-scenarios {options.crash_scenarios} --table benchmarks/results/simulation.md",
        "",
        "| | |",
        "| --- | --- |",
        f"| schedules | {totals.schedules:,} |",
        f"| steps | {totals.steps:,} |",
        *(f"| {title} | {sum(totals.counts[kind] for kind in kinds):,} |" for title, kinds in COLUMNS),
        f"| seconds, {options.jobs} process{'es' if options.jobs > 1 else ''} | {totals.seconds:,.0f} |",
        f"| **violations of an invariant** | **{len(totals.violations)}** |",
        "",
        "One crash before or after each single call of dispatcher and runner, nothing else going wrong:",
        f"{crashes.schedules:,} crash points of {options.crash_scenarios} scenarios, "
        f"**{len(crashes.violations)} not recovered**, {crashes.seconds:.0f} s.",
        "",
        "## Mutants",
        "",
        f"Each rule of the protocol switched off, by replacing a function: of {len(trials)} mutants "
        f"{_count(trials, Verdict.NOTICED)} were noticed,",
        f"{_count(trials, Verdict.SURVIVED)} were not, {_count(trials, Verdict.BROKEN)} were broken. Noticed: at which "
        "schedule, by which invariant. An exception is no invariant:",
        "a mutant that dies of one is broken, as is one whose replaced function is never called, and the run fails.",
        "The faults called `scripted` are single crashes, each in a schedule in which nothing else goes wrong.",
        "",
        "| rule that is missing | faults | noticed |",
        "| --- | --- | --- |",
    ]
    for trial in trials:
        mutant = trial.mutant
        lines.append(f"| {mutant.name}: {mutant.rule} | {mutant.profile} | {_noticed(trial)} |")
    return "\n".join(lines) + "\n"


def _count(trials: list[Trial], verdict: Verdict) -> int:
    return sum(trial.verdict is verdict for trial in trials)


def _noticed(trial: Trial) -> str:
    counted = "crash point" if trial.mutant.profile in SCRIPTED else "schedule"
    match trial.verdict:
        case Verdict.NOTICED if trial.outcome is not None:
            return f"{counted} {trial.schedules}, {trial.outcome.invariant}"
        case Verdict.SURVIVED:
            reason = f", because {trial.mutant.redundant}" if trial.mutant.redundant else ""
            return f"not noticed in {trial.schedules} {counted}s{reason}"
        case _:
            return str(trial)
