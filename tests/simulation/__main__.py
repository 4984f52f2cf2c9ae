"""`python -m tests.simulation --schedules 20000 --jobs 2 --table benchmarks/results/simulation.md`; see --help."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.simulation.campaign import (
    Totals,
    Trial,
    Verdict,
    command,
    explain,
    judge,
    outcome_of,
    run_many,
    single_crashes,
    story,
)
from tests.simulation.hub import UNEXPECTED
from tests.simulation.mutant import Mutant, applied
from tests.simulation.mutants import BY_NAME, MUTANTS
from tests.simulation.profile import MIXED, MIXED_GROWING, PROFILES
from tests.simulation.report import table
from tests.simulation.world import Options, simulate

EXIT_BROKEN = 2  # exit code: a mutant proves nothing
SHOWN, LISTED = 3, 20  # violating schedules that are told in full, and at all


def main(arguments: list[str] | None = None, mutants: Sequence[Mutant] = MUTANTS) -> int:
    """Exit code 1: an invariant was violated, or a mutant ended otherwise than expected. 2: a mutant is broken."""
    options = _parser().parse_args(arguments)
    if options.mutant:
        return _one_mutant(options)
    if options.mutants:
        return _exit_code(_judge_all(mutants))
    if options.schedules == 1:
        return _one_schedule(options)
    seeds = range(options.seed, options.seed + options.schedules)
    totals = run_many([Options(seed, options.profile) for seed in seeds], options.jobs)
    _tell(totals)
    if not options.table:
        return 1 if totals.violations else 0
    scenarios = range(options.crash_scenarios)
    crashes = run_many([point for seed in scenarios for point in single_crashes(seed)], options.jobs)
    _tell(crashes)
    trials = _judge_all(mutants)
    options.table.write_text(table(options, totals, crashes, trials))
    return _exit_code(trials) or (1 if totals.violations or crashes.violations else 0)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.simulation", description="Simulated schedules of the protocol."
    )
    parser.add_argument("--schedules", type=int, default=1000, help="how many; 1 prints its whole trace")
    parser.add_argument("--seed", type=int, default=0, help="of the first")
    parser.add_argument("--profile", default=MIXED, choices=[MIXED, MIXED_GROWING, *PROFILES], help="which faults")
    parser.add_argument("--mutant", choices=sorted(BY_NAME), help="with this rule switched off")
    parser.add_argument("--mutants", action="store_true", help="every mutant, and nothing else")
    parser.add_argument("--crash-at", metavar="SIDE:CALL", help="one schedule: one crash there (before:17, after:17)")
    parser.add_argument("--crash-scenarios", type=int, default=12, help="of the table: scenarios of single crashes")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--table", type=Path, help="also every single crash and every mutant; writes the results there")
    return parser


def _one_schedule(options: argparse.Namespace) -> int:
    side, _, number = (options.crash_at or "").partition(":")
    simulation = simulate(Options(options.seed, options.profile, crash_at=(int(number), side) if number else None))
    print(story(simulation, 0))
    print(simulation.hub.violation or "no violation")
    if options.mutant and outcome_of(simulation).invariant == UNEXPECTED:
        print(f"{options.mutant}: {Verdict.BROKEN}", file=sys.stderr)
        return EXIT_BROKEN
    return 1 if simulation.hub.violation else 0


def _one_mutant(options: argparse.Namespace) -> int:
    mutant = BY_NAME[options.mutant]
    if options.schedules == 1:
        with applied(mutant):
            return _one_schedule(options)
    trial = judge(mutant, options.seed)
    print(f"{mutant.name}: {trial}")
    if trial.outcome:
        print(explain(trial.outcome, mutant))
    if trial.verdict is Verdict.BROKEN:
        return EXIT_BROKEN
    return 1 if trial.outcome else 0


def _judge_all(mutants: Sequence[Mutant]) -> list[Trial]:
    trials = []
    for mutant in mutants:
        trials.append(judge(mutant))
        print(f"{mutant.name}: {trials[-1]}", flush=True)
    missed = [trial.mutant.name for trial in trials if not trial.as_expected]
    print(f"mutants that ended otherwise than expected: {', '.join(missed) or 'none'}")
    return trials


def _exit_code(trials: list[Trial]) -> int:
    if any(trial.verdict is Verdict.BROKEN for trial in trials):
        return EXIT_BROKEN
    return 0 if all(trial.as_expected for trial in trials) else 1


def _tell(totals: Totals) -> None:
    rate = totals.schedules / max(totals.seconds, 1e-9)
    print(
        f"{totals.schedules} schedules, {totals.steps} steps, {len(totals.violations)} violations, "
        f"{totals.seconds:.0f} s ({rate:.0f}/s)"
    )
    print(", ".join(f"{kind} {count}" for kind, count in sorted(totals.counts.items())))
    for outcome in totals.violations[:SHOWN]:
        print(explain(outcome))
    for outcome in totals.violations[SHOWN:LISTED]:
        print(f"{outcome.violation}\n  again: {command(outcome.options)}")


if __name__ == "__main__":
    sys.exit(main())
