"""One fault at a time, each with its number in the catalogue of docs/reliability.md: what the runner makes of it.

    python -m tests.chaos.faults [--only F41 ...] [--parallel N] [--no-report]

Every case is a world of its own with one scene and a runner whose requests pass through a fault proxy. Whoever comes
after that runner is undisturbed. At the end every invariant holds, and the work was done as often as the case says.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from local.jobs_api.executions import descendants
from scenejobs.errors import Code
from scenejobs.state.record import Outcome
from tests.chaos import cases, deaths, stages
from tests.chaos.proxies import Proxies
from tests.chaos.proxy import Fault, FaultProxy, Rule
from tests.chaos.world import LEASE_S, Process, World, Worlds

VIDEO = bytes(range(256)) * 800
LEASE = r"comp=lease"
MESSAGE = r"/jobs-[^/]+/messages/"
DURING_WORK = {"MOCK_SECONDS": "9"}  # two and a half times what lies between two heartbeats
PARTITION_S = LEASE_S * 1.5  # 90 s to a lease of 60


@dataclass(frozen=True)
class FaultCase:
    """What is spoiled, and what comes of it."""

    id: str
    name: str
    match: str
    fault: Fault
    service: str = "blob"
    env: dict[str, str] = field(default_factory=dict)
    options: dict[str, object] = field(default_factory=dict)  # of the rule
    attempts: tuple[int, ...] = (1,)  # how often the work may be begun in all
    codes: tuple[int, ...] = (0,)  # of the disturbed runner
    code: str = ""  # what it is dead-lettered with; "": it succeeds
    seconds_between: float = 0.0  # at least, from the first spoiled request to its repetition

    def __str__(self) -> str:
        return f"{self.id} {self.name}"


CASES = (
    FaultCase("F41", "renewal of the message, acknowledgement lost", f"^PUT .*{MESSAGE}", Fault.DROP_AFTER,
              "queue", DURING_WORK),
    FaultCase("F42", "receive, acknowledgement lost", r"^GET .*/messages\?(?!.*peekonly)", Fault.DROP_AFTER, "queue"),
    FaultCase("F52", "lease acquired, acknowledgement lost", LEASE, Fault.DROP_AFTER),
    FaultCase("F53", "lease released, acknowledgement lost", LEASE, Fault.DROP_AFTER, options={"skip": 1}),
    FaultCase("F54", "message removed, acknowledgement lost", f"^DELETE .*{MESSAGE}", Fault.DROP_AFTER, "queue"),
    *(
        FaultCase("F97", f"{status} to a download", stages.DOWNLOAD, Fault.STATUS, options={"statuses": (status,)})
        for status in (408, 500, 502, 503, 504)
    ),
    FaultCase("F97", "503 to the commit", stages.RECORD, Fault.STATUS, options={"skip": 2, "statuses": (503,)}),
    FaultCase("F98", "429 to a download", stages.DOWNLOAD, Fault.STATUS, options={"statuses": (429,)}),
    FaultCase("F99", "429 with Retry-After: 4", stages.DOWNLOAD, Fault.STATUS,
              options={"statuses": (429,), "retry_after_s": 4.0}, seconds_between=4.0),
    FaultCase("F100", "commit, acknowledgement lost", stages.RECORD, Fault.DROP_AFTER, options={"skip": 2}),
    FaultCase("F101", "download cut short", stages.DOWNLOAD, Fault.TRUNCATE, attempts=(1, 2)),
    # as a false Content-MD5: over TLS no flipped bit arrives, so what arrives is what is stored
    FaultCase("F102", "download with a bit flipped", stages.DOWNLOAD, Fault.CORRUPT, code=Code.WRONG_CHECKSUM),
    FaultCase("F104", "a heartbeat that hangs", LEASE, Fault.BLACKHOLE, env=DURING_WORK,
              options={"skip": 1, "seconds": 60.0}),
    FaultCase("F104", "an upload that hangs for 5 s", r"^PUT .*/output-[^/]+/lobby/runs/", Fault.DELAY,
              options={"seconds": 5.0}),
)  # fmt: skip


@dataclass(frozen=True)
class Met:
    """A case and what is wrong with its end."""

    case: str
    facts: str
    problems: tuple[str, ...]


def meet(worlds: Worlds, case: FaultCase) -> Met:
    with worlds.new(**case.env) as world, Proxies(worlds.azurite) as proxies:
        prepare(world)
        rule = Rule(case.match, case.fault, **case.options)  # type: ignore[arg-type]
        proxy: FaultProxy = getattr(proxies, case.service)
        proxy.rules = [rule]
        process = world.runner(**proxies.env, QUEUE_IDLE_POLLS="8", QUEUE_IDLE_WAIT_SECS="1")
        code = process.wait()
        problems = [] if rule.reached.is_set() else ["the fault never happened"]
        if code not in case.codes:
            problems.append(f"exit code {code}: {process.output()[-300:]}")
        world.settle()
        problems += ended_well(world, case.attempts, case.code)
        waited_s = repetition(proxy, case)
        if waited_s < case.seconds_between:
            problems.append(f"repeated after {waited_s:.1f} s, {case.seconds_between:g} s were asked for")
        return Met(str(case), f"{world.attempts()} attempts, {world.runs()} runners", tuple(problems))


def repetition(proxy: FaultProxy, case: FaultCase) -> float:
    """Seconds between the spoiled request and the next of that kind."""
    of_kind = [seen for seen in proxy.seen if seen.request in proxy.requests(case.match)]
    for first, second in itertools.pairwise(of_kind):
        if first.fault is not None:
            return second.at - first.at
    return 0.0


def prepare(world: World) -> None:
    world.upload("lobby/view1.mp4", VIDEO)
    world.queue("lobby")


def ended_well(world: World, attempts: Sequence[int], code: str = "") -> Iterator[str]:
    """code: of the dead letter that it has to end as; "": it has to succeed."""
    yield from world.problems()
    ending = world.record("lobby").ending
    wanted = Outcome.DEAD_LETTERED if code else Outcome.SUCCEEDED
    found = ending.failure.code if ending and ending.failure else ""
    if ending is None or (ending.generation, ending.outcome, found) != (1, wanted, code):
        yield f"the scene ended with {ending}"
    if world.attempts() not in attempts:
        yield f"the work was begun {world.attempts()} times, not {' or '.join(map(str, attempts))}"


# ---- partitions and missing things --------------------------------------------------------------


def partition(worlds: Worlds) -> Met:
    """F47, F105: nothing answers for longer than the lease. The work is stopped before that ends, settling nothing."""
    with worlds.new(MOCK_SECONDS="60") as world, Proxies(worlds.azurite) as proxies:
        prepare(world)
        process = world.runner(**proxies.env)
        assert stages.wait_for_stage(world, process, "training"), process.output()
        time.sleep(LEASE_S / 4 + 1)  # a renewal has gone well
        hole = lambda: [Rule(".", Fault.BLACKHOLE, count=None, seconds=PARTITION_S)]  # noqa: E731
        proxies.everywhere(hole)
        began = time.monotonic()
        (job,) = descendants(process.pid)
        stopped_s = deaths.until(lambda: not deaths.alive([job]), PARTITION_S)
        code = process.wait(90)  # it holds a machine while nobody hears it
        seconds = time.monotonic() - began
        proxies.everywhere(list)
        problems = [] if code == 75 else [f"exit code {code}: {process.output()[-300:]}"]
        if stopped_s is None or stopped_s > LEASE_S:
            problems.append(f"it worked on for {stopped_s or PARTITION_S:.0f} s, longer than the lease")
        record = world.record("lobby")
        if record.failures or record.attempts != 1:
            problems.append("it settled something")
        world.env["MOCK_SECONDS"] = "0"
        world.settle()
        problems += ended_well(world, (2,))
        facts = f"work stopped after {stopped_s or 0:.1f} s (a lease is {LEASE_S} s), runner gone after {seconds:.0f} s"
        return Met("F47 F105 a partition of one and a half leases", facts, tuple(problems))


def short_partition(worlds: Worlds) -> Met:
    """Nothing answers for a third of the lease: the work goes on as if nothing had been."""
    with worlds.new(MOCK_SECONDS="12") as world, Proxies(worlds.azurite) as proxies:
        prepare(world)
        process = world.runner(**proxies.env)
        assert stages.wait_for_stage(world, process, "training"), process.output()
        proxies.everywhere(lambda: [Rule(".", Fault.BLACKHOLE, count=None, seconds=LEASE_S)])
        time.sleep(LEASE_S / 3)
        proxies.everywhere(list)
        code = process.wait()
        problems = [] if code == 0 else [f"exit code {code}: {process.output()[-300:]}"]
        world.settle()
        return Met("F105 a partition of a third of the lease", f"exit code {code}",
                   (*problems, *ended_well(world, (1,))))  # fmt: skip


def queue_missing(worlds: Worlds) -> Met:
    """F62: the queue is not there. Said in one line, and nothing is touched."""
    with worlds.new(JOBS_QUEUE="no-such-queue") as world:
        prepare(world)
        process: Process = world.runner()
        code, last = process.wait(), process.output().splitlines()[-1]
        problems = [] if code == 2 else [f"exit code {code}"]
        if "no-such-queue" not in last:
            problems.append(f"the last line does not name it: {last}")
        if list(world.containers.state.list()):
            problems.append("something was written")
        world.env["JOBS_QUEUE"] = world.settings.jobs_queue
        world.settle()
        return Met("F62 the queue does not exist", f"exit code {code}", (*problems, *ended_well(world, (1,))))


ODD = {"F47": partition, "F105": short_partition, "F62": queue_missing}


def run(worlds: Worlds, only: Sequence[str] = (), parallel: int = 6) -> list[Met]:
    with ThreadPoolExecutor(parallel) as pool:
        odd = [pool.submit(case, worlds) for id, case in ODD.items() if not only or id in only]
        usual = [pool.submit(meet, worlds, case) for case in CASES if not only or case.id in only]
        return [future.result() for future in [*usual, *odd]]


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.faults")
    parser.add_argument("--only", nargs="+", default=[], help="numbers of the catalogue")
    parser.add_argument("--parallel", type=int, default=6, help="cases at the same time")
    parser.add_argument("--no-report", action="store_true", help="write no file to benchmarks/results")
    options = parser.parse_args(argv)
    began = time.monotonic()
    with Worlds() as worlds:
        results = run(worlds, options.only, options.parallel)
    table = ["| fault | what was seen | problems |", "| --- | --- | --- |"]
    table += [f"| {item.case} | {item.facts} | {'; '.join(item.problems) or 'none'} |" for item in results]
    if options.no_report:
        print("\n".join(table))
    else:
        text = "One fault, once, in the requests of one runner; then every invariant is checked."
        cases.write("faults", "One fault at a time", f"{text.strip()}\n\n{cases.took(began)}", table)
    return 1 if any(item.problems for item in results) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
