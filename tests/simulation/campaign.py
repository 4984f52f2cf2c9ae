"""Many schedules: in several processes, counted, and the first violation told so that anybody can see it again."""

from __future__ import annotations

import multiprocessing
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from tests.simulation.mutants import BY_NAME, Mutant, applied
from tests.simulation.world import Options, Simulation, simulate

SHOWN_STEPS = 60  # of the trace of a violating schedule
CHUNK = 25  # schedules that a process takes at once


@dataclass(frozen=True)
class Outcome:
    """What is kept of one schedule."""

    options: Options
    violation: str
    steps: int
    calls: int
    counts: Counter[str] = field(default_factory=Counter)


@dataclass
class Totals:
    """Of many schedules."""

    schedules: int = 0
    steps: int = 0
    calls: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    violations: list[Outcome] = field(default_factory=list)
    seconds: float = 0.0

    def add(self, outcome: Outcome) -> None:
        self.schedules += 1
        self.steps += outcome.steps
        self.calls += outcome.calls
        self.counts.update(outcome.counts)
        if outcome.violation:
            self.violations.append(outcome)


def outcome_of(simulation: Simulation) -> Outcome:
    hub, checker = simulation.hub, simulation.checker
    counts = Counter(hub.counts)
    counts["commit"] += len(checker.commits)
    counts["dead letter"] += len(set(checker.given_up.values()))
    counts["superseded"] += sum(version.superseded for version in checker.versions.values())
    counts["execution"] += simulation.compute.starts
    return Outcome(simulation.options, hub.violation, hub.steps, hub.calls, counts)


def run_one(options: Options) -> Outcome:
    return outcome_of(simulate(options))


def run_many(options: Iterable[Options], jobs: int = 1) -> Totals:
    totals, began = Totals(), time.monotonic()
    for outcome in _outcomes(options, jobs):
        totals.add(outcome)
    totals.seconds = time.monotonic() - began
    return totals


def _outcomes(options: Iterable[Options], jobs: int) -> Iterator[Outcome]:
    if jobs == 1:
        yield from map(run_one, options)
        return
    with multiprocessing.get_context("fork").Pool(jobs) as pool:
        yield from pool.imap(run_one, options, CHUNK)


def first_violation(mutant: Mutant, seed: int = 0) -> tuple[Outcome | None, int]:
    """The first schedule that notices the mutant, and how many it took; None when none does within its limit."""
    with applied(mutant):
        for number in range(mutant.limit):
            outcome = run_one(Options(seed + number, mutant.profile))
            if outcome.violation:
                return outcome, number + 1
    return None, mutant.limit


def single_crashes(seed: int) -> Iterator[Options]:
    """One schedule for each side of each call of a scenario in which nothing else goes wrong."""
    plain = run_one(Options(seed, "scripted"))
    for number in range(1, plain.calls + 1):
        for side in ("before", "after"):
            yield Options(seed, "scripted", crash_at=(number, side))


def command(options: Options, mutant: str = "") -> str:
    """What runs exactly this schedule again."""
    text = f"python -m tests.simulation --schedules 1 --seed {options.seed} --profile {options.profile}"
    if options.crash_at:
        text += f" --crash-at {options.crash_at[1]}:{options.crash_at[0]}"
    return text + (f" --mutant {mutant!r}" if mutant else "")


def story(simulation: Simulation, steps: int = SHOWN_STEPS) -> str:
    """The end of a schedule's trace. The same options give the same text."""
    rows = simulation.hub.trace[-steps:] if steps else simulation.hub.trace
    return "\n".join(f"{at:9.2f} {who:<28} {what} {result}".rstrip() for at, who, what, result in rows)


def explain(outcome: Outcome, mutant: str = "") -> str:
    """For the person who has to find the reason."""
    with applied(BY_NAME[mutant] if mutant else None):
        again = simulate(outcome.options)
    return (
        f"seed {outcome.options.seed}, profile {outcome.options.profile}: {outcome.violation}\n"
        f"again: {command(outcome.options, mutant)}\n{story(again)}"
    )
