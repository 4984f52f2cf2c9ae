"""From arguments and environment to one of the runner's modes, and from its end to an exit code and one line."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence

from runner.commands.parser import Parser
from runner.commands.work import run_mode
from runner.process.signals import stop_on_signals
from scenejobs.errors import SceneJobError
from scenejobs.logs.setup import configure_command, report


def main(
    arguments: Sequence[str],
    env: Mapping[str, str] = os.environ,
    on_error: Callable[[SceneJobError], None] = lambda _: None,
) -> int:
    """Returns the exit code; an error is one line on standard error, a record where the log is JSON.

    on_error: is told of it as well.
    """
    with stop_on_signals() as stop:
        try:
            if arguments and arguments[0] == "scene":
                from runner.commands import scene as commands_scene

                return commands_scene.main(arguments[1:], env, stop)
            if arguments and arguments[0] == "estimate":
                from runner.commands import estimate

                configure_command(env)
                return estimate.main(arguments[1:], env)
            if arguments and arguments[0] == "preflight":
                from runner.commands import preflight

                configure_command(env)
                return preflight.main(arguments[1:], env)
            if arguments:
                _usage().parse_args(arguments)
            return run_mode(env, stop)
        except SceneJobError as exc:
            report(exc, env, logs=not arguments)
            on_error(exc)
            return exc.exit_code


def _usage() -> Parser:
    parser = Parser(
        prog="python -m runner",
        description="Without arguments: processes scenes from the queue, one prefix (RUN_MODE=batch), what is "
        "uploaded to the containers (RUN_MODE=serve) or copied to a folder (RUN_MODE=watch). "
        "`video-splat scene --help` explains how to process local videos.",
    )
    parser.add_argument(
        "mode",
        nargs="?",
        choices=["scene", "estimate", "preflight"],
        help="process local videos; tell what they will take; look whether all is there",
    )
    return parser
