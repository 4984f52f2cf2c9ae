"""A storm: every request of dispatcher and runner is spoiled with a probability, and runners are killed at random.

    python -m tests.chaos.storm [--scenes 100] [--probability 0.25 0.08] [--kill 0.3] [--seed 1] [--no-report]

All of one run share one world: the dispatcher's processes and the executions it starts talk to the emulator through
fault proxies that drop requests, lose acknowledgements, answer 500, 503 and 429 (with and without Retry-After), cut
answers short and bend their bytes. The test itself looks on directly. Asked for: every invariant, for every scene.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from scenejobs.state import records
from scenejobs.state.record import Outcome
from tests.chaos import cases
from tests.chaos.proxies import Proxies
from tests.chaos.proxy import Fault, Rule
from tests.chaos.world import Process, World, Worlds

PARALLEL = 4  # runners at the same time
SWEEP_EVERY_S = 20.0
LIFE_S = (0.2, 9.0)  # of a runner that is to be killed: start-up, a scene or two
BUDGET_S = 4  # a runner takes no further scene after this: many short lives, many deaths
LOOK_S = 0.5
TWO = (b"first video", b"second video")


@dataclass(frozen=True)
class Weather:
    """How bad it gets."""

    scenes: int
    probability: float
    kill: float  # share of the runners that are killed
    seed: int
    limit_s: float = 1800.0


@dataclass(frozen=True)
class Survived:
    """What came of it."""

    weather: Weather
    seconds: float
    requests: int
    faults: Counter[Fault]
    runners: int
    killed: int
    outcomes: Counter[str]  # of the scenes
    problems: tuple[str, ...]


def rules(probability: float) -> list[Rule]:
    """One request in `1 / probability` is spoiled, whatever it is. A tenth of those are told when to come again.

    Bytes are only bent where the protocol has a checksum: in the content of blobs.
    """
    polite = probability / 10
    rest = (probability - polite) / (1 - polite)
    broken = (Fault.DROP_BEFORE, Fault.DROP_AFTER, Fault.STATUS)
    often = {"count": None, "probability": rest, "statuses": (500, 503, 429)}
    return [
        Rule(".", Fault.STATUS, count=None, probability=polite, statuses=(503, 429), retry_after_s=1),
        Rule(r"^GET /[^/]+/[^/]+/[^?]+\.(mp4|json)", (*broken, Fault.TRUNCATE, Fault.CORRUPT), **often),
        Rule("^GET ", (*broken, Fault.TRUNCATE), **often),
        Rule("^(?!GET )", broken, **often),
    ]


class Runners:
    """Executions that the dispatcher started, some of which are doomed from their start."""

    def __init__(self, world: World, weather: Weather, chance: random.Random) -> None:
        self._world = world
        self._weather = weather
        self._chance = chance
        self._doom: dict[str, float] = {}  # execution -> when it dies
        self.killed = 0

    def kill_the_doomed(self) -> None:
        now = time.monotonic()
        for execution in self._world.executions.all():
            if execution.ended_at is not None:
                continue
            if execution.name not in self._doom:
                dies = self._chance.random() < self._weather.kill
                self._doom[execution.name] = now + self._chance.uniform(*LIFE_S) if dies else float("inf")
            if now >= self._doom[execution.name]:
                self._doom[execution.name] = float("inf")
                self.killed += self._world.executions.kill(execution.name)


def run(worlds: Worlds, weather: Weather) -> Survived:
    began = time.monotonic()
    chance = random.Random(weather.seed)
    env = {"MAX_PARALLEL_JOBS": str(PARALLEL), "RETRY_MAX_DELAY_SECS": "3", "RUN_BUDGET_SECS": str(BUDGET_S)}
    with Proxies(worlds.azurite, seed=weather.seed) as proxies, worlds.new(**env, **proxies.env) as world:
        proxies.everywhere(lambda: rules(weather.probability))
        names = [f"scene{number:03}/view{view}.mp4" for number in range(weather.scenes) for view in (1, 2)]
        for name in names:
            world.upload(name, TWO[name.endswith("2.mp4")] + name.encode())
        runners = Runners(world, weather, chance)
        problems = _until_done(world, runners, names, began + weather.limit_s)
        seconds = time.monotonic() - began
        problems += world.problems()
        outcomes = _outcomes(world, weather.scenes)
        return Survived(
            weather, seconds, proxies.requests, proxies.faults, world.runs(), runners.killed, outcomes, tuple(problems)
        )


def runners_only(worlds: Worlds, weather: Weather) -> tuple[Counter[Fault], list[str]]:
    """The part of a storm that needs no sweep to end: messages lie in the queue, runners come until none is left."""
    end = time.monotonic() + weather.limit_s
    with Proxies(worlds.azurite, seed=weather.seed) as proxies, worlds.new(RETRY_MAX_DELAY_SECS="3") as world:
        proxies.everywhere(lambda: rules(weather.probability))
        for scene in (f"scene{number:03}" for number in range(weather.scenes)):
            world.upload(f"{scene}/view1.mp4", TWO[0] + scene.encode())
            world.queue(scene)
        while world.queues.jobs.total() and time.monotonic() < end:
            if world.queues.jobs.waiting():
                world.runner(**proxies.env).wait()
            time.sleep(LOOK_S)
        world.settle()  # what came of scenes that were looked at again
        outcomes = _outcomes(world, weather.scenes)
        lost = [f"{outcomes['none']} scenes have no end"] if outcomes["none"] else []
        return proxies.faults, [*world.problems(), *lost]


def _until_done(world: World, runners: Runners, names: Sequence[str], end: float) -> list[str]:
    """The platform: events, checks that are due, the timer. Executions are the dispatcher's own business."""
    events: Process | None = world.dispatcher("upload", *names)
    quiet: Process | None = None
    sweep: Process | None = None
    swept_at = time.monotonic()
    while True:
        runners.kill_the_doomed()
        events, quiet, sweep = (process if runs(process) else None for process in (events, quiet, sweep))
        if not (events or quiet or sweep) and world.is_done():
            return []
        now = time.monotonic()
        if now > end:
            return [f"not at rest after {end:.0f} s"]
        if quiet is None and world.queues.debounce.waiting():
            quiet = world.dispatcher("quiet")
        if sweep is None and now - swept_at > SWEEP_EVERY_S:
            sweep, swept_at = world.dispatcher("sweep"), now
        time.sleep(LOOK_S)


