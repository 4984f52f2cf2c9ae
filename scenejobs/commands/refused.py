"""`scenejobs refused [--remove NAME [--apply]]`: lists uploads whose names are refused, and removes one.

    scenejobs refused                    what there is, and why
    scenejobs refused --remove NAME      what would be removed; with --apply it is

NAME is written as the listing shows it: control characters and what a terminal would hide as escapes.
"""

from __future__ import annotations

import click

from scenejobs.commands.shell.command import Answer, Shell
from scenejobs.commands.shell.command import command as made
from scenejobs.state.incoming.refused import refused_uploads, remove


@made(
    "refused", "uploads with names that cannot be used",
    click.option("--remove", "name", metavar="NAME", help="Say what would be removed."),
    click.option("--apply", is_flag=True, help="Really remove it."),
    section="For operators",
)  # fmt: skip
def command(shell: Shell, name: str | None, apply: bool) -> Answer:
    """Raises InputError when no upload of that name is refused, ConfigurationError, and the errors of storage."""
    storage, dispatch = shell.open()
    containers, depth = storage.containers, dispatch.prefix_depth
    if name is None:
        found = [item.line() for item in refused_uploads(containers, depth)]
        for line in found:
            shell.say(line)
        return Answer({"refused": found})
    item = remove(containers, depth, name, apply=apply)
    shell.say(item.line().replace("refused", "removed" if apply else "would be removed", 1))
    return Answer({"removed" if apply else "would_be_removed": item.line()})
