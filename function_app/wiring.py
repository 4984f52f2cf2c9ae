"""Puts the dispatcher together: from the environment once per process, or from twins in a test."""

from __future__ import annotations

import functools
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from function_app import event_grid
from function_app.dispatcher import Dispatcher
from function_app.starter import Starter
from function_app.sweep import Sweeper
from scenejobs.errors import UnreadableMessage
from scenejobs.logs import setup
from scenejobs.parallel import AT_ONCE
from scenejobs.ports import Compute, Containers, Queues
from scenejobs.settings.groups import ComputeSettings, DispatchSettings, StorageSettings
from scenejobs.settings.reader import read_all
from scenejobs.state.messages import DebounceCheck

POISON_TEXT_CHARS = 2000  # of a message nobody can read


@dataclass(frozen=True)
class App:
    """What the triggers call."""

    dispatcher: Dispatcher
    sweeper: Sweeper

    def on_quiet(self, body: bytes, dequeue_count: int = 1, traceparent: str = "") -> str | None:
        """One delivery from the debounce queue. Returns what belongs into the poison queue: the reason and the message.

        Raises StorageError, ComputeError and AccessDenied: the host delivers the message again.
        """
        text = body.decode("utf-8", "replace")
        try:
            check = DebounceCheck.from_json(text)
            looked = self.dispatcher.on_quiet(check, redelivered=dequeue_count > 1, traceparent=traceparent)
        except UnreadableMessage as exc:
            return _poison(exc, text)
        if looked:  # one of the checks of a scene that is being uploaded to is enough
            self.sweeper.sweep_if_due()
        return None

    def on_event(self, body: bytes, now: datetime) -> str | None:
        """One message that Event Grid put into a storage queue. Returns what belongs into the poison queue, as above.

        Raises StorageError: the host delivers the message again.
        """
        text = body.decode("utf-8", "replace")
        try:
            event = event_grid.read(text, self.dispatcher.containers.input.name)
        except UnreadableMessage as exc:
            return _poison(exc, text)
        if event.is_folder:
            self.dispatcher.on_folder(event.name, now)
        else:
            self.dispatcher.on_upload(event.name, now, ended=event.ended)
        return None


def _poison(exc: UnreadableMessage, text: str) -> str:
    return json.dumps({"code": str(exc.code), "reason": str(exc), "message": text[:POISON_TEXT_CHARS]})


def assemble(
    containers: Containers,
    queues: Queues,
    compute: Compute,
    settings: DispatchSettings,
    pause: Callable[[float], None] = time.sleep,
    at_once: int = AT_ONCE,
) -> App:
    """at_once: requests of a sweep at the same time; 1: none in another thread."""
    starter = Starter(
        containers.state,
        queues.jobs,
        compute,
        settings.max_parallel_jobs,
        pause,
        max_gpu_minutes=settings.max_gpu_minutes,
        start_timeout_s=settings.start_timeout_s,
    )
    dispatcher = Dispatcher(containers, queues, settings, starter)
    return App(dispatcher, Sweeper(dispatcher, at_once))


@functools.cache
def app() -> App:
    """The app of this process, opened at its first use. Raises ConfigurationError."""
    from scenejobs.adapters.azure.clients import (  # a second of imports that indexing can do without
        open_containers,
        open_queues,
    )
    from scenejobs.adapters.azure.container_apps import ContainerAppsCompute

    setup.protect()
    storage, dispatch, compute = read_all((StorageSettings, DispatchSettings, ComputeSettings), os.environ)
    return assemble(open_containers(storage), open_queues(storage), ContainerAppsCompute(compute), dispatch)
