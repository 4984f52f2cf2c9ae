"""From arguments and environment to one of the runner's modes, and from its end to an exit code and one line."""

from __future__ import annotations

import argparse
import functools
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

from runner import deadline, job_settings, kernel
from runner.job_process import JobLimits, run_job
from runner.ledger import INTERVAL_S
from runner.ownership import Timing
from runner.scene_work import World
from runner.signals import StopFlag, stop_on_signals
from runner.stopping import last_resort
from runner.worker import Worker
from scenejobs.errors import Code, ConfigurationError, SceneJobError
from scenejobs.logs import configure, printable
from scenejobs.names import refusal
from scenejobs.redact import redact
from scenejobs.settings import (
    FolderSettings,
    LogSettings,
    PipelineSettings,
    RunnerSettings,
    StorageSettings,
    read_all,
)
from scenejobs.storage import open_storage

ROOT = Path(__file__).parents[1]
LEASE_VARIABLE = "RUNNER_LEASE_SECONDS"  # for tests, which do not want to wait for a minute; 15 to 60

log = logging.getLogger(__name__)


def main(arguments: Sequence[str], env: Mapping[str, str] = os.environ) -> int:
    """Returns the exit code; an error is one line on standard error."""
    with stop_on_signals() as stop:
        try:
            if arguments and arguments[0] == "scene":
                from runner import scene_mode

                return scene_mode.main(arguments[1:], env, stop)
            if arguments and arguments[0] == "preflight":
                from runner import preflight

                return preflight.main(arguments[1:], env)
            if arguments:
                _usage().parse_args(arguments)
            resort = last_resort(stop)
            try:
                return run_mode(env, stop)
            finally:
                resort.end()
        except SceneJobError as exc:
            print(f"error: {one_line(exc)}", file=sys.stderr)
            return exc.exit_code


def one_line(error: SceneJobError) -> str:
    return printable(redact(" ".join(str(error).split())))


class Parser(argparse.ArgumentParser):
    """Raises where argparse would print its usage and exit."""

    def error(self, message: str) -> NoReturn:
        raise ConfigurationError(message, code=Code.INVALID_SETTING, advice=f"see {self.prog} --help")


def _usage() -> Parser:
    parser = Parser(
        prog="python -m runner",
        description="Without arguments: processes scenes from the queue, one prefix (RUN_MODE=batch), or what is "
        "copied to a folder (RUN_MODE=watch). "
        "`python -m runner scene --help` tells how to process local videos.",
    )
    parser.add_argument(
        "mode", nargs="?", choices=["scene", "preflight"], help="process local videos; look whether all is there"
    )
    return parser


def run_mode(env: Mapping[str, str], stop: StopFlag) -> int:
    """Queue, batch or watch mode, as the environment says."""
    groups = (RunnerSettings, StorageSettings, FolderSettings, PipelineSettings, LogSettings)
    runner, account, folders, pipeline, log_settings = read_all(groups, env)
    if runner.mode == "watch":
        _become_watch(env)
    _check(runner)
    deadline.check(runner)
    if runner.replica_timeout_s:
        stop.end_in(runner.replica_timeout_s - deadline.SELF_STOP_S)
    job_settings.check(pipeline)
    timing = _timing(env)
    configure(log_settings)
    kernel.harden_against_neighbours()
    if (left_s := stop.left_s()) is not None:
        log.info("this execution stops by itself in %.0f s", left_s)
    storage = open_storage(folders, account, check=True, queues=runner.mode == "queue")
    log.info("storage by %s, mode %s", storage.means, runner.mode)

    limits = JobLimits(deadline_s=runner.job_timeout_s, stall_s=runner.stall_timeout_s)
    world = World(
        containers=storage.containers,
        leases=storage.leases,
        queues=storage.queues,
        settings=runner,
        pipeline=pipeline,
        run_job=functools.partial(run_job, limits=limits, env=env),
        stop=stop,
        now=lambda: datetime.now(UTC),
        execution=_execution(env),
    )
    worker = Worker(world, timing)
    telling = world.repeat("ledger", worker.ledger.tell, INTERVAL_S)
    try:
        return worker.batch() if runner.mode == "batch" else worker.drain()
    finally:
        telling.end()
        worker.ledger.tell()
        if stop.left_s() == 0.0:
            log.warning("stopped %.0f s before the platform would have done it", deadline.SELF_STOP_S)


def _become_watch(env: Mapping[str, str]) -> NoReturn:
    """Watch mode is a program above dispatcher and runner (watch/); an image has one entry point for all modes."""
    path = os.pathsep.join(filter(None, (str(ROOT), env.get("PYTHONPATH", ""))))
    os.execve(sys.executable, [sys.executable, "-m", "watch"], {**env, "PYTHONPATH": path})


def _execution(env: Mapping[str, str]) -> str:
    """The platform's name for this execution, where it gives one that can be part of a blob's name."""
    name = env.get("CONTAINER_APP_JOB_EXECUTION_NAME", "").strip()
    return name if name and not refusal(name) and "/" not in name else ""


def _check(settings: RunnerSettings) -> None:
    """Raises ConfigurationError for what the table of settings cannot say."""
    if settings.mode == "batch" and not settings.batch_prefix:
        raise ConfigurationError(
            "BATCH_INPUT_PREFIX is not set",
            code=Code.MISSING_SETTING,
            advice="RUN_MODE=batch needs the scene to process",
        )
    if settings.job_id and (refusal(settings.job_id) or "/" in settings.job_id):
        raise ConfigurationError(
            f"BATCH_JOB_ID={settings.job_id!r} cannot be part of a name", advice="use letters, digits and hyphens"
        )


def _timing(env: Mapping[str, str]) -> Timing:
    text = env.get(LEASE_VARIABLE, "").strip() or str(Timing().lease_s)
    if not (text.isdecimal() and 15 <= int(text) <= 60):
        raise ConfigurationError(f"{LEASE_VARIABLE}={text!r} is not allowed", advice="use 15 to 60")
    return Timing(int(text))
