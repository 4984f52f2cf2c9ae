"""`scenejobs blobfuse CONTAINER`: writes a configuration of blobfuse2, and mounts with it."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from scenejobs.commands import fuse
from scenejobs.errors import ConfigurationError
from scenejobs.logs.setup import printable
from scenejobs.settings.groups import RunnerSettings
from scenejobs.settings.reader import read_all
from scenejobs.settings.storage import MountSettings, StorageSettings

CONTAINERS = ("input", "output", "processed", "error")  # not state: nobody needs to look into it by hand


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = commands.add_parser("blobfuse", help="a container as a folder: configure blobfuse2, and mount")
    command.add_argument("container", choices=CONTAINERS, help="which one; its name comes from the settings")
    command.add_argument("--mount", type=Path, help="folder: mount there now, until it is unmounted")
    command.add_argument("--out", type=Path, help="where the configuration is written; default: in the cache folder")
    command.add_argument("--cache", type=Path, help="cache folder; default: TEMP_PATH/blobfuse-CONTAINER")
    command.add_argument("--writable", action="store_true", help="files can be written too; default: read-only")
    command.add_argument(
        "--allow-other", action="store_true", help="for all users (user_allow_other in /etc/fuse.conf)"
    )
    command.set_defaults(run=run)


def run(options: argparse.Namespace, env: Mapping[str, str]) -> int:
    """Prints the command that mounts; with --mount it becomes that command. Raises ConfigurationError."""
    from scenejobs.commands.blobfuse_config import (  # the SDK, which other commands can do without
        configuration,
        to_yaml,
    )

    account, mount, runner = read_all((StorageSettings, MountSettings, RunnerSettings), env)
    base = Path(runner.workspace or tempfile.gettempdir())
    cache = (options.cache or base / f"blobfuse-{options.container}").absolute()
    container = getattr(account, options.container)
    document = configuration(account, mount, container, cache, writable=options.writable)
    if options.allow_other:
        document = {"allow-other": True, **document}
    out = (options.out or cache / "config.yaml").absolute()
    try:
        cache.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(out, to_yaml(document))
    except OSError as exc:
        raise ConfigurationError(f"{out} cannot be written: {exc}", advice="set --out and --cache") from exc
    command = ["blobfuse2", "mount", str(options.mount or "FOLDER"), f"--config-file={out}", "--foreground"]
    if not options.mount:
        print(f"written for {container} (mode 0600); mount it with: {' '.join(command)}")
        return 0
    for doubt in fuse.doubts(env.get("PATH"), user=os.getuid()):
        print(printable(doubt), file=sys.stderr)
    sys.stderr.flush()
    # blobfuse2 reads variables of the same names, and other ones that would override the configuration.
    kept = {name: value for name, value in env.items() if not name.startswith("AZURE_STORAGE_")}
    try:
        os.execvpe(command[0], command, kept)
    except OSError as exc:
        raise ConfigurationError(
            f"blobfuse2 cannot be started: {exc.strerror}", advice="install it, or use the blobfuse image"
        ) from exc


def write_private(path: Path, text: str) -> None:
    """Nobody else can read it, from its first byte; a reader finds the old one or the new one. Raises OSError."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # 0600, and a name of its own
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
