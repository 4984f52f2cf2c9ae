"""`scenejobs tidy [--apply]`: what nobody can need any more, and with `--apply` its removal.

Runs and sweeps remove most of it by themselves. Results, archived uploads and dead letters are never touched.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterable, Mapping

from scenejobs.commands.storage import open_from
from scenejobs.logs.setup import printable
from scenejobs.parallel import Crew
from scenejobs.state.overview import tidy
from scenejobs.state.overview.leftovers import Leftover


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = commands.add_parser("tidy", help="show what nobody can need any more, or remove it")
    command.add_argument("--apply", action="store_true", help="really remove it")
    command.add_argument("--each", action="store_true", help="name every blob")
    command.add_argument(
        "--gone-days", type=float, default=90.0, metavar="DAYS",
        help="also what is known of scenes that left no file anywhere and have not changed for so long; 0: keep it",
    )  # fmt: skip
    command.set_defaults(run=run)


def run(options: argparse.Namespace, env: Mapping[str, str]) -> int:
    """Raises ConfigurationError, and the errors of storage."""
    storage, dispatch = open_from(env)
    containers = storage.containers
    now = containers.state.now()
    found = tidy.find(containers, dispatch.prefix_depth, dispatch.cache_days, options.gone_days, now)
    if options.each:
        for item in found.all:
            print(printable(item.line()))
    for line in told(found.all):
        print(line)
    if not options.apply:
        print("nothing was removed; --apply does" if found.all else "there is nothing to remove")
        return 0
    print(f"{apply(found)} blobs removed")
    return 0


def told(found: Iterable[Leftover]) -> list[str]:
    """One line for each reason."""
    sizes: dict[str, list[int]] = defaultdict(list)
    for item in found:
        sizes[item.why].append(item.info.size_bytes)
    return [f"{len(each)} blobs, {sum(each) / 1e6:.1f} MB: {why}" for why, each in sorted(sizes.items())]


def apply(found: tidy.Tidy) -> int:
    """Removes what was found, each in the version that was listed; the records only when all else is gone.

    Raises StorageError.
    """
    removed = 0
    for group in (found.first, found.records):
        outcome = Crew().each(Leftover.remove, group)
        removed += sum(outcome.results)
        if outcome.failed:
            raise outcome.failed[0][1]
    return removed
