"""Arguments and settings of `python -m serve`, and its exit code."""

from __future__ import annotations

import argparse
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

from function_app.wiring import App, assemble
from runner.files import writable
from runner.pipeline import config_file
from runner.pipeline import settings as pipeline_settings
from runner.process.signals import StopFlag, stop_on_signals
from runner.worker import deadline
from scenejobs.adapters.azure import clients, credentials
from scenejobs.adapters.azure.retry import SHORT
from scenejobs.adapters.memory import MemoryBlobStore
from scenejobs.adapters.notices.targets import open_targets
from scenejobs.errors import SceneJobError
from scenejobs.logs.setup import report
from scenejobs.settings import modes, older, required
from scenejobs.settings.groups import DispatchSettings, LogSettings, RunnerSettings, ServeSettings, WatchSettings
from scenejobs.settings.notices import NoticeSettings
from scenejobs.settings.pipeline import PipelineSettings
from scenejobs.settings.reader import Checks, read_all
from scenejobs.settings.storage import StorageSettings
from serve.deliveries import Deliveries
from serve.loop import Listeners, Serve
from serve.status import ServeStatus
from serve.workers import executions_of
from watch import health_check, http_server
from watch.begin import begin_log
from watch.instances import name_of
from watch.local_workers import LocalCompute, worker_environment

GROUPS = (
    WatchSettings, ServeSettings, StorageSettings, DispatchSettings, RunnerSettings, PipelineSettings, NoticeSettings,
    LogSettings,
)  # fmt: skip

log = logging.getLogger(__name__)


def main(arguments: Sequence[str], env: Mapping[str, str] = os.environ) -> int:
    """Returns the exit code; an error is one line on standard error, a record where the log is JSON."""
    parser = argparse.ArgumentParser(
        prog="video-splat serve", description="Turns what is uploaded to a container into scenes."
    )
    parser.add_argument("command", nargs="?", choices=["health"], help="ask the one that runs here for its health")
    parser.add_argument("--live", action="store_true", help="health: whether the loop turns, which a restart cures")
    options = parser.parse_args(arguments)
    env = {**env, "RUN_MODE": "serve"}
    try:
        if options.command == "health":
            return health_check.health(env, live=options.live)
        with stop_on_signals() as stop:
            return run(env, stop)
    except SceneJobError as exc:
        report(exc, env, logs=options.command is None)
        return exc.exit_code


def run(env: Mapping[str, str], stop: StopFlag) -> int:
    """Serves until a stop is asked for. Raises ConfigurationError, AccessDenied, StorageError."""
    config = config_file.read(env)
    env = config.env
    checks: Checks = {PipelineSettings: pipeline_settings.check, RunnerSettings: deadline.check}
    refused = (*older.problems(env), *modes.problems(env))
    watch, serve, account, dispatch, runner, pipeline, notices, logging_ = read_all(
        GROUPS, env, refused=refused, missing=required.of_storage(env), checks=checks, advice=modes.advice(env)
    )
    workspace = writable.check(runner.workspace, pipeline.backend, env)
    begin_log(logging_, watch.instance, config, env, log)
    uploads = serve.uploads_queue
    queues = (*clients.queue_names(account), clients.checks_poison_name(account))
    means = clients.check(account, queues=(*queues, uploads, f"{uploads}-poison") if uploads else queues)
    compute = LocalCompute(worker_environment(env), kind=executions_of(watch.instance))
    app = assemble(
        clients.open_containers(account, SHORT),
        clients.open_queues(account, SHORT),
        compute,
        replace(dispatch, max_parallel_jobs=1),
        own=MemoryBlobStore("starter"),  # a worker ends with this process, and so does what is known of it
        targets=open_targets(
            notices, lambda name: clients.open_queue(account, name, SHORT), partial(credentials.token_of, account)
        ),
    )
    status = ServeStatus(
        workspace=workspace,
        places=None,
        min_free_gb=runner.min_free_gb,
        instance=name_of(watch.instance),
        knows=compute.knows,
    )
    listeners = Listeners(_checks(account), _events(account, uploads) if uploads else None)
    service = Serve(app, compute, status, watch, listeners, pipeline)
    with http_server.listening(watch, status):
        how = f"by the messages of queue {uploads}" if uploads else f"every {watch.poll_s:g} s"
        log.info("storage by %s; uploads to %s are seen %s; a scene is complete after %g s without one",
                 means, account.input, how, dispatch.quiet_s)  # fmt: skip
        service.run(stop)
    return 0


def _checks(account: StorageSettings) -> Callable[[App], Deliveries]:
    """Quiet-time checks: those of uploads, and what runners and `scenejobs retry` ask for."""
    queue = clients.open_queue(account, account.debounce_queue, SHORT)
    poison = clients.open_queue(account, clients.checks_poison_name(account), SHORT)
    return lambda app: Deliveries("a quiet-time check", queue, poison, app.on_quiet)


def _events(account: StorageSettings, name: str) -> Callable[[App], Deliveries]:
    """What Event Grid put into a queue."""
    queue, poison = (clients.open_queue(account, each, SHORT) for each in (name, f"{name}-poison"))
    return lambda app: Deliveries(
        "an upload event", queue, poison,
        lambda body, _: app.on_event(body, datetime.now(UTC)),
        lambda body: app.on_event_given_up(body, datetime.now(UTC)),
    )  # fmt: skip
