"""A whole cloud in memory, its dispatcher included, for scenes that grow over several generations."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from function_app.wiring import App, assemble
from runner.job.request import Job
from runner.job.supervise import Supervision
from scenejobs.adapters.memory import MemoryCompute
from scenejobs.audit.report import audit
from scenejobs.audit.snapshot import collect
from scenejobs.ports import Containers, Queues
from scenejobs.settings.groups import DispatchSettings
from tests.runner_world import Cloud, echo_job

QUIET_S = 60.0


class GrowingScene:
    """One cloud; uploads raise events, time passes, checks are delivered, and a runner works where one was started."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.cloud = Cloud(folder)
        self.settings = settings  # of the runner
        self.compute = MemoryCompute(self.cloud.clock)
        self.dispatch_settings = DispatchSettings(quiet_s=QUIET_S, max_parallel_jobs=1)
        self.used: list[list[str]] = []  # the names that each run worked on

    @property
    def containers(self) -> Containers:
        return Containers(**self.cloud.stores)

    @property
    def queues(self) -> Queues:
        return Queues(**self.cloud.queues)

    @property
    def app(self) -> App:
        return assemble(self.containers, self.queues, self.compute, self.dispatch_settings, self.cloud.clock.advance)

    def upload(self, name: str, data: bytes) -> str:
        """Returns the ETag."""
        upload = self.cloud.upload(name, data)
        self.app.dispatcher.on_upload(name, self.cloud.clock())
        return upload.etag

    def deliver(self) -> None:
        while (message := self.cloud.queues["debounce"].receive(600)) is not None:
            self.app.on_quiet(message.text.encode(), message.dequeue_count)
            self.cloud.queues["debounce"].complete(message)

    def settle(self, job: Callable[..., Any] = echo_job) -> None:
        """Lets time pass until everything that was uploaded has come to an end."""

        def run(job_: Job, supervision: Supervision) -> dict[str, Any]:
            self.used.append(sorted(clip.name for clip in job_.clips))
            result: dict[str, Any] = job(job_, supervision)
            return result

        for _ in range(12):
            self.cloud.clock.advance(QUIET_S + 10)
            self.deliver()
            self.cloud.clock.advance(5)  # an execution takes a moment to begin
            for execution in self.compute.live():
                self.cloud.worker(run, **self.settings).drain()
                self.compute.finish(execution.name)

    def sweep_for_an_hour(self) -> None:
        for _ in range(12):
            self.cloud.clock.advance(300)
            self.app.sweeper.sweep()

    def violations(self) -> list[str]:
        self.cloud.clock.advance(3600)
        evidence = collect(self.containers, self.queues, self.dispatch_settings, 3, self.cloud.clock())
        return [finding.line() for finding in audit(evidence).violations]

    def published(self) -> list[str]:
        """The videos of the published result."""
        manifest = self.cloud.json("output", "lobby/manifest.json")
        return sorted(manifest["videos"])
