"""Puts the dispatcher together: from the environment once per process, or from twins in a test."""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass

from function_app.dispatcher import Dispatcher
from function_app.starter import Starter
from function_app.sweep import Sweeper
from scenejobs.ports import Compute, Containers, Queues
from scenejobs.settings import ComputeSettings, DispatchSettings, StorageSettings, read_all


@dataclass(frozen=True)
class App:
    """What the triggers call."""

    dispatcher: Dispatcher
    sweeper: Sweeper


def assemble(containers: Containers, queues: Queues, compute: Compute, settings: DispatchSettings) -> App:
    starter = Starter(
        containers.state,
        queues.jobs,
        compute,
        settings.max_parallel_jobs,
        max_gpu_minutes=settings.max_gpu_minutes,
    )
    dispatcher = Dispatcher(containers, queues, settings, starter)
    return App(dispatcher, Sweeper(dispatcher))


@functools.cache
def app() -> App:
    """The app of this process, opened at its first use. Raises ConfigurationError."""
    from scenejobs.azure.clients import open_containers, open_queues  # a second of imports that indexing can do without
    from scenejobs.azure.compute import ContainerAppsCompute

    storage, dispatch, compute = read_all((StorageSettings, DispatchSettings, ComputeSettings), os.environ)
    return assemble(open_containers(storage), open_queues(storage), ContainerAppsCompute(compute), dispatch)
