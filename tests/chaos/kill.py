"""SIGKILL before and after every request of runner and dispatcher: every scene recovers, nothing is lost or twice.

python -m tests.chaos.kill [--points N] [--scenario NAME]
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

from tests.chaos import cases
from tests.chaos.cases import Case, Result
from tests.chaos.crashing import Point
from tests.chaos.scenarios import ALL, Scenario
from tests.chaos.world import World, Worlds

KILLED = -9
TEXT = """
Each point is a world of its own: fresh containers and queues, the program killed with SIGKILL before a request is sent
or after its answer has come; then what the platform would do (messages come back, checks are delivered, the sweep runs,
runners are started) until nothing is left. Good means: every invariant holds, and the scene ended in the generation,
with the outcome and with the archived bytes of a run that nobody disturbed. The lease lasts 15 s. "Work begun" counts
the attempts over all points; `second generation` has a first one in every world. What exceeds that was killed between
the start of its attempt and its commit.
"""


def strike(world: World, case: Case) -> tuple[bool, list[str], str]:
    """Kills, lets the platform do what it does, and looks."""
    scenario = case.scenario
    scenario.prepare(world)
    before = world.attempts()
    killed = scenario.start(world, str(case.point)).wait() == KILLED
    world.settle(sweep_every_s=scenario.sweep_every_s)
    problems = [*world.problems(), *scenario.ending.wrong(world)]
    again = world.attempts() - before
    if again > 2:
        problems.append(f"I5: the work was begun {again} times after one kill")
    return killed, problems, f"work begun {again} times" if again > 1 else ""


def points(worlds: Worlds, scenario: Scenario, count: int | None) -> list[Case]:
    """Both sides of every request, or `count` of them."""
    trace = cases.requests(worlds, scenario)
    everything = [
        Case(scenario, Point(kind, number), cases.what(line))
        for number, line in enumerate(trace, start=1)
        for kind in ("b", "a")
    ]
    return cases.choose(everything, count)


def run(worlds: Worlds, scenarios: Sequence[Scenario], count: int | None, parallel: int) -> list[Result]:
    chosen = [case for scenario in scenarios for case in points(worlds, scenario, count)]
    print(f"{len(chosen)} points", flush=True)
    return cases.run_all(worlds, chosen, strike, parallel=parallel, show=cases.show)


def main(argv: Sequence[str]) -> int:
    options = cases.arguments("kill", __doc__ or "", argv)
    began = time.monotonic()
    scenarios = [scenario for scenario in ALL if not options.scenario or scenario.name in options.scenario]
    with Worlds() as worlds:
        results = run(worlds, scenarios, options.points, options.parallel)
    if not options.no_report:
        cases.report("kill", "Killed before and after every request", TEXT, results, time.monotonic() - began)
    return cases.verdict(results)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
