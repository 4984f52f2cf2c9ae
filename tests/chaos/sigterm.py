"""SIGTERM at every stage of a runner, to its main process and to every process of its container (F71, F72, target 9).

    python -m tests.chaos.sigterm [--parallel N] [--random 20] [--no-real] [--no-report]

At a stage that lies between two requests the fault proxy holds the request while the signal is sent; stages of the job
are told by the files it writes. Asked for: exit code 143 within 20 s, so that the platform's SIGKILL after 30 s never
comes; the attempt given back; the message visible at once; the next runner finishes. The real pipeline is stopped as
well, on a video of a textured room: then it is PyAV, COLMAP and compiled kernels that are interrupted.
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from local.jobs_api.executions import descendants, signal_all
from scenejobs.state import records
from scenejobs.state.record import Outcome, Phase, SceneRecord
from tests.chaos import cases, deaths, stages
from tests.chaos.proxies import Proxies
from tests.chaos.proxy import Fault, FaultProxy, Rule
from tests.chaos.stages import REAL, REQUESTS, Request
from tests.chaos.world import Process, World, Worlds

EXIT_CODE, EXIT_S = 143, 20.0
ORPHANS_S = 1.0  # what the runner leaves behind notices it within this
OUTLIVED = 999  # in the place of an exit code
HELD_S = 1.0  # a request is held for so long while the signal is sent
AGAIN_AFTER_S = 1.5  # a second signal after this is no repetition of the first
RANDOM_WITHIN_S = 6.0  # from the first request: start-up check, training of 3 s, everything after it
JOB_S = "3"  # the mock's training

Send = Callable[[Process], None]


def to_main(process: Process) -> None:
    process.popen.send_signal(signal.SIGTERM)


def to_all(process: Process) -> None:
    signal_all(process.pid, signal.SIGTERM)


def twice(process: Process) -> None:
    """The platform to all of them, and an init that forwards to the main process once more: one request."""
    to_all(process)
    to_main(process)


HOW: dict[str, Send] = {"main process": to_main, "every process": to_all, "twice at once": twice}


@dataclass(frozen=True)
class Stopped:
    """What one signal led to."""

    stage: str
    how: str
    code: int
    seconds: float  # from the signal to the end
    problems: tuple[str, ...] = field(default=())


# ---- the stages of the runner: a request is held ------------------------------------------------


def at_request(worlds: Worlds, stage: Request, how: str) -> Stopped:
    with worlds.new() as world, Proxies(worlds.azurite) as proxies:
        if stage.scene:
            world.upload("lobby/view1.mp4", stage.video)
            world.queue("lobby")
        proxy: FaultProxy = getattr(proxies, stage.service)
        rule = Rule(stage.match, Fault.DELAY, skip=stage.skip, seconds=HELD_S)
        proxy.rules = [rule]
        process = world.runner(**proxies.env, **({} if stage.scene else stages.PATIENT))
        if not rule.reached.wait(60):
            return Stopped(stage.name, how, 0, 0, (f"the stage was never reached: {process.output()[-500:]}",))
        code, seconds = stop(process, HOW[how])
        problems = [*exited(code, seconds), *given_back(world, stage)]
        return Stopped(stage.name, how, code, seconds, (*problems, *finished(world)))


def stop(process: Process, send: Send) -> tuple[int, float]:
    """Exit code, and seconds from the signal to the end. What the platform would kill after 30 s is waited for."""
    family = descendants(process.pid)
    began = time.monotonic()
    send(process)
    code = process.wait(120)
    seconds = time.monotonic() - began
    gone = deaths.until(lambda: not deaths.alive(family), ORPHANS_S) is not None
    return (code if gone else OUTLIVED), seconds


def exited(code: int, seconds: float) -> Iterator[str]:
    if code == OUTLIVED:
        yield "a process of the container outlived the runner"
    elif code != EXIT_CODE:
        yield f"exit code {code}"
    if seconds > EXIT_S:
        yield f"it took {seconds:.1f} s"


def given_back(world: World, stage: Request) -> Iterator[str]:
    """The record and the queue, as the stopped runner left them."""
    if not stage.scene:
        return
    stored = records.load(world.containers.state, "lobby")
    record = stored.record if stored else SceneRecord("lobby")  # stopped before it was made
    if record.phase not in stage.phases:
        yield f"the record is {record.phase}"
    given = record.attempts == 0 and record.preemptions in stage.preemptions
    if record.phase is Phase.IDLE and record.generation == 1 and not given:
        yield f"{record.attempts} attempts are counted, {record.preemptions} were given back"
    if record.ending is None and world.queues.jobs.waiting() != 1:
        yield "the message is not visible at once"


def finished(world: World, env: dict[str, str] | None = None) -> Iterator[str]:
    """One more runner, which nobody disturbs, is enough."""
    if not world.uploads:
        return
    stored = records.load(world.containers.state, "lobby")
    if stored is None or stored.record.ending is None:
        process = world.runner(**(env or {}))
        code = process.wait(300)
        if code != 0:
            yield f"the next runner ended with {code}: {process.output()[-500:]}"
    if world.queues.debounce.total():  # a hint about an upload that was archived since
        world.dispatcher("quiet").wait()
    yield from world.problems()
    ending = world.record("lobby").ending
    expected = Outcome.SUCCEEDED if world.uploads[0].data else Outcome.DEAD_LETTERED
    if ending is None or (ending.generation, ending.outcome) != (1, expected):
        yield f"the scene ended with {ending}"
    if ending is not None and ending.failure is not None and ending.failure.code != "EMPTY_FILE":
        yield f"dead-lettered for {ending.failure.cause}"


# ---- any moment ---------------------------------------------------------------------------------


def at_moment(worlds: Worlds, seconds: float, how: str) -> Stopped:
    """`seconds` after the first request, wherever the runner is then."""
    name = f"{seconds:.2f} s after its first request"
    with worlds.new(MOCK_SECONDS=JOB_S) as world, Proxies(worlds.azurite) as proxies:
        world.upload("lobby/view1.mp4", b"video")
        world.queue("lobby")
        process = world.runner(**proxies.env, **stages.PATIENT)
        while not proxies.requests:
            time.sleep(0.01)
        time.sleep(seconds)
        code, took_s = stop(process, HOW[how])
        problems = [*exited(code, took_s), *given_back(world, Request(name, "", phases=stages.ANY, preemptions=(0, 1)))]
        return Stopped(name, how, code, took_s, (*problems, *finished(world)))


def second_later(worlds: Worlds) -> Stopped:
    """The second signal is immediate: nothing is given back; the next runner takes over when the lease has ended."""
    with worlds.new() as world, Proxies(worlds.azurite) as proxies:
        world.upload("lobby/view1.mp4", b"video")
        world.queue("lobby")
        rule = Rule(stages.DOWNLOAD, Fault.DELAY, seconds=15)
        proxies.blob.rules = [rule]
        process = world.runner(**proxies.env)
        rule.reached.wait(60)
        to_all(process)
        time.sleep(AGAIN_AFTER_S)
        code, seconds = stop(process, to_main)
        problems = [] if code == -signal.SIGTERM else [f"exit code {code}"]
        if seconds > 1:
            problems.append(f"it took {seconds:.1f} s, which is not at once")
        world.settle()
        return Stopped("download", "again, 1.5 s later", code, seconds, (*problems, *finished(world)))


# ---- the stages of the job, with the real pipeline ----------------------------------------------


def in_pipeline(worlds: Worlds, stage: str, after_s: float, how: str, video: bytes, *, real_again: bool) -> Stopped:
    name = f"real pipeline, {stage} + {after_s:g} s"
    with worlds.new(**stages.REAL_ENV) as world:
        world.upload("lobby/view1.mp4", video)
        world.queue("lobby")
        process = world.runner()
        if not stages.wait_for_stage(world, process, stage):
            return Stopped(name, how, 0, 0, (f"the stage was never reached: {process.output()[-500:]}",))
        time.sleep(after_s)
        code, seconds = stop(process, HOW[how])
        problems = [*exited(code, seconds), *given_back(world, Request(name, "", phases=stages.BEFORE))]
        again = {} if real_again else {"BACKEND": "mock"}
        return Stopped(name, how, code, seconds, (*problems, *finished(world, again)))


# ---- all of it ----------------------------------------------------------------------------------


def run(worlds: Worlds, jobs: Sequence[Callable[[], Stopped]], parallel: int) -> list[Stopped]:
    def one(job: Callable[[], Stopped]) -> Stopped:
        result = job()
        word = "WRONG" if result.problems else "ok"
        print(f"{word:5} {result.code} {result.seconds:5.1f} s  {result.stage}, {result.how}", *result.problems,
              sep="\n      ", flush=True)  # fmt: skip
        return result

    with ThreadPoolExecutor(parallel) as pool:
        return list(pool.map(one, jobs))


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.sigterm")
    parser.add_argument("--parallel", type=int, default=4, help="cases at the same time")
    parser.add_argument("--random", type=int, default=20, help="signals at random moments")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--no-real", action="store_true", help="not the real pipeline")
    parser.add_argument("--no-report", action="store_true", help="write no file to benchmarks/results")
    options = parser.parse_args(argv)
    began = time.monotonic()
    chance = random.Random(options.seed)
    with Worlds() as worlds, tempfile.TemporaryDirectory() as folder:
        jobs: list[Callable[[], Stopped]] = [
            lambda stage=stage, how=how: at_request(worlds, stage, how)  # type: ignore[misc]
            for stage in REQUESTS
            for how in ("main process", "every process")
        ]
        jobs += [lambda: at_request(worlds, REQUESTS[-1], "twice at once"), lambda: second_later(worlds)]
        for number in range(options.random):
            moment, how = chance.uniform(0, RANDOM_WITHIN_S), list(HOW)[number % 3]
            jobs.append(lambda moment=moment, how=how: at_moment(worlds, moment, how))  # type: ignore[misc]
        results = run(worlds, jobs, options.parallel)
        if not options.no_real:
            video = stages.room(Path(folder) / "room.mp4")
            real: list[Callable[[], Stopped]] = [
                lambda item=item, number=number: in_pipeline(  # type: ignore[misc]
                    worlds, *item, list(HOW)[number % 2], video, real_again=number % 3 == 0
                )
                for number, item in enumerate(REAL)
            ]
            results += run(worlds, real, 2)
    table = summary(results)
    if options.no_report:
        print("\n".join(table))
    else:
        good, slowest_s = sum(not result.problems for result in results), max(result.seconds for result in results)
        text = f"""
{len(results)} signals, {good} as they must be; the slowest end took {slowest_s:.1f} s (the platform kills after 30 s).
Checked after each: exit code 143, no process left, the attempt given back or the decided outcome kept, the message
visible at once, and that one more runner ends in the state of an undisturbed run with every invariant. A second signal
more than a second later ends the runner at once, with -15.
"""
        cases.write("sigterm", "Told to stop at every stage", f"{text.strip()}\n\n{cases.took(began)}", table)
    return 1 if any(result.problems for result in results) else 0


def summary(results: Sequence[Stopped]) -> list[str]:
    head = ["| stopped in | signal to | exit | seconds | problems |", "| --- | --- | ---: | ---: | --- |"]
    return head + [
        f"| {item.stage} | {item.how} | {item.code} | {item.seconds:.1f} | {_in_one_line(item.problems)} |"
        for item in results
    ]


def _in_one_line(problems: Sequence[str]) -> str:
    """As a cell of a table: the output of a program has many lines."""
    return " ".join("; ".join(problems).replace("|", "/").split()) or "none"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
