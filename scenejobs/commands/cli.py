"""`scenejobs`: what a user does, from a terminal. Upload videos, look at scenes, fetch results.

    scenejobs upload lobby view1.mp4 view2.mp4
    scenejobs status [lobby] [--wait]
    scenejobs download lobby DIR
    scenejobs refused [--remove NAME [--apply]]
    scenejobs audit [--json] [--deep]
    scenejobs retry lobby [--with-what-is-there]
    scenejobs exclude lobby view2.mp4
    scenejobs tidy [--apply]
    scenejobs blobfuse output [--mount DIR]
    scenejobs restored

Storage comes from the environment, as for the services (docs/configuration.md): an account, or folders (DATA_PATH).
Exit codes: 0, 1 the scene failed or is unknown, an audit found a violation, or a run was refused, 2 configuration,
3 storage, 130 interrupted.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from scenejobs.commands import audit, blobfuse, download, exclude, redrive, refused, restored, status, tidy, upload
from scenejobs.errors import InputError, SceneJobError
from scenejobs.logs.setup import configure_command, printable

INTERRUPTED = 130  # by ctrl-C, or by the end of whoever reads what is printed
# In the order of the help.
COMMANDS = (upload, status, download, refused, audit, redrive, exclude, tidy, blobfuse, restored)


def parser() -> argparse.ArgumentParser:
    """Each command adds its own parser, and says by `run` which function carries it out."""
    whole = argparse.ArgumentParser(prog="scenejobs", description="Upload videos, look at scenes, get results.")
    commands = whole.add_subparsers(dest="command", required=True)
    for command in COMMANDS:
        command.add_to(commands)
    return whole


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    try:
        configure_command(os.environ)
        code: int = options.run(options, os.environ)
        sys.stdout.flush()
    except SceneJobError as exc:
        print(printable(str(exc)), file=sys.stderr)
        return exc.exit_code
    except BrokenPipeError:  # whoever reads us has seen enough: `status | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left is flushed there at exit
        return INTERRUPTED
    except OSError as exc:  # of a local file or folder that the arguments name
        print(printable(f"{exc.filename or 'a local file'}: {exc.strerror or exc}"), file=sys.stderr)
        return InputError.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED
    return code
