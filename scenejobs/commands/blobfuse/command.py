"""`scenejobs blobfuse CONTAINER`: writes a configuration of blobfuse2, and mounts with it."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import click

from scenejobs.commands.blobfuse import fuse
from scenejobs.commands.shell.command import Answer, Shell
from scenejobs.commands.shell.command import command as made
from scenejobs.errors import ConfigurationError
from scenejobs.settings.groups import RunnerSettings
from scenejobs.settings.reader import read_all
from scenejobs.settings.storage import MountSettings, StorageSettings

CONTAINERS = ("input", "output", "processed", "error")  # not state: nobody needs to look into it by hand


@made(
    "blobfuse", "a container as a folder: configure blobfuse2, and mount",
    click.argument("container", type=click.Choice(CONTAINERS)),
    click.option("--mount", type=Path, metavar="FOLDER", help="Mount there now, until it is unmounted."),
    click.option("--out", type=Path, metavar="FILE", help="Of the configuration.  [default: in the cache folder]"),
    click.option("--cache", type=Path, metavar="FOLDER", help="Of the cache.  [default: TEMP_PATH/blobfuse-CONTAINER]"),
    click.option("--writable", is_flag=True, help="Files can be written too.  [default: read-only]"),
    click.option("--allow-other", is_flag=True, help="For all users (user_allow_other in /etc/fuse.conf)."),
    section="For operators",
)  # fmt: skip
def command(
    shell: Shell, container: str, mount: Path | None, out: Path | None, cache: Path | None, writable: bool,
    allow_other: bool,
) -> Answer:  # fmt: skip
    """Prints the command that mounts; with --mount it becomes that command. Raises ConfigurationError."""
    from scenejobs.commands.blobfuse.configuration import (  # the SDK, which other commands can do without
        configuration,
        to_yaml,
    )

    account, mounts, runner = read_all((StorageSettings, MountSettings, RunnerSettings), shell.env)
    base = Path(runner.workspace or tempfile.gettempdir())
    cache = (cache or base / f"blobfuse-{container}").absolute()
    name = getattr(account, container)
    document = configuration(account, mounts, name, cache, writable=writable)
    if allow_other:
        document = {"allow-other": True, **document}
    out = (out or cache / "config.yaml").absolute()
    try:
        cache.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(out, to_yaml(document))
    except OSError as exc:
        raise ConfigurationError(f"{out} cannot be written: {exc}", advice="set --out and --cache") from exc
    line = ["blobfuse2", "mount", str(mount or "FOLDER"), f"--config-file={out}", "--foreground"]
    if not mount:
        shell.say(f"written for {name} (mode 0600); mount it with: {' '.join(line)}")
        return Answer({"container": name, "configuration": str(out), "mount_with": line})
    for doubt in fuse.doubts(shell.env.get("PATH"), user=os.getuid()):
        shell.warn(doubt)
    # blobfuse2 reads variables of the same names, and other ones that would override the configuration.
    kept = {name: value for name, value in shell.env.items() if not name.startswith("AZURE_STORAGE_")}
    try:
        os.execvpe(line[0], line, kept)
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
