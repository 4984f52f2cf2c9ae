"""`python -m tests.simulation --schedules 20000 --jobs 2 --table benchmarks/results/simulation.md`; see --help."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.simulation.campaign import Totals, command, explain, first_violation, run_many, single_crashes, story
from tests.simulation.mutants import BY_NAME, MUTANTS, applied
from tests.simulation.profile import MIXED, PROFILES
from tests.simulation.report import table
from tests.simulation.world import Options, simulate

CRASH_SCENARIOS = range(12)
SHOWN, LISTED = 3, 20  # violating schedules that are told in full, and at all


def main(arguments: list[str] | None = None) -> int:
    """Exit code 1 when an invariant was violated, or when a mutant was not noticed."""
    options = _parser().parse_args(arguments)
    if options.mutant:
        return _one_mutant(options)
    if options.schedules == 1:
        return _one_schedule(options)
    seeds = range(options.seed, options.seed + options.schedules)
    totals = run_many([Options(seed, options.profile) for seed in seeds], options.jobs)
    _tell(totals)
    if not options.table:
        return 1 if totals.violations else 0
    crashes = run_many([point for seed in CRASH_SCENARIOS for point in single_crashes(seed)], options.jobs)
    _tell(crashes)
    noticed = [(mutant, *first_violation(mutant)) for mutant in MUTANTS]
    options.table.write_text(table(options, totals, crashes, len(CRASH_SCENARIOS), noticed))
    missed = [mutant.name for mutant, outcome, _ in noticed if (outcome is None) != bool(mutant.redundant)]
    print(f"mutants that ended otherwise than expected: {', '.join(missed) or 'none'}")
    return 1 if totals.violations or crashes.violations or missed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.simulation", description="Simulated schedules of the protocol."
    )
    parser.add_argument("--schedules", type=int, default=1000, help="how many; 1 prints its whole trace")
    parser.add_argument("--seed", type=int, default=0, help="of the first")
    parser.add_argument("--profile", default=MIXED, choices=[MIXED, *PROFILES], help="which faults")
    parser.add_argument("--mutant", choices=sorted(BY_NAME), help="with this rule switched off")
    parser.add_argument("--crash-at", metavar="SIDE:CALL", help="one schedule: one crash there (before:17, after:17)")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--table", type=Path, help="also every single crash and every mutant; writes the results there")
    return parser


def _one_schedule(options: argparse.Namespace) -> int:
    side, _, number = (options.crash_at or "").partition(":")
    simulation = simulate(Options(options.seed, options.profile, crash_at=(int(number), side) if number else None))
    print(story(simulation, 0))
    print(simulation.hub.violation or "no violation")
    return 1 if simulation.hub.violation else 0


def _one_mutant(options: argparse.Namespace) -> int:
    mutant = BY_NAME[options.mutant]
    if options.schedules == 1:
        with applied(mutant):
            return _one_schedule(options)
    outcome, tried = first_violation(mutant, options.seed)
    print(explain(outcome, mutant.name) if outcome else f"{mutant.name}: not noticed in {tried} schedules")
    return 1 if outcome else 0


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
