"""Puts the dispatcher together: from the environment once per process, or from twins in a test."""

from __future__ import annotations

import functools
import json
import logging
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from function_app import event_grid, given_up
from function_app.dispatcher import Dispatcher
from function_app.starter import Starter
from function_app.sweep import Sweeper
from scenejobs.adapters.notices.targets import open_targets
from scenejobs.errors import Code, ConfigurationError, UnreadableMessage
from scenejobs.logs import setup
from scenejobs.parallel import AT_ONCE
from scenejobs.ports import BlobStore, Compute, Containers, NoticeTarget, Queues
from scenejobs.settings import older, required
from scenejobs.settings.groups import ComputeSettings, DispatchSettings, LogSettings
from scenejobs.settings.notices import NoticeSettings
from scenejobs.settings.reader import read_all
from scenejobs.settings.storage import StorageSettings
from scenejobs.state.messages import DebounceCheck, as_text

log = logging.getLogger(__name__)

POISON_TEXT_CHARS = 2000  # of a message nobody can read


@dataclass(frozen=True)
class App:
    """What the triggers call."""

    dispatcher: Dispatcher
    sweeper: Sweeper
    pause: Callable[[float], None] = time.sleep

    def on_upload(self, name: str, now: datetime) -> None:
        """One event of the blob trigger, with patience: the host's own tries follow each other within a second.

        Raises StorageError and AccessDenied.
        """
        given_up.with_patience(lambda: self.dispatcher.on_upload(name, now), self.pause)

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
        if looked and self.sweeper.sweep_if_due() is None:  # one of the checks of a scene that is uploaded to is enough
            self.sweeper.tell()
        return None

    def on_event(self, body: bytes, now: datetime) -> str | None:
        """One message that Event Grid put into a storage queue. Returns what belongs into the poison queue, as above.

        Raises StorageError: the host delivers the message again.
        """
        text = body.decode("utf-8", "replace")
        try:
            self._handle(event_grid.read(text, self.dispatcher.containers.input.name), now)
        except UnreadableMessage as exc:
            return _poison(exc, text)
        return None

    def on_upload_given_up(self, body: bytes, now: datetime) -> None:
        """An event of the blob trigger that the host gave up: its scene is looked at all the same.

        Raises StorageError and AccessDenied: the host delivers the message again, every minute until it works.
        """
        try:
            note = given_up.Note.read(body.decode("utf-8", "replace"))
        except UnreadableMessage:
            log.error("an upload event was given up; the sweep will find the upload: %s", given_up.shown(body))
            return
        if note.container != self.dispatcher.containers.input.name:
            log.error("an upload event was given up; it is of another container: %r", f"{note.container}/{note.blob}")
            return
        self.dispatcher.on_upload(note.blob, now)
        log.warning("an upload event was given up; its scene is looked at all the same: %r", note.blob)

    def on_event_given_up(self, body: bytes, now: datetime) -> None:
        """The same of an event in a queue. One that tells of no upload is only logged.

        Raises StorageError and AccessDenied, as above.
        """
        try:
            event = event_grid.read(body.decode("utf-8", "replace"), self.dispatcher.containers.input.name)
        except UnreadableMessage:
            log.error("an upload event was given up; the sweep will find the upload: %s", given_up.shown(body))
            return
        self._handle(event, now)
        log.warning("an upload event was given up; its scene is looked at all the same: %r", event.name)

    def _handle(self, event: event_grid.Event, now: datetime) -> None:
        if event.is_folder:
            self.dispatcher.on_folder(event.name, now)
        else:
            self.dispatcher.on_upload(event.name, now, ended=event.ended)


def _poison(exc: UnreadableMessage, text: str) -> str:
    return json.dumps({"code": str(exc.code), "reason": str(exc), "message": as_text(text)[:POISON_TEXT_CHARS]})


def assemble(
    containers: Containers,
    queues: Queues,
    compute: Compute,
    settings: DispatchSettings,
    pause: Callable[[float], None] = time.sleep,
    at_once: int = AT_ONCE,
    fallback: Compute | None = None,
    own: BlobStore | None = None,
    targets: Mapping[str, NoticeTarget] | None = None,
) -> App:
    """at_once: requests of a sweep at the same time; 1: none in another thread. fallback, own: starter.py.

    targets: who is told about scenes, by name.
    """
    starter = Starter(
        containers.state,
        queues.jobs,
        compute,
        settings.max_parallel_jobs,
        pause,
        max_gpu_minutes=settings.max_gpu_minutes,
        start_timeout_s=settings.start_timeout_s,
        elsewhere=fallback,
        fallback_after=settings.fallback_after,
        own=own,
    )
    dispatcher = Dispatcher(containers, queues, settings, starter, tells=bool(targets))
    return App(dispatcher, Sweeper(dispatcher, at_once, targets=targets or {}), pause)


def fallback_of(job: ComputeSettings) -> ComputeSettings | None:
    """The fallback job, where there is one. Raises ConfigurationError where it is the first job itself."""
    if not job.fallback_job_name:
        return None
    group = job.fallback_resource_group or job.resource_group
    if (group.casefold(), job.fallback_job_name.casefold()) == (job.resource_group.casefold(), job.job_name.casefold()):
        raise ConfigurationError(
            f"FALLBACK_JOB_NAME={job.fallback_job_name} is the job itself",
            code=Code.INVALID_SETTING,
            advice="name another job, or leave it empty",
        )
    return replace(job, job_name=job.fallback_job_name, resource_group=group)


@functools.cache
def app() -> App:
    """The app of this process, opened at its first use. Raises ConfigurationError."""
    from scenejobs.adapters.azure.clients import (  # a second of imports that indexing can do without
        open_containers,
        open_queue,
        open_queues,
    )
    from scenejobs.adapters.azure.container_apps import ContainerAppsCompute
    from scenejobs.adapters.azure.credentials import token_of

    setup.protect()
    groups = (StorageSettings, DispatchSettings, ComputeSettings, NoticeSettings, LogSettings)
    storage, dispatch, compute, notices, logs = read_all(
        groups, os.environ, refused=older.problems(os.environ), missing=required.of_storage(os.environ)
    )
    if os.environ.get("LOG_LEVEL", "").strip():  # else as the host has it (host.json)
        logging.getLogger().setLevel(logs.level)
    there = fallback_of(compute)
    return assemble(
        open_containers(storage), open_queues(storage), ContainerAppsCompute(compute), dispatch,
        fallback=ContainerAppsCompute(there) if there else None,
        targets=open_targets(notices, partial(open_queue, storage), partial(token_of, storage)),
    )  # fmt: skip
