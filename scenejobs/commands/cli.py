"""`scenejobs`: what a user does, from a terminal. Upload videos, look at scenes, fetch results.

    scenejobs upload lobby view1.mp4 view2.mp4
    scenejobs status lobby --wait
    scenejobs download lobby DIR

Storage comes from the environment, as for the services (docs/configuration.md): an account, or folders (DATA_PATH).
docs/commands.md has every command and every exit code.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence

from scenejobs.commands import (
    audit,
    cancel,
    delete,
    download,
    estimate,
    exclude,
    listing,
    logs,
    redrive,
    refused,
    restored,
    status,
    tidy,
    upload,
)
from scenejobs.commands.blobfuse import command as blobfuse
from scenejobs.commands.doctor import command as doctor
from scenejobs.commands.links import viewer
from scenejobs.commands.shell import completion
from scenejobs.commands.shell.command import Opening, Shell
from scenejobs.commands.shell.failing import guarded
from scenejobs.commands.shell.group import Command, call, group
from scenejobs.commands.storage import open_from
from scenejobs.errors import Busy
from scenejobs.logs.setup import configure_command

# In the order of the help.
COMMANDS: tuple[Command, ...] = (
    upload.command, estimate.command, listing.command, status.command, logs.command, download.command, viewer.opened,
    viewer.share,
    redrive.retry, redrive.command, exclude.command, cancel.command, delete.command,
    doctor.command, audit.command, refused.command, tidy.command, blobfuse.command, restored.command,
    completion.command,
)  # fmt: skip
scenejobs = group(
    "scenejobs",
    "Upload videos, look at scenes, get results.",
    "Storage comes from the environment: AZURE_STORAGE_CONNECTION_STRING, AZURE_STORAGE_ACCOUNT or DATA_PATH. "
    "Exit codes: 0 done; 1 the scene failed or is unknown, or a file cannot be used; 2 a setting, a right or the "
    "command line; 3 storage; 130 interrupted. All of it: docs/commands.md.",
)
for each in COMMANDS:
    scenejobs.add_command(each)


def main(
    arguments: Sequence[str] | None = None, env: Mapping[str, str] | None = None, opening: Opening = open_from
) -> int:
    """The exit code. opening: of the storage, for tests."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    shell = Shell(os.environ if env is None else env, opening=opening)

    def run() -> int:
        configure_command(shell.env)
        try:
            return call(scenejobs, words, "scenejobs", shell)
        except Busy as exc:
            if not exc.advice and "UseDevelopmentStorage" in shell.env.get("AZURE_STORAGE_CONNECTION_STRING", ""):
                exc.advice = "start the emulator in another terminal: video-splat cloud .local/cloud"
            raise

    return guarded(run, words)