def runs(process: Process | None) -> bool:
    return process is not None and process.popen.poll() is None


def _outcomes(world: World, scenes: int) -> Counter[str]:
    """How the scenes ended, and for those given up with what code."""
    found: Counter[str] = Counter()
    for number in range(scenes):
        stored = records.load(world.containers.state, f"scene{number:03}")
        ending = stored.record.ending if stored else None
        if ending is None:
            found["none"] += 1
        elif ending.outcome is Outcome.SUCCEEDED:
            found["succeeded"] += 1
        else:
            found[f"dead letter {ending.failure.code if ending.failure else ''}"] += 1
    return found


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.storm")
    parser.add_argument("--scenes", type=int, default=100)
    parser.add_argument("--probability", type=float, nargs="+", default=[0.25, 0.08], help="of a fault, per request")
    parser.add_argument("--kill", type=float, default=0.3, help="share of the runners that are killed")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--no-report", action="store_true", help="write no file to benchmarks/results")
    options = parser.parse_args(argv)
    began = time.monotonic()
    results = []
    for probability in options.probability:
        with Worlds() as worlds:
            results.append(run(worlds, Weather(options.scenes, probability, options.kill, options.seed)))
        print("\n".join(table(results[-1:])), *results[-1].problems, sep="\n", flush=True)
    if not options.no_report:
        text = """
Every request of the dispatcher and of every runner is spoiled with probability p: dropped before or after it had its
effect, answered 500, 503 or 429 in the service's place, cut short, or bent by a bit. Besides, a share of the runners is
killed with SIGKILL at a random moment. Consistent means: every invariant holds for the scene, and it has an outcome.
"""
        cases.write("storm", "Storm on every request", f"{text.strip()}\n\n{cases.took(began)}", table(results))
    return 1 if any(result.problems for result in results) else 0


def table(results: Sequence[Survived]) -> list[str]:
    rows = ["| what | " + " | ".join(f"p = {item.weather.probability:g}" for item in results) + " |"]
    rows.append("| --- |" + " ---: |" * len(results))
    facts = {
        "scenes": lambda item: item.weather.scenes,
        "ended": lambda item: item.weather.scenes - item.outcomes["none"],
        "how": lambda item: ", ".join(f"{count} {name}" for name, count in sorted(item.outcomes.items())),
        "violations": lambda item: len(item.problems),
        "requests": lambda item: item.requests,
        "faults": lambda item: sum(item.faults.values()),
        **{f"- {fault}": lambda item, fault=fault: item.faults[fault] for fault in sorted(Fault)},
        "runners": lambda item: item.runners,
        "killed": lambda item: item.killed,
        "seconds": lambda item: f"{item.seconds:.0f}",
    }
    return rows + [
        f"| {name} | " + " | ".join(str(fact(item)) for item in results) + " |" for name, fact in facts.items()
    ]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
