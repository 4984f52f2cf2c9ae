"""`python -m scenejobs redrive SCENE [--apply]`: shows what a redrive of dead-lettered inputs would do, or does it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping

from scenejobs.commands.storage import open_from
from scenejobs.errors import ConfigurationError, InputError
from scenejobs.logs.setup import printable
from scenejobs.ports import Containers, Queues
from scenejobs.state import redrive


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = commands.add_parser("redrive", help="bring the inputs of a failed scene back; only tells without --apply")
    command.add_argument("scene", nargs="?")
    command.add_argument("--apply", action="store_true", help="do it")
    command.add_argument("--all", action="store_true", help="every scene that ended in the error container")
    command.add_argument("--code", default="", help="with --all: only those that ended with this code, as DISK_FULL")
    command.add_argument("--generation", type=int, default=0, help="another one than the last that ended")
    command.add_argument("--replace", action="store_true", help="overwrite newer uploads of the same names")
    command.set_defaults(run=run)


def run(options: argparse.Namespace, env: Mapping[str, str]) -> int:
    """Raises ConfigurationError, and the errors of storage."""
    storage = open_from(env)[0]
    return redrive_scenes(options, storage.containers, storage.queues)


def redrive_scenes(options: argparse.Namespace, containers: Containers, queues: Queues) -> int:
    """0: every scene was redriven, or could be. 1: some were refused; the others were redriven."""
    if bool(options.scene) == options.all or (options.code and not options.all):
        raise ConfigurationError(
            "name one scene, or --all", advice="python -m scenejobs redrive SCENE, or --all [--code CODE]"
        )
    scenes = redrive.dead_lettered(containers, options.code) if options.all else [options.scene]
    refused = 0
    for scene in scenes:
        try:
            plan = redrive.plan(containers, scene, generation=options.generation, replacing=options.replace)
            print(printable(described(plan)))
            if options.apply:
                done = redrive.carry_out(containers, queues, plan)
                remaining = sum(item.superseded for item in done.inputs)
                print(printable(f"{scene}: brought back" + (f", {remaining} left in error" if remaining else "")))
        except InputError as exc:
            print(printable(f"{scene}: not brought back: {exc}"), file=sys.stderr)
            refused += 1
    if not options.apply:
        print(f"{len(scenes) - refused} of {len(scenes)} scenes could be brought back; --apply does it")
    return 1 if refused else 0


def described(plan: redrive.Plan) -> str:
    found = plan.redrive
    size_mb = sum(item.size_bytes for item in found.inputs) / 1e6
    text = f"{found.scene}: {len(found.inputs)} inputs ({size_mb:.1f} MB) of generation {found.generation}"
    text += f", which ended with {found.reason}" if found.reason else ""
    text += ", was begun before" if plan.is_begun else ""
    text += f", overwrites {', '.join(plan.replaces)}" if plan.replaces else ""
    return text + (f", without {', '.join(plan.stays)} (no longer there)" if plan.stays else "")
