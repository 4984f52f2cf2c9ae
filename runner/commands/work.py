"""`python -m runner`: takes messages from the queue, or works on one scene, until its time is over."""

from __future__ import annotations

import functools
import logging
import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

from runner.commands.first_preflight import keep_refusal, preflight_once
from runner.files import disk, writable
from runner.job.supervise import JobLimits, run_job
from runner.paths import with_our_code
from runner.pipeline import config_file
from runner.pipeline import settings as pipeline_settings
from runner.process import gpu_driver, linux
from runner.process.signals import StopFlag
from runner.worker import deadline, run_ids
from runner.worker.context import WorkerContext
from runner.worker.lease import Timing
from runner.worker.loop import Worker
from runner.worker.shutdown import last_resort
from scenejobs.adapters.open import open_storage, places
from scenejobs.errors import ConfigurationError
from scenejobs.logs.setup import configure
from scenejobs.names import refusal
from scenejobs.settings import modes, older, required
from scenejobs.settings.groups import LogSettings, RunnerSettings
from scenejobs.settings.pipeline import PipelineSettings
from scenejobs.settings.reader import read_all
from scenejobs.settings.storage import FolderSettings, StorageSettings

LEASE_VARIABLE = "RUNNER_LEASE_SECONDS"  # for tests, which do not want to wait for a minute; 15 to 60

log = logging.getLogger(__name__)


def run_mode(env: Mapping[str, str], stop: StopFlag) -> int:
    """Queue, batch or watch mode, as the environment says. A stop by signal comes to its end, whatever hangs."""
    resort = last_resort(stop)
    try:
        return _run_mode(env, stop)
    finally:
        resort.end()


def _run_mode(env: Mapping[str, str], stop: StopFlag) -> int:
    if modes.mode_of(env) in ("watch", "serve"):  # read all their settings themselves, and name all that is wrong
        _become(modes.mode_of(env), env)
    config = config_file.read(env)
    env = config.env
    runner, account, folders, pipeline, log_settings = read_all(
        (RunnerSettings, StorageSettings, FolderSettings, PipelineSettings, LogSettings),
        env,
        refused=(*older.problems(env), *modes.problems(env)),
        missing=required.of_job(env),
        advice=modes.advice(env),
        checks={RunnerSettings: functools.partial(_check, env), PipelineSettings: pipeline_settings.check},
    )
    timing = _timing(env)
    if runner.replica_timeout_s:
        stop.end_in(runner.replica_timeout_s - deadline.SELF_STOP_S)
    workspace = writable.check(runner.workspace, pipeline.backend, env)
    configure(log_settings)
    config.tell(log)
    modes.warn(env, log)
    linux.harden_against_neighbours()
    if (left_s := stop.left_s()) is not None:
        log.info("this execution stops by itself in %.0f s", left_s)
    storage = open_storage(folders, account, check=True, queues=runner.mode == "queue")
    log.info("storage by %s, mode %s", storage.means, runner.mode)

    if pipeline.backend == "gsplat" and not pipeline.force_cpu:
        try:
            gpu_driver.require()  # before a scene is taken: no attempt, no download
        except ConfigurationError as exc:
            keep_refusal(storage.containers.state, exc, _execution(env), lambda: datetime.now(UTC))
            raise

    limits = JobLimits(deadline_s=runner.job_timeout_s, stall_s=runner.stall_timeout_s)
    context = WorkerContext(
        containers=storage.containers,
        leases=storage.leases,
        queues=storage.queues,
        settings=runner,
        pipeline=pipeline,
        run_job=functools.partial(run_job, limits=limits, env=env),
        stop=stop,
        now=lambda: datetime.now(UTC),
        execution=_execution(env),
        lacks_room=functools.partial(disk.lacking, _disks(workspace, folders), runner.min_free_gb),
    )
    if runner.preflight:
        preflight_once(storage.containers.state, env, context.execution, context.now, stop.is_set)
    worker = Worker(context, timing)
    try:
        return worker.batch() if runner.mode == "batch" else worker.drain()
    finally:
        if stop.left_s() == 0.0:
            log.warning("stopped %.0f s before the platform would have done it", deadline.SELF_STOP_S)


def _disks(workspace: Path, folders: FolderSettings) -> tuple[Path, ...]:
    """What a job writes to."""
    return (workspace, *(places(folders).all() if folders.data else ()))


def _become(program: str, env: Mapping[str, str]) -> NoReturn:
    """Programs above dispatcher and runner (watch/, serve/); an image has one entry point for all modes."""
    os.execve(sys.executable, [sys.executable, "-P", "-m", program], with_our_code(env))


def _execution(env: Mapping[str, str]) -> str:
    """The platform's name for this execution, where it gives one that can be part of a blob's name."""
    name = env.get("CONTAINER_APP_JOB_EXECUTION_NAME", "").strip()
    return name if name and not refusal(name) and "/" not in name else ""


def _check(env: Mapping[str, str], settings: RunnerSettings) -> None:
    """Raises ConfigurationError for what the table of settings cannot say."""
    deadline.check(settings)
    _timing(env)
    if settings.mode == "batch" and settings.job_id:
        run_ids.check(settings.job_id)


def _timing(env: Mapping[str, str]) -> Timing:
    text = env.get(LEASE_VARIABLE, "").strip() or str(Timing().lease_s)
    if not (text.isdecimal() and 15 <= int(text) <= 60):
        raise ConfigurationError(f"{LEASE_VARIABLE}={text!r} is not allowed", advice="use 15 to 60")
    return Timing(int(text))
