"""`scenejobs refused [--remove NAME [--apply]]`: lists uploads whose names are refused, and removes one.

    scenejobs refused                    what there is, and why
    scenejobs refused --remove NAME      what would be removed; with --apply it is

NAME is written as the listing shows it: control characters and what a terminal would hide as escapes.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping

from scenejobs.commands.storage import open_from
from scenejobs.state.incoming.refused import refused_uploads, remove


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = commands.add_parser("refused", help="uploads with names that cannot be used")
    command.add_argument("--remove", metavar="NAME", help="say what would be removed")
    command.add_argument("--apply", action="store_true", help="really remove it")
    command.set_defaults(run=run)


def run(options: argparse.Namespace, env: Mapping[str, str]) -> int:
    """Raises InputError when no upload of that name is refused, ConfigurationError, and the errors of storage."""
    storage, dispatch = open_from(env)
    containers, depth = storage.containers, dispatch.prefix_depth
    if options.remove is None:
        for item in refused_uploads(containers, depth):
            print(item.line())
        return 0
    item = remove(containers, depth, options.remove, apply=options.apply)
    print(item.line().replace("refused", "removed" if options.apply else "would be removed", 1))
    return 0
