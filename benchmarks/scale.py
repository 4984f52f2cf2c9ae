"""Ten thousand uploads in one scene, a thousand scenes at once, twenty dead letters: `python -m benchmarks.scale`.

On a storage emulator of its own. Prints a table; benchmarks/results/scale.md keeps one.
"""

from __future__ import annotations

import functools
import http.client
import logging
import os
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from function_app.wiring import assemble
from local.azurite import Azurite
from runner.job.request import Job
from runner.job.supervise import Supervision
from runner.process.signals import StopFlag
from runner.worker.context import WorkerContext
from runner.worker.loop import Worker
from scenejobs.adapters.azure.clients import create_all, open_containers, open_queues
from scenejobs.adapters.memory import MemoryCompute
from scenejobs.audit.report import audit
from scenejobs.audit.snapshot import collect
from scenejobs.errors import InputError
from scenejobs.ports import Containers, Queues
from scenejobs.settings.groups import DispatchSettings, RunnerSettings
from scenejobs.settings.pipeline import PipelineSettings
from scenejobs.settings.storage import StorageSettings
from scenejobs.state import records, redrive
from scenejobs.state.incoming.uploads import list_scene, snapshot
from scenejobs.state.layout import record_name
from scenejobs.state.messages import JobMessage
from scenejobs.state.record import SceneRecord

BLOBS = 10_000
SCENES = 1000
DEAD_LETTERS = 20
PAGE = 5000  # blobs per list call, at most


