"""`scenejobs tidy [--apply]`: what nobody can need any more, and with `--apply` its removal.

Runs and sweeps remove most of it by themselves. Archived uploads and dead letters are never touched, and results where
OUTPUT_RETENTION_DAYS is set.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import timedelta

from scenejobs.commands.storage import open_from
from scenejobs.logs.setup import printable
from scenejobs.parallel import Crew
from scenejobs.ports import Containers
from scenejobs.settings.groups import DispatchSettings
from scenejobs.settings.reader import MOST_DAYS
from scenejobs.state import expiry
from scenejobs.state.overview import tidy
from scenejobs.state.overview.leftovers import Leftover


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = commands.add_parser("tidy", help="show what nobody can need any more, or remove it")
    command.add_argument("--apply", action="store_true", help="really remove it")
    command.add_argument("--each", action="store_true", help="name every blob")
    command.add_argument(
        "--gone-days", type=_days, default=90.0, metavar="DAYS",
        help="also what is known of scenes that left no file anywhere and have not changed for so long; 0: keep it",
    )  # fmt: skip
    command.set_defaults(run=run)


def _days(text: str) -> float:
    with suppress(ValueError):
        if 0 <= (days := float(text)) <= MOST_DAYS:
            return days
    raise argparse.ArgumentTypeError(f"use 0 to {MOST_DAYS:.0f}")


def run(options: argparse.Namespace, env: Mapping[str, str]) -> int:
    """Raises ConfigurationError, and the errors of storage."""
    storage, dispatch = open_from(env)
    return tidied(options, storage.containers, dispatch)


def tidied(options: argparse.Namespace, containers: Containers, dispatch: DispatchSettings) -> int:
    """The exit code. Raises StorageError."""
    now = containers.state.now()
    depth, before = dispatch.prefix_depth, now - timedelta(days=dispatch.output_days)
    found = tidy.find(containers, depth, dispatch.cache_days, options.gone_days, now)
    if options.each:
        for item in found.all:
            print(printable(item.line()))
    old = sorted(expiry.old_results(containers, depth, before)) if dispatch.output_days else []
    if options.each:
        for scene in old:
            print(f"output/{printable(scene)}: its result is older than OUTPUT_RETENTION_DAYS")
    for line in told(found.all):
        print(line)
    if old:
        print(f"{len(old)} scenes: their results are older than OUTPUT_RETENTION_DAYS={dispatch.output_days:g}")
    if not options.apply:
        print("nothing was removed; --apply does" if found.all or old else "there is nothing to remove")
        return 0
    print(f"{apply(found)} blobs removed")
    if old:
        print("results of {} scenes removed, {} files".format(*expiry.expire(containers, depth, before)))
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
