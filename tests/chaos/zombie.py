"""SIGSTOP before every request; a rival finishes, the user uploads again, SIGCONT: the zombie changes nothing.

python -m tests.chaos.zombie [--points N] [--scenario NAME]
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import replace

from scenejobs.state.layout import run_folder
from tests.chaos import cases
from tests.chaos.cases import Case, Result
from tests.chaos.crashing import Point
from tests.chaos.scenarios import DEAD_LETTER, QUIET, SCENE, SECOND, SUCCESS, SWEEP, Scenario
from tests.chaos.world import World, Worlds

NAME = "lobby/view1.mp4"
AGAIN = b"uploaded again while the zombie slept"
TEXT = """
The program stops itself with SIGSTOP before a request, as on a machine that is suspended. Lease and message run out, a
rival takes the scene over and finishes it, the same name is uploaded again with other bytes, then SIGCONT. In
`overtaken` the rival finishes the new upload too before the zombie wakes. Good means: between SIGCONT and its end the
zombie changed no blob of input, output, processed and error and no scene record (files in the folder of a run that was
never committed are invisible and not counted), and afterwards every version came to rest in exactly one place. A runner
that was stopped before it asked for the lease owns nothing: when it wakes it may rightly take the new upload. So may a
dispatcher, which owns nothing ever: of it only the ending is judged.
"""

OVERTAKEN = replace(SUCCESS, name="success, overtaken")
SCENARIOS = (SUCCESS, OVERTAKEN, DEAD_LETTER, SECOND, QUIET, SWEEP)

Blobs = dict[str, str]  # container and name -> ETag, and for the record its phase and generation


def seen(world: World) -> Blobs:
    """What a user or another program can see. (Progress and the dispatcher's own notes are nobody's truth.)"""
    containers = world.containers
    stores = (containers.input, containers.output, containers.processed, containers.error)
    blobs = {f"{store.name}/{blob.name}": blob.etag for store in stores for blob in store.list()}
    return blobs | {f"state/{blob.name}": blob.etag for blob in containers.state.list("scenes/")}


def changed(before: Blobs, after: Blobs, world: World) -> list[str]:
    """Leaves out files of runs that were never committed."""
    mine = f"{world.containers.output.name}/{SCENE}/runs/"
    kept = f"{world.containers.output.name}/{run_folder(SCENE, world.record(SCENE).run)}"
    names = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    return [name for name in names if name in before or not name.startswith(mine) or name.startswith(kept)]


def strike(world: World, case: Case) -> tuple[bool, list[str], str]:
    scenario = case.scenario
    scenario.prepare(world)
    zombie = scenario.start(world, str(case.point))
    if not zombie.wait_frozen():
        return False, [f"it ended before its request {case.point.number}"], ""
    world.settle(sweep_every_s=scenario.sweep_every_s)
    problems = scenario.ending.wrong(world)
    world.upload(NAME, AGAIN)
    if scenario is OVERTAKEN:
        world.queue(SCENE)
        world.settle()
    before = seen(world)
    zombie.thaw()
    code = zombie.wait()
    rightful = scenario.program == "dispatcher" or not _asked_for_the_lease(zombie.trace(), case.point)
    effects = changed(before, seen(world), world)
    if effects and not rightful:
        problems += [f"I6: the zombie changed {name}" for name in effects]
    world.settle(sweep_every_s=5)
    problems += world.problems()
    return True, problems, f"exit {code}" + (", took the new upload" if effects and rightful else "")


def _asked_for_the_lease(trace: list[str], point: Point) -> bool:
    return any(line.endswith(" acquire") for line in trace[: point.number - 1])


def points(worlds: Worlds, scenario: Scenario, count: int | None) -> list[Case]:
    trace = cases.requests(worlds, scenario)
    everything = [Case(scenario, Point("s", number), cases.what(line)) for number, line in enumerate(trace, start=1)]
    return cases.choose(everything, count)


def run(worlds: Worlds, scenarios: Sequence[Scenario], count: int | None, parallel: int) -> list[Result]:
    chosen = [case for scenario in scenarios for case in points(worlds, scenario, count)]
    print(f"{len(chosen)} points", flush=True)
    return cases.run_all(worlds, chosen, strike, parallel=parallel, show=cases.show)


def main(argv: Sequence[str]) -> int:
    options = cases.arguments("zombie", __doc__ or "", argv)
    began = time.monotonic()
    scenarios = [scenario for scenario in SCENARIOS if not options.scenario or scenario.name in options.scenario]
    with Worlds() as worlds:
        results = run(worlds, scenarios, options.points, options.parallel)
    if not options.no_report:
        cases.report("zombie", "Frozen before every request", TEXT, results, time.monotonic() - began)
    return cases.verdict(results)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
