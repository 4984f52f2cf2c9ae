"""Each answer lost once: the service did what was asked, the connection broke. The end is that of an undisturbed run.

python -m tests.chaos.lost_answers [--points N] [--scenario NAME]
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

from tests.chaos import cases
from tests.chaos.cases import Case, Result
from tests.chaos.crashing import Point
from tests.chaos.scenarios import DEAD_LETTER, QUIET, REQUEUE, SCENE, SECOND, SUCCESS, SWEEP, UPLOAD, Scenario
from tests.chaos.world import World, Worlds

TEXT = """
Each request of each program once: it reaches the service, which does it; then the connection breaks before the answer.
The program is not restarted by hand; it repeats the request or gives the work back, as it is made to. Good means: every
invariant holds, and the blobs and the scene's record are those of an undisturbed run, but for times and the names of
runs. "Work begun" shows what it cost: a single attempt per generation and point (`second generation` has two).
"""
SCENARIOS = (SUCCESS, DEAD_LETTER, SECOND, UPLOAD, QUIET, SWEEP, REQUEUE)
GIVEN_BACK = 3  # infrastructure: the work is left to the next one

State = dict[str, str]


def final_state(world: World) -> State:
    """Every blob a user can see with its size, and the record: without times, and with runs by their number."""
    containers = world.containers
    runs: dict[str, str] = {}

    def masked(text: str) -> str:
        return re.sub(r"\d{8}T\d{6}Z-[0-9a-f]{8}", lambda run: runs.setdefault(run[0], f"RUN{len(runs) + 1}"), text)

    state = {}
    for kind in ("input", "output", "processed", "error"):
        for blob in getattr(containers, kind).list():
            # documents, logs and the report hold times, whose length varies
            size = "" if blob.name.endswith((".json", ".log", ".html")) else f" {blob.size_bytes} bytes"
            state[f"{kind}/{masked(blob.name)}"] = size
    record = world.record(SCENE)
    if record.ending is None:
        raise AssertionError(f"{SCENE} has not ended")
    kept = (record.phase, record.generation, record.attempts, record.preemptions, record.manifest, record.failures)
    state["record"] = masked(f"{kept} {record.ending.outcome} {sorted(record.ending.archived.items())}")
    return state


@dataclass(frozen=True)
class Clean:
    """What an undisturbed run sends, and what it leaves."""

    trace: list[str]
    state: State

    def strike(self, world: World, case: Case) -> tuple[bool, list[str], str]:
        """Loses the answer, lets everything come to rest, and compares."""
        scenario = case.scenario
        scenario.prepare(world)
        before = world.attempts()
        process = scenario.start(world, str(case.point))
        code = process.wait()
        problems = [] if code in (0, GIVEN_BACK) else [f"it ended with {code}:\n{process.output()[-2000:]}"]
        reached = len(process.trace()) >= case.point.number
        if not reached:  # how often a runner looks depends on the time; then no answer was lost
            problems.append(f"it ended before its request {case.point.number}")
        world.settle(sweep_every_s=scenario.sweep_every_s)
        problems += [*world.problems(), *scenario.ending.wrong(world)]
        begun = world.attempts() - before
        if begun != 1:
            problems.append(f"the work was begun {begun} times")
        state = final_state(world)
        problems += [
            f"{name} is {state.get(name)!r}, undisturbed {self.state.get(name)!r}"
            for name in sorted(state.keys() | self.state.keys())
            if state.get(name) != self.state.get(name)
        ]
        return reached, problems, f"exit {code}" if code else ""

    def cases(self, scenario: Scenario, count: int | None) -> list[Case]:
        points = [Case(scenario, Point("l", number), cases.what(line)) for number, line in enumerate(self.trace, 1)]
        return cases.choose(points, count)


def undisturbed(worlds: Worlds, scenario: Scenario) -> Clean:
    return Clean(*cases.learn(worlds, scenario, final_state))


def run(worlds: Worlds, scenarios: Sequence[Scenario], count: int | None, parallel: int) -> list[Result]:
    results = []
    for scenario in scenarios:
        clean = undisturbed(worlds, scenario)
        chosen = clean.cases(scenario, count)
        results += cases.run_all(worlds, chosen, clean.strike, parallel=parallel, show=cases.show)
    return results


def main(argv: Sequence[str]) -> int:
    options = cases.arguments("lost_answers", __doc__ or "", argv)
    results: list[Result] = []
    scenarios = [scenario for scenario in SCENARIOS if not options.scenario or scenario.name in options.scenario]
    with Worlds() as worlds:
        for scenario in scenarios:
            began = time.monotonic()
            found = run(worlds, [scenario], options.points, options.parallel)
            results += found
            if not options.no_report:
                cases.report("lost_answers", "Every answer lost once", TEXT, found, time.monotonic() - began)
    return cases.verdict(results)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
