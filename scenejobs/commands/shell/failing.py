"""What is wrong, in one line that names the code and the next step; with `--json` an object as well.

error: scene lobby has no finished result: see its status [NO_SCENE]
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence

import click

from scenejobs.errors import Code, ConfigurationError, InputError, SceneJobError, remedy
from scenejobs.logs.redact import redact
from scenejobs.logs.setup import printable

INTERRUPTED = 130  # by ctrl-C, or by the end of whoever reads what is printed
NO_COMMAND = 2  # the help was printed because nothing was asked for
EXITS: Mapping[int, str] = {
    0: "done; of `status --wait`: the scene has its result",
    1: "a scene failed, is blocked or is not known, a local file cannot be used, a run was refused, or an audit found "
    "a violation",
    2: "a setting, a right or the command line is wrong, and nothing was touched; also where no command is named",
    3: "storage, or another service, failed for longer than it is tried: try again later",
    75: "another process works on the scene: nothing was changed, try again later",
    130: "interrupted by Ctrl-C, or by the end of whoever reads the output (`head`)",
}


def guarded(command: Callable[[], int], words: Sequence[str]) -> int:
    """Runs it; returns its exit code, or that of the error that it ended with, which is told."""
    as_json = "--json" in words
    try:
        code = command()
        sys.stdout.flush()
    except SceneJobError as exc:
        return tell(exc, as_json)
    except click.exceptions.NoArgsIsHelpError as exc:
        print(exc.ctx.get_help() if exc.ctx else exc.message)
        return NO_COMMAND
    except click.UsageError as exc:
        return tell(_usage(exc), as_json)
    except click.ClickException as exc:  # a local file that cannot be opened
        return tell(InputError(exc.format_message(), code=Code.INVALID_SETTING), as_json)
    except BrokenPipeError:  # whoever reads us has seen enough: `status | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left is flushed there at exit
        return INTERRUPTED
    except OSError as exc:  # of a local file or folder that the arguments name
        cause = f"{exc.filename or 'a local file'}: {exc.strerror or exc}"
        advice = "check the path, its rights and the free space"
        return tell(InputError(cause, code=Code.INVALID_SETTING, advice=advice), as_json)
    except (KeyboardInterrupt, click.Abort):
        return INTERRUPTED
    return code


def _usage(exc: click.UsageError) -> ConfigurationError:
    command = exc.ctx.command_path if exc.ctx else "it"
    return ConfigurationError(exc.format_message().rstrip(".?"), advice=f"see {command} --help")


def tell(error: SceneJobError, as_json: bool) -> int:
    """Prints the error; returns its exit code."""
    if not error.advice:
        error.advice = remedy(error.code, "SCENE")
    text = " ".join(redact(str(error)).split())
    if as_json:
        body = {"code": str(error.code), "cause": redact(error.cause), "advice": redact(error.advice)}
        print(json.dumps({"error": {**body, "exit_code": error.exit_code}}, indent=1), flush=True)
    print(printable(f"error: {text} [{error.code}]"), file=sys.stderr, flush=True)
    return error.exit_code
