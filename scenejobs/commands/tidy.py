"""`scenejobs tidy [--apply]`: what nobody can need any more, and with `--apply` its removal.

Runs and sweeps remove most of it by themselves. Archived uploads and dead letters are never touched, and results where
OUTPUT_RETENTION_DAYS is set.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import click

from scenejobs.commands.shell.command import Answer, Shell
from scenejobs.commands.shell.command import command as made
from scenejobs.parallel import Crew
from scenejobs.settings.reader import MOST_DAYS
from scenejobs.state.overview import tidy
from scenejobs.state.overview.leftovers import Leftover
from scenejobs.state.removal import expiry


@made(
    "tidy", "show what nobody can need any more, or remove it",
    click.option("--apply", is_flag=True, help="Really remove it."),
    click.option("--each", is_flag=True, help="Name every blob."),
    click.option(
        "--gone-days", type=click.FloatRange(0, MOST_DAYS), default=90.0, metavar="DAYS", show_default="90",
        help="Also what is known of scenes that left no file anywhere and have not changed for so long; 0: keep it.",
    ),
    section="For operators",
)  # fmt: skip
def command(shell: Shell, apply: bool, each: bool, gone_days: float) -> Answer:
    """Raises ConfigurationError, and the errors of storage."""
    storage, dispatch = shell.open()
    containers, now = storage.containers, storage.containers.state.now()
    depth, before = dispatch.prefix_depth, now - timedelta(days=dispatch.output_days)
    found = tidy.find(containers, depth, dispatch.cache_days, gone_days, now)
    old = sorted(expiry.old_results(containers, depth, before)) if dispatch.output_days else []
    if each:
        for item in found.all:
            shell.say(item.line())
        for scene in old:
            shell.say(f"output/{scene}: its result is older than OUTPUT_RETENTION_DAYS")
    lines = told(found.all)
    for line in lines:
        shell.say(line)
    if old:
        shell.say(f"{len(old)} scenes: their results are older than OUTPUT_RETENTION_DAYS={dispatch.output_days:g}")
    document: dict[str, Any] = {"found": lines, "blobs": [item.line() for item in found.all], "old_results": old}
    if not apply:
        shell.say("nothing was removed; --apply does" if found.all or old else "there is nothing to remove")
        return Answer({**document, "removed": 0})
    removed = remove(found)
    shell.say(f"{removed} blobs removed")
    if old:
        scenes, files = expiry.expire(containers, depth, before)
        removed += files
        shell.say(f"results of {scenes} scenes removed, {files} files")
    return Answer({**document, "removed": removed})


def told(found: Iterable[Leftover]) -> list[str]:
    """One line for each reason."""
    sizes: dict[str, list[int]] = defaultdict(list)
    for item in found:
        sizes[item.why].append(item.info.size_bytes)
    return [f"{len(each)} blobs, {sum(each) / 1e6:.1f} MB: {why}" for why, each in sorted(sizes.items())]


def remove(found: tidy.Tidy) -> int:
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
