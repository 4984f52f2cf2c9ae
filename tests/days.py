"""The real dispatcher, starter, sweep and runner over in-memory twins, for days of virtual time.

The job takes no time. Executions begin half a minute after they were asked for, and a sweep runs every five minutes.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from function_app.wiring import assemble
from runner.process.signals import StopFlag
from runner.worker.context import WorkerContext
from runner.worker.loop import Worker
from scenejobs.adapters.memory import ManualClock, MemoryBlobStore, MemoryQueue
from scenejobs.errors import SceneJobError
from scenejobs.ports import BlobStore, Containers, Execution, Queues
from scenejobs.settings.groups import DispatchSettings, RunnerSettings
from scenejobs.settings.pipeline import PipelineSettings
from scenejobs.state import records
from scenejobs.state.overview.status import SceneStatus, scene_status
from scenejobs.state.record import SceneRecord
from tests.runner_world import KINDS, echo_job

DAY_S = 86400.0
START_S = 30.0  # from the request to the first line of an execution
SWEEP_S = 300.0
DRAIN_TRIES = 50  # deliveries of the checks that wait at one moment


class NoHeartbeat:
    """In the place of threads: nothing takes long enough to need them."""

    def __init__(self, *_: object) -> None: ...

    def end(self) -> None: ...


@dataclass
class Days:
    """The whole system. `stores` are reached by tests as users and other programs reach them."""

    folder: Path  # for workspaces
    job: Callable[..., Any] = echo_job
    wrap: Callable[[str, MemoryBlobStore], BlobStore] = lambda kind, store: store
    clock: ManualClock = field(default_factory=ManualClock)
    begun_at: list[datetime] = field(default_factory=list)  # executions
    ends: Counter[str] = field(default_factory=Counter)  # exit codes of executions, or the error that ended one
    jobs_run: int = 0

    def __post_init__(self) -> None:
        self.stores = {kind: MemoryBlobStore(kind, self.clock) for kind in KINDS}
        self.queues = {name: MemoryQueue(name, self.clock) for name in ("debounce", "jobs", "poison")}
        self.containers = Containers(**{kind: self.wrap(kind, store) for kind, store in self.stores.items()})  # type: ignore[arg-type]
        self.settings = RunnerSettings(idle_polls=1, idle_wait_s=0, min_free_gb=0, workspace=str(self.folder))
        self._asked: list[datetime] = []
        self._swept_at = self.clock()
        self._tokens = 0
        queues = Queues(**self.queues)  # type: ignore[arg-type]
        self.app = assemble(self.containers, queues, self, DispatchSettings(), pause=lambda seconds: None)

    # ---- compute (ports.Compute) ------------------------------------------------------------------------------------

    def start(self) -> str:
        self._asked.append(self.clock() + timedelta(seconds=START_S))
        return f"execution-{len(self.begun_at) + len(self._asked)}"

    def live(self) -> tuple[Execution, ...]:
        return tuple(Execution(f"asked-{number}", "Running", None) for number, _ in enumerate(self._asked))

    def stop(self, name: str) -> None: ...

    # ---- users and time ---------------------------------------------------------------------------------------------

    def upload(self, name: str, data: bytes = b"video", *, event: bool = True) -> str:
        etag = self.stores["input"].write(name, data)
        if event:
            self.app.dispatcher.on_upload(name, self.clock())
        return etag

    def pass_time(self, seconds: float, step_s: float = 15.0) -> int:
        """Returns how many executions began in it."""
        before, end = len(self.begun_at), self.clock() + timedelta(seconds=seconds)
        while self.clock() < end:
            self._step(step_s)
        return len(self.begun_at) - before

    def _step(self, seconds: float) -> None:
        self.clock.advance(seconds)
        for _ in range(DRAIN_TRIES):
            message = self.queues["debounce"].receive(60)
            if message is None:
                break
            self.app.on_quiet(message.text.encode(), message.dequeue_count)
            self.queues["debounce"].complete(message)
        if (self.clock() - self._swept_at).total_seconds() >= SWEEP_S:
            self._swept_at = self.clock()
            self.app.sweeper.sweep()
        due = [at for at in self._asked if at <= self.clock()]
        self._asked = [at for at in self._asked if at > self.clock()]
        for _ in due:
            self._execute()

    def _execute(self) -> None:
        self.begun_at.append(self.clock())
        try:
            end = str(self.worker().drain())
        except SceneJobError as exc:
            end = type(exc).__name__
        self.ends[end] += 1

    def worker(self, stores: Mapping[str, BlobStore] | None = None) -> Worker:
        def run(*arguments: Any) -> dict[str, Any]:
            self.jobs_run += 1
            result: dict[str, Any] = self.job(*arguments)
            return result

        containers = replace(self.containers, **dict(stores or {}))
        return Worker(
            WorkerContext(
                containers=containers,
                leases=containers.state,
                queues=Queues(**self.queues),  # type: ignore[arg-type]
                settings=self.settings,
                pipeline=PipelineSettings(backend="mock"),
                run_job=run,
                stop=StopFlag(),
                now=self.clock,
                clock=lambda: self.clock().timestamp(),
                repeat=NoHeartbeat,
                pause=lambda seconds: None,
                token=self._token,
            )
        )

    def _token(self) -> str:
        self._tokens += 1
        return f"{self._tokens:08x}"

    # ---- what is there ----------------------------------------------------------------------------------------------

    def status(self, scene: str) -> SceneStatus:
        return scene_status(self.containers, scene)

    def record(self, scene: str) -> SceneRecord:
        stored = records.load(self.stores["state"], scene)
        assert stored is not None
        return stored.record

    def names(self, kind: str, prefix: str = "") -> list[str]:
        return [blob.name for blob in self.stores[kind].list(prefix)]

    def json(self, kind: str, name: str) -> Any:
        return json.loads(self.stores[kind].read(name)[0])
