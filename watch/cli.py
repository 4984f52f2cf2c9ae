"""Arguments and settings of `video-splat watch`, and its exit code."""

from __future__ import annotations

import argparse
import logging
import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

from function_app.wiring import assemble
from runner.files import disk, writable
from runner.pipeline import config_file
from runner.process.signals import StopFlag, stop_on_signals
from scenejobs.adapters.notices.targets import open_targets
from scenejobs.adapters.open import open_folders
from scenejobs.errors import SceneJobError
from scenejobs.logs.setup import report
from scenejobs.settings import waits
from scenejobs.settings.groups import DispatchSettings, WatchSettings
from watch import health_check, http_server
from watch.begin import begin_log
from watch.instances import Instances, name_of, settle
from watch.local_workers import LocalCompute, folder_worker_environment
from watch.loop import Watch
from watch.prepare import DEFAULT_USER, prepare
from watch.rights import Rights
from watch.settings import read
from watch.stable_folder import StableFolder
from watch.status import WatchStatus

log = logging.getLogger(__name__)


def main(arguments: Sequence[str], env: Mapping[str, str] = os.environ) -> int:
    """Returns the exit code; an error is one line on standard error."""
    parser = argparse.ArgumentParser(
        prog="video-splat watch", description="Turns what is copied to a folder into scenes."
    )
    parser.add_argument(
        "command", nargs="?", choices=["health", "prepare"],
        help="ask the watch that runs here for its health; make the folders ready for a watch and look at its settings",
    )  # fmt: skip
    parser.add_argument("--if-watching", action="store_true", help="health: exit code 0 where RUN_MODE is another one")
    parser.add_argument("--user", default=DEFAULT_USER, metavar="UID:GID", help="prepare: who will watch")
    options = parser.parse_args(arguments)
    try:
        if options.command == "health":
            return health_check.health(env, if_watching=options.if_watching)
        if options.command == "prepare":
            return prepare(env, options.user)
        with stop_on_signals() as stop:
            return run(env, stop)
    except SceneJobError as exc:
        report(exc, env, logs=options.command is None)
        return exc.exit_code


def run(env: Mapping[str, str], stop: StopFlag) -> int:
    """Watches until a stop is asked for. Raises ConfigurationError, StorageError."""
    config = config_file.read({**env, "RUN_MODE": "watch"})
    env = config.env
    settings = read(env)
    watch, dispatch, runner, pipeline = settings.watch, settings.dispatch, settings.runner, settings.pipeline
    workspace = writable.check(runner.workspace, pipeline.backend, env)
    begin_log(settings.logs, watch.instance, config, env, log)
    where, me = settle(settings.folders, name_of(watch.instance))
    storage = open_folders(where)
    # asked before a scene is taken
    instances = Instances(where, me)
    rights = Rights(where, dispatch.prefix_depth, instances, partial(_needs, workspace, runner.min_free_gb))
    stable = StableFolder(where.input, "input", holds=rights.holds)
    containers = replace(storage.containers, input=stable)
    status = WatchStatus(workspace=workspace, places=where, min_free_gb=runner.min_free_gb, instance=me.name)
    compute = LocalCompute(folder_worker_environment(env, where))
    targets = open_targets(settings.notices)
    app = assemble(
        containers, storage.queues, compute, dispatcher_settings(dispatch, watch), at_once=1, targets=targets
    )
    service = Watch(
        containers,
        storage.queues,
        app,
        compute,
        status,
        watch,
        dispatch.prefix_depth,
        where,
        pipeline,
        rights,
        dispatch.output_days,
    )
    with ExitStack() as open_:
        open_.enter_context(http_server.listening(watch, status))
        log.info("watching %s every %g s; a scene is complete after %g s without a change; its state lies in %s",
                 where.input, watch.poll_s, stable_s(dispatch, watch), where.state)  # fmt: skip
        open_.callback(instances.end)
        service.run(stop)
    return 0


def _needs(workspace: Path, reserve_gb: float, input_bytes: int) -> str:
    """Why a scene has no room, where others have. A disk that is below the limit, or gone, is told as that."""
    if disk.lacking((workspace,), reserve_gb):
        return ""
    return disk.lacks_space(workspace, input_bytes=input_bytes, reserve_gb=reserve_gb)


def stable_s(dispatch: DispatchSettings, watch: WatchSettings) -> float:
    """Seconds without a change after which a scene is complete."""
    return watch.wait_s(dispatch.quiet_s)


def dispatcher_settings(dispatch: DispatchSettings, watch: WatchSettings) -> DispatchSettings:
    """One worker. Old results are removed by the loop, as often as other old files.

    `StableFolder` sees a file grow by itself; nothing else is in progress in a folder.
    """
    return replace(waits.over_folders(dispatch, watch), max_parallel_jobs=1, upload_stalled_s=0, output_days=0)
