"""What every step of the worker needs: storage, queues, settings, clocks, and the job to run."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from runner.job.request import Job
from runner.job.supervise import Supervision
from runner.process.signals import StopFlag
from runner.worker.lease import suspend_aware_clock
from runner.worker.periodic import Repeat, Thread
from scenejobs.ports import BlobStore, Containers, Queues
from scenejobs.settings.groups import RunnerSettings
from scenejobs.settings.pipeline import PipelineSettings


class RunJob(Protocol):
    """Runs the pipeline on one job. `runner.job.supervise.run_job` in production, a function in tests."""

    def __call__(self, job: Job, supervision: Supervision, /) -> dict[str, Any]: ...


@dataclass(frozen=True)
class WorkerContext:
    """What the worker uses; the same for every scene."""

    containers: Containers
    leases: BlobStore  # the state container again, with the short patience that leases need
    queues: Queues
    settings: RunnerSettings
    pipeline: PipelineSettings
    run_job: RunJob
    stop: StopFlag
    now: Callable[[], datetime]
    execution: str = ""  # the platform's name for this execution, for the usage report
    clock: Callable[[], float] = suspend_aware_clock  # seconds, for durations
    repeat: Repeat = Thread  # for heartbeats, progress and the resume store
    pause: Callable[[float], None] = time.sleep
    lacks_room: Callable[[], str] = lambda: ""  # why the disks hold no further scene; "": they do
    token: Callable[[], str] = lambda: secrets.token_hex(4)  # makes the name of a run unique
