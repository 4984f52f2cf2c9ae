"""Many schedules: in several processes, counted, and the first violation told so that anybody can see it again."""

from __future__ import annotations

import itertools
import multiprocessing
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from tests.simulation.hub import INVARIANTS
from tests.simulation.mutant import Mutant, applied, patched
from tests.simulation.profile import SCRIPTED
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

    @property
    def invariant(self) -> str:
        """The one that was violated; "I0" for an exception that nobody handled."""
        return self.violation.partition(":")[0]


class Verdict(StrEnum):
    """What became of a mutant."""

    NOTICED = "noticed"  # an invariant was violated
    SURVIVED = "not noticed"  # what replaces the rule ran, and no invariant was violated
    BROKEN = "BROKEN"  # it died of an exception, or what replaces the rule never ran: it proves nothing


@dataclass(frozen=True)
class Trial:
    """Of one mutant."""

    mutant: Mutant
    verdict: Verdict
    schedules: int  # that were run
    outcome: Outcome | None = None  # of the schedule that ended the trial
    never_called: tuple[str, ...] = ()  # functions of the mutant, where no schedule ended the trial

    @property
    def as_expected(self) -> bool:
        return self.verdict is (Verdict.SURVIVED if self.mutant.redundant else Verdict.NOTICED)

    def __str__(self) -> str:
        if self.outcome is not None:
            return f"{self.verdict} in schedule {self.schedules}: {self.outcome.violation}"
        missing = f", {', '.join(self.never_called)} was never called" if self.never_called else ""
        return f"{self.verdict} in {self.schedules} schedules{missing}"


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
    counts["execution"] += sum(compute.starts for compute in simulation.computes)
    counts["start at the fallback job"] += simulation.computes[1].starts
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


def judge(mutant: Mutant, seed: int = 0) -> Trial:
    """Runs schedules until one is violated, at most the mutant's limit. Only an invariant notices a mutant."""
    calls: Counter[str] = Counter()
    for number, options in enumerate(itertools.islice(_schedules(mutant, seed), mutant.limit), start=1):
        with applied(mutant) as called:
            outcome = run_one(options)
        calls += called
        if outcome.violation and not _violated_anyhow(mutant, options):
            verdict = Verdict.NOTICED if outcome.invariant in INVARIANTS else Verdict.BROKEN
            return Trial(mutant, verdict, number, outcome)
    never_called = tuple(patch.what for patch in mutant.patches if not calls[patch.what])
    return Trial(mutant, Verdict.BROKEN if never_called else Verdict.SURVIVED, mutant.limit, None, never_called)


def _schedules(mutant: Mutant, seed: int) -> Iterator[Options]:
    for each in itertools.count(seed):
        yield from (
            single_crashes(each, mutant.profile) if mutant.profile in SCRIPTED else (Options(each, mutant.profile),)
        )


def _violated_anyhow(mutant: Mutant, options: Options) -> bool:
    """Whether the schedule is violated as well when only the hiding rule is off: then it tells nothing of this one."""
    if not mutant.off:
        return False
    with patched(mutant.off):
        return bool(run_one(options).violation)


def single_crashes(seed: int, profile: str = "scripted") -> Iterator[Options]:
    """One schedule for each side of each call of a scenario in which nothing else goes wrong."""
    plain = run_one(Options(seed, profile))
    for number in range(1, plain.calls + 1):
        for side in ("before", "after"):
            yield Options(seed, profile, crash_at=(number, side))


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


def explain(outcome: Outcome, mutant: Mutant | None = None) -> str:
    """For the person who has to find the reason."""
    with applied(mutant):
        again = simulate(outcome.options)
    return (
        f"seed {outcome.options.seed}, profile {outcome.options.profile}: {outcome.violation}\n"
        f"again: {command(outcome.options, mutant.name if mutant else '')}\n{story(again)}"
    )
