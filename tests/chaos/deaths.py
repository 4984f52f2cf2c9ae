"""The parent killed, the job's process killed, the job's process frozen: what is left, and who goes on (F44 to F46).

    python -m tests.chaos.deaths [--no-real] [--no-report]

The parent owns the lease and renews it, so its death is the heartbeat's. With the real pipeline the processes are three
deep: runner, job, COLMAP.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from local.jobs_api.executions import descendants
from scenejobs.errors import Code, Conflict
from scenejobs.state.layout import record_name
from scenejobs.state.record import Outcome, Phase
from tests.chaos import cases, stages
from tests.chaos.world import LEASE_S, Process, World, Worlds

GONE_S = 5.0  # processes of a killed runner are gone within this
STALL_S = "20"  # a job loads its modules first, which took more than 10 s on a busy machine
TRAINING = {"MOCK_SECONDS": "60"}


@dataclass(frozen=True)
class Death:
    """One case: `facts` is what was measured."""

    name: str
    facts: str
    problems: tuple[str, ...]


def parent_killed(worlds: Worlds) -> Death:
    """The job's process goes with it, and the scene is free when the lease has ended (F45).

    It is frozen, as in a C call that never ends: it cannot see that its parent is gone, the system has to end it.
    """
    with worlds.new(**TRAINING) as world:
        process = training(world)
        for pid in descendants(process.pid):
            os.kill(pid, signal.SIGSTOP)
        return _after_parent(world, process, "runner killed, its job deaf")


def parent_killed_in_colmap(worlds: Worlds, video: bytes) -> Death:
    with worlds.new(**stages.REAL_ENV) as world:
        world.upload("lobby/view1.mp4", video)
        world.queue("lobby")
        process = world.runner()
        assert stages.wait_for_stage(world, process, "colmap_reconstruction"), process.output()
        wait_for(lambda: len(descendants(process.pid)) >= 2)
        world.env["BACKEND"] = "mock"  # for whoever goes on
        return _after_parent(world, process, "runner killed while COLMAP runs")


def _after_parent(world: World, process: Process, name: str) -> Death:
    family = descendants(process.pid)
    killed_at = time.monotonic()
    process.popen.kill()
    problems = []
    gone_s = until(lambda: not alive(family), GONE_S)
    if gone_s is None:
        problems.append(f"{alive(family)} of the runner's processes live on")
    free_s = until(lambda: is_free(world), LEASE_S + 10)
    if free_s is None:
        problems.append("the lease was not free when it should have ended")
    world.env["MOCK_SECONDS"] = "0"
    world.settle()
    problems += ended_well(world)
    whole_s = time.monotonic() - killed_at
    facts = f"{len(family)} processes below it gone after {gone_s or 0:.1f} s, lease free after {free_s or 0:.1f} s, "
    return Death(name, facts + f"finished by another after {whole_s:.0f} s", tuple(problems))


def child_killed(worlds: Worlds) -> Death:
    """An attempt that failed, told as such; the same runner tries again."""
    return _child(worlds, "job's process killed", {}, signal.SIGKILL, Code.OUT_OF_MEMORY)


def child_frozen(worlds: Worlds) -> Death:
    """Without progress for JOB_STALL_SECS it is killed: the lease is not renewed for ever for nothing (F46)."""
    return _child(worlds, "job's process frozen", {"JOB_STALL_SECS": STALL_S}, signal.SIGSTOP, Code.JOB_TIMED_OUT)


def _child(worlds: Worlds, name: str, env: dict[str, str], number: signal.Signals, code: Code) -> Death:
    with worlds.new(**{"MOCK_SECONDS": "6", **env}) as world:
        process = training(world, **stages.PATIENT)
        (job,) = descendants(process.pid)
        earlier = len(world.record("lobby").failures)  # a busy machine may not load a job's modules within STALL_S
        began = time.monotonic()
        os.kill(job, number)
        wait_for(lambda: len(world.record("lobby").failures) > earlier or process.popen.poll() is not None)
        noticed_s = time.monotonic() - began
        problems = []
        if [failure.failure.code for failure in world.record("lobby").failures[earlier:]] != [code]:
            problems.append(f"the record says {world.record('lobby').failures}")
        if alive([job]):
            problems.append("the job's process lives on")
        wait_for(lambda: world.is_done())
        process.popen.send_signal(signal.SIGTERM)
        if process.wait() != 143:
            problems.append(f"the runner ended with {process.popen.returncode}")
        problems += ended_well(world)
        return Death(name, f"noticed as {code} after {noticed_s:.1f} s, second attempt succeeded", tuple(problems))


# ---- looking ------------------------------------------------------------------------------------


def training(world: World, **env: str) -> Process:
    """A runner whose job is in the middle of its work."""
    world.upload("lobby/view1.mp4", b"video")
    world.queue("lobby")
    process = world.runner(**env)
    if not stages.wait_for_stage(world, process, "training"):
        raise AssertionError(f"no training began: {process.output()}")
    return process


def ended_well(world: World) -> Iterator[str]:
    yield from world.problems()
    record = world.record("lobby")
    if record.phase is not Phase.IDLE or record.ending is None or record.ending.outcome is not Outcome.SUCCEEDED:
        yield f"the scene ended with {record.ending}"


def is_free(world: World) -> bool:
    try:
        world.containers.state.lease(record_name("lobby"), LEASE_S).release()
    except Conflict:
        return False
    return True


def alive(pids: Sequence[int]) -> list[int]:
    """Those that still run; a dead one that nobody has fetched yet does not count."""
    found = []
    for pid in pids:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if state not in "ZX":
            found.append(pid)
    return found


def until(condition: Callable[[], object], seconds: float) -> float | None:
    """How long it took; None when it did not come true."""
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > seconds:
            return None
        time.sleep(0.05)
    return time.monotonic() - began


def wait_for(condition: Callable[[], object], seconds: float = 120) -> None:
    if until(condition, seconds) is None:
        raise TimeoutError(f"waited {seconds:.0f} s in vain")


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.deaths")
    parser.add_argument("--no-real", action="store_true", help="not the real pipeline")
    parser.add_argument("--no-report", action="store_true", help="write no file to benchmarks/results")
    options = parser.parse_args(argv)
    began = time.monotonic()
    with Worlds() as worlds, tempfile.TemporaryDirectory() as folder:
        results = [parent_killed(worlds), child_killed(worlds), child_frozen(worlds)]
        if not options.no_real:
            results.append(parent_killed_in_colmap(worlds, stages.room(Path(folder) / "room.mp4")))
    table = ["| what died | what was seen | problems |", "| --- | --- | --- |"]
    table += [f"| {item.name} | {item.facts} | {'; '.join(item.problems) or 'none'} |" for item in results]
    if options.no_report:
        print("\n".join(table))
    else:
        text = f"The lease lasts {LEASE_S} s, JOB_STALL_SECS is {STALL_S}."
        cases.write("deaths", "Parts of a runner that die or freeze", f"{text.strip()}\n\n{cases.took(began)}", table)
    return 1 if any(item.problems for item in results) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
