"""A bar of progress on the terminal; nothing where nobody looks."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from scenejobs.adapters.transfers import untold
from scenejobs.commands.shell.command import Shell
from scenejobs.logs.setup import printable


@contextmanager
def transfer(shell: Shell, total_bytes: int) -> Iterator[Callable[[str, int], None]]:
    """A function that is told which file, and how many more of its bytes are there."""
    if shell.json or not sys.stderr.isatty():
        yield untold
        return
    from rich import progress  # a tenth of a second, which nobody else pays
    from rich.console import Console
    from rich.markup import escape

    columns = (
        progress.TextColumn("{task.description}"), progress.BarColumn(), progress.DownloadColumn(),
        progress.TransferSpeedColumn(), progress.TimeRemainingColumn(),
    )  # fmt: skip
    with progress.Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task("", total=total_bytes)
        yield lambda name, size: bars.update(task, advance=size, description=escape(printable(name)))