@dataclass
class Bench:
    """The emulator, and what was measured."""

    containers: Containers
    queues: Queues
    rows: list[tuple[str, str, str]] = field(default_factory=list)

    def row(self, what: str, target: str, result: str) -> None:
        self.rows.append((what, target, result))
        print(f"| {what} | {target} | {result} |", flush=True)

    def upload(self, names: list[str]) -> None:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda name: self.containers.input.write(name, name.encode()), names))

    def queue(self, scene: str) -> None:
        self.queues.jobs.send(JobMessage(scene, "", datetime.now(UTC)).to_json())

    def drain(self, job: Callable[[Job, Supervision], dict[str, Any]]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            settings = RunnerSettings(idle_polls=1, idle_wait_s=0, min_free_gb=0, workspace=folder, run_budget_s=1e6)
            context = WorkerContext(
                self.containers,
                self.containers.state,
                self.queues,
                settings,
                PipelineSettings(backend="mock"),
                job,
                StopFlag(),
                functools.partial(datetime.now, UTC),
            )
            Worker(context).drain()


def main() -> None:
    logging.disable(logging.ERROR)  # a thousand lost messages are told of one by one
    print(f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f}")
    print("| what | target | measured |\n| --- | --- | --- |")
    one_large_scene()
    many_scenes()
    dead_letters()


@contextmanager
def emulator() -> Iterator[Bench]:
    with Azurite() as azurite:
        settings = StorageSettings(connection_string=azurite.connection_string)
        create_all(settings)
        yield Bench(open_containers(settings), open_queues(settings))


def one_large_scene() -> None:
    with emulator() as bench:
        names = [f"lobby/photos of the second floor/{number:05d}.jpg" for number in range(BLOBS - 1)]
        bench.upload([*names, "lobby/view1.mp4"])
        with timed() as seconds, counted() as lists:
            found = snapshot(list_scene(bench.containers.input, "lobby", 1))
        assert len(found) == BLOBS
        bench.row(
            f"snapshot of {BLOBS} blobs",
            "<= 5 s",
            f"{seconds[0]:.1f} s ({seconds[1]:.1f} s here), {lists['list']} list calls",
        )
        record = SceneRecord("lobby").attempted("run", found, datetime.now(UTC))
        records.ensure(bench.containers.state, "lobby")
        lease = bench.containers.state.lease(record_name("lobby"), 60)
        stored = records.load(bench.containers.state, "lobby")
        assert stored is not None
        records.save(bench.containers.state, stored, record, lease)
        lease.release()
        size = bench.containers.state.head(record_name("lobby")).size_bytes
        bench.row("its record", "<= 1 MiB", f"{size / 1024:.1f} KiB, its manifest in a part of its own")
        message = JobMessage("lobby", record.batch, datetime.now(UTC), "0" * 55).to_json()
        bench.row("its job message", "<= 1 KiB", f"{len(message.encode())} bytes")
        bench.queue("lobby")
        with timed() as seconds:
            bench.drain(result)
        moved = sum(1 for _ in bench.containers.processed.list())
        size = bench.containers.state.head(record_name("lobby")).size_bytes
        text = f"{moved} in processed after {seconds[0]:.0f} s, record {size / 1024:.1f} KiB"
        bench.row(f"run and move of {BLOBS} blobs", "all moved", text)
        with timed() as seconds:
            report = audited(bench)
        bench.row("audit of it", "clean", f"{len(report)} violations, {seconds[0]:.1f} s")


def many_scenes() -> None:
    with emulator() as bench:
        bench.upload([f"scene{number}/view{view}.mp4" for number in range(SCENES) for view in (1, 2)])
        app = assemble(bench.containers, bench.queues, MemoryCompute(), DispatchSettings(quiet_s=0.0))
        for what in ("that finds them all complete", "while all of them wait"):
            with timed() as seconds, counted() as lists:
                report = app.sweeper.sweep()
            blobs = report.scenes * 4  # uploads, and at most a batch and a record each
            text = f"{seconds[0]:.1f} s, {lists['list']} list calls, {report.sealed} sealed, {report.requeued} requeued"
            bench.row(f"sweep over {report.scenes} scenes {what}", f"<= 30 s, {blobs // PAGE + 1} per listing", text)
        while (message := bench.queues.jobs.receive(600)) is not None:
            bench.queues.jobs.complete(message)  # every message is lost
        settings = DispatchSettings(quiet_s=0.0, requeue_after_s=1.0)
        time.sleep(3)
        app = assemble(bench.containers, bench.queues, MemoryCompute(), settings)
        with timed() as seconds, counted() as lists:
            report = app.sweeper.sweep()
        text = f"{seconds[0]:.1f} s, {lists['list']} list calls, {report.requeued} requeued"
        bench.row(f"sweep over {report.scenes} scenes whose messages are all lost", "<= 30 s", text)


def dead_letters() -> None:
    with emulator() as bench:
        scenes = [f"scene{number}" for number in range(DEAD_LETTERS)]
        bench.upload([f"{scene}/view{view}.mp4" for scene in scenes for view in (1, 2)])
        for scene in scenes:
            bench.queue(scene)
        bench.drain(bad_video)
        with timed() as seconds:
            for scene in redrive.dead_lettered(bench.containers):
                redrive.carry_out(bench.containers, bench.queues, redrive.plan(bench.containers, scene))
        for scene in scenes:
            bench.queue(scene)
        bench.drain(result)
        processed, left = (
            sum(1 for _ in store.list()) for store in (bench.containers.processed, bench.containers.error)
        )
        text = f"{processed} videos in processed, {left} blobs in error, {seconds[0]:.1f} s"
        text += f", {len(audited(bench))} violations"
        bench.row(f"redrive of {DEAD_LETTERS} scenes with 2 videos each", f"{2 * DEAD_LETTERS} processed", text)


def result(job: Job, _: Supervision) -> dict[str, Any]:
    job.out.mkdir(parents=True, exist_ok=True)
    (job.out / "manifest.json").write_text('{"outputs": []}')
    return {}


def bad_video(_: Job, __: Supervision) -> dict[str, Any]:
    raise InputError("no video", stage="frame_extraction")


def audited(bench: Bench) -> list[str]:
    now = bench.containers.state.now() + timedelta(seconds=1)
    return [
        finding.line()
        for finding in audit(collect(bench.containers, bench.queues, DispatchSettings(), 3, now)).violations
    ]


@contextmanager
def timed() -> Iterator[list[float]]:
    """Wall seconds, and those of a core that this process used: the emulator and other work use the rest."""
    begin, used, seconds = time.monotonic(), time.process_time(), [0.0, 0.0]
    yield seconds
    seconds[:] = [time.monotonic() - begin, time.process_time() - used]


@contextmanager
def counted() -> Iterator[Counter[str]]:
    """List calls on the wire, whoever makes them: below the SDK, so that its pages and retries count too."""
    counts: Counter[str] = Counter()
    request = http.client.HTTPConnection.putrequest

    def putrequest(self: Any, method: str, url: str, *args: Any, **kwargs: Any) -> None:
        counts["all"] += 1
        counts["list"] += "comp=list" in url
        request(self, method, url, *args, **kwargs)

    http.client.HTTPConnection.putrequest = putrequest  # type: ignore[method-assign]
    try:
        yield counts
    finally:
        http.client.HTTPConnection.putrequest = request  # type: ignore[method-assign]


if __name__ == "__main__":
    main()
