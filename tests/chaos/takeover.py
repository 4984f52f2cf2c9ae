"""How long until work stops that nobody owns any more, and until another runner has a dead one's scene.

    python -m tests.chaos.takeover [--points N]

The times follow from the lease (the unit tests of the worker); here they are taken on real processes, for the shortest
lease and for the one of production.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from azure.storage.blob import BlobLeaseClient

from scenejobs.adapters.azure.clients import blob_service
from scenejobs.adapters.azure.credentials import access
from scenejobs.adapters.azure.retry import HEARTBEAT, NORMAL
from scenejobs.state.layout import progress_name, record_name
from tests.chaos import cases
from tests.chaos.faults import LEASE
from tests.chaos.proxies import Proxies
from tests.chaos.proxy import Fault, Rule
from tests.chaos.scenarios import SCENE
from tests.chaos.world import Process, World, Worlds

SECONDS_FOR_STARTS = 10.0  # of processes on a busy machine; no promise of the protocol
POLL_S = 0.05
TEXT = """
A runner in the middle of its training (mock), then one thing happens. `lease taken`: its lease is broken and taken by
somebody else. `heartbeat unanswered`: from some moment on no renewal reaches the service, while all else works; counted
from the last renewal that did, which is at most a quarter of the lease before that moment. `killed`: SIGKILL, while
another runner waits for work. Allowed is what follows from the lease: for 60 s, work stops within 45 s (and what the
killing takes), and the scene is taken over within 90 s. If no runner lives at that moment, the next sweep or the next
upload's check starts one. What is counted contains the start of processes on a busy machine, for which up to 10 s more
are let pass (`killed`, lease of 15 s).
"""


@dataclass(frozen=True)
class Happening:
    """`leases`: how long it may take, in lengths of a lease. `act` returns the seconds that were measured."""

    name: str
    leases: float
    act: Callable[[World, int], float]

    def limit_s(self, lease_s: int) -> float:
        return self.leases * lease_s


def training(world: World, **env: str) -> tuple[Process, int]:
    """A runner whose job has begun, and the job's process id, which is that of its group."""
    world.upload("lobby/view1.mp4", b"first")
    world.queue(SCENE)
    runner = world.runner(MOCK_SECONDS="600", QUEUE_IDLE_POLLS="1", **env)

    def begun() -> bool:
        return any(True for _ in world.containers.state.list(progress_name(SCENE)))

    _wait(lambda: begun() or runner.popen.poll() is not None, 180)
    if not begun():
        raise AssertionError(f"the runner ended before its job began: {runner.output()[-500:]}")
    (child,) = runner.children()
    return runner, child


def lease_taken(world: World, lease_s: int) -> float:
    runner, child = training(world)
    state = blob_service(access(world.settings), NORMAL).get_container_client(world.settings.state)
    lease = BlobLeaseClient(state.get_blob_client(record_name(SCENE)))
    began = time.monotonic()
    lease.break_lease(lease_break_period=0)
    lease.acquire(lease_duration=60)
    return _stopped_at(runner, child) - began


def heartbeat_unanswered(world: World, lease_s: int) -> float:
    """From when the job runs, so that a slow start costs no lease. Counted from the last request that got through."""
    with Proxies(world.azurite) as proxies:
        runner, child = training(world, **proxies.env)
        proxies.blob.rules = [Rule(LEASE, Fault.BLACKHOLE, count=None, seconds=HEARTBEAT.read_s)]
        stopped_at = _stopped_at(runner, child)
        return stopped_at - max(seen.at for seen in proxies.blob.seen if LEASE in seen.request and seen.fault is None)


def killed(world: World, lease_s: int) -> float:
    runner, _ = training(world)
    first = world.record(SCENE).run
    world.runner(QUEUE_IDLE_POLLS="1000", QUEUE_IDLE_WAIT_SECS="1", MOCK_SECONDS="0")
    time.sleep(lease_s * 0.4)  # so that renewals have been made
    began = time.monotonic()
    runner.end()
    _wait(lambda: world.record(SCENE).run != first, lease_s * 6 + SECONDS_FOR_STARTS)
    return time.monotonic() - began


HAPPENINGS = (
    Happening("lease taken", 0.25, lease_taken),
    Happening("heartbeat unanswered", 0.75, heartbeat_unanswered),
    Happening("killed", 1.5, killed),
)


def _stopped_at(runner: Process, child: int) -> float:
    """When nothing of the job's process group was left (monotonic). The runner then says that it lost the lease."""
    _wait(lambda: not Path(f"/proc/{child}").exists(), 120)
    stopped_at = time.monotonic()
    if (code := runner.wait(60)) != 75:
        raise AssertionError(f"the runner ended with {code}, not with 75: the scene is somebody else's")
    return stopped_at


def _wait(condition: Callable[[], bool], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"waited for {seconds:.0f} s")
        time.sleep(POLL_S)


def measure(worlds: Worlds, happening: Happening, lease_s: int) -> float:
    with worlds.new(RUNNER_LEASE_SECONDS=str(lease_s)) as world:
        return happening.act(world, lease_s)


def main(argv: Sequence[str]) -> int:
    options = cases.arguments("takeover", __doc__ or "", argv)
    count = options.points or 5
    chosen = [item for item in HAPPENINGS if not options.scenario or item.name in options.scenario]
    rows, late = [], []
    with Worlds() as worlds, ThreadPoolExecutor(options.parallel) as pool:
        asked = [(item, lease_s) for lease_s in (15, 60) for item in chosen]
        waiting = {
            pair: [pool.submit(measure, worlds, *pair) for _ in range(count)] for pair in asked
        }  # fmt: skip
        for (item, lease_s), futures in waiting.items():
            seconds = sorted(future.result() for future in futures)
            limit_s = item.limit_s(lease_s)
            numbers = [f"{value:.1f}" for value in (limit_s, seconds[0], seconds[len(seconds) // 2], seconds[-1])]
            rows.append(f"| {item.name} | {lease_s} | {count} | {' | '.join(numbers)} |")
            print(rows[-1], flush=True)
            if seconds[-1] > limit_s + SECONDS_FOR_STARTS:
                late.append(f"{item.name}, lease {lease_s} s: {seconds[-1]:.1f} s, {limit_s:.1f} s are allowed")
    if not options.no_report:
        head = "| what happens | lease, s | times | allowed, s | fastest, s | median, s | slowest, s |"
        table = [head, "| --- | ---: | ---: | ---: | ---: | ---: | ---: |", *rows]
        cases.write("takeover", "Work that nobody owns any more", TEXT, table)
    for line in late:
        print(line, file=sys.stderr)
    return 1 if late else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
