"""`scenejobs retry SCENE`: runs a scene again. A failed one gets its inputs back, a finished one is remade.

`redrive` is its older name, which only tells what would happen unless `--apply` is given.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping

from scenejobs.commands.storage import open_from
from scenejobs.errors import Code, ConfigurationError, InputError
from scenejobs.logs.setup import printable
from scenejobs.ports import Containers, Queues
from scenejobs.state import redrive, wishes
from scenejobs.state.record import Wish


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    retry = commands.add_parser("retry", help="run a scene again: a failed one with its inputs, a finished one anew")
    _add_options(retry)
    retry.add_argument("--dry-run", action="store_false", dest="apply", help="only tell what would happen")
    retry.add_argument("--apply", action="store_true", help="do it (the default)")
    retry.set_defaults(run=run, apply=True)
    command = commands.add_parser("redrive", help="the same; only tells without --apply")
    _add_options(command)
    command.add_argument("--apply", action="store_true", help="do it")
    command.set_defaults(run=run)


def _add_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("scene", nargs="?")
    command.add_argument("--all", action="store_true", help="every scene that ended in the error container")
    command.add_argument(
        "--code",
        default="",
        help="with --all: only those that ended with this code, as DISK_FULL (POSES_SUSPECT: finished, in doubt)",
    )
    command.add_argument("--generation", type=int, default=0, help="another one than the last that ended")
    command.add_argument("--replace", action="store_true", help="overwrite newer uploads of the same names")
    command.add_argument(
        "--with-what-is-there", action="store_true", help="also where archived files of the published result are gone"
    )


def run(options: argparse.Namespace, env: Mapping[str, str]) -> int:
    """Raises ConfigurationError, and the errors of storage."""
    storage = open_from(env)[0]
    return redrive_scenes(options, storage.containers, storage.queues)


def redrive_scenes(options: argparse.Namespace, containers: Containers, queues: Queues) -> int:
    """0: every scene runs again, or could. 1: some were refused; the others run."""
    if bool(options.scene) == options.all or (options.code and not options.all):
        raise ConfigurationError("name one scene, or --all", advice="scenejobs retry SCENE, or --all [--code CODE]")
    scenes = redrive.dead_lettered(containers, options.code) if options.all else [options.scene]
    refused = 0
    for scene in scenes:
        try:
            print(printable(_bring_back(options, containers, queues, scene)))
        except InputError as exc:
            print(printable(f"{scene}: not run again: {exc}"), file=sys.stderr)
            refused += 1
    if not options.apply:
        print(f"{len(scenes) - refused} of {len(scenes)} scenes could be run again; --apply does it")
    return 1 if refused else 0


def _bring_back(options: argparse.Namespace, containers: Containers, queues: Queues, scene: str) -> str:
    """One scene: its failed inputs, or where there are none, everything it has once more. Returns what to print."""
    anyway = options.with_what_is_there
    try:
        plan = redrive.plan(containers, scene, generation=options.generation, replacing=options.replace)
    except InputError as exc:
        suspect = options.code == Code.POSES_SUSPECT
        if options.generation or (options.all and not suspect) or not _has_nothing_to_bring_back(exc):
            raise
        again = wishes.plan_again(containers, scene, with_what_is_there=anyway)
        if options.apply:
            wishes.again(containers, queues, scene, with_what_is_there=anyway)
        return described_again(again)
    text = described(plan)
    if options.apply:
        wish = Wish("retry", containers.state.now(), with_what_is_there=True) if anyway else None
        done = redrive.carry_out(containers, queues, plan, wish=wish)
        remaining = sum(item.superseded for item in done.inputs)
        text += f"\n{scene}: brought back" + (f", {remaining} left in error" if remaining else "")
    return text


def _has_nothing_to_bring_back(error: InputError) -> bool:
    return isinstance(error, redrive.NothingToBringBack) or error.code is Code.INPUT_GONE


def described_again(plan: wishes.AgainPlan) -> str:
    text = f"{plan.scene}: made again of {len(plan.files)} archived files"
    return text + (f", without {', '.join(plan.gone)} (no longer there)" if plan.gone else "")


def described(plan: redrive.Plan) -> str:
    found = plan.redrive
    size_mb = sum(item.size_bytes for item in found.inputs) / 1e6
    text = f"{found.scene}: {len(found.inputs)} inputs ({size_mb:.1f} MB) of generation {found.generation}"
    text += f", which ended with {found.reason}" if found.reason else ""
    text += ", was begun before" if plan.is_begun else ""
    text += f", overwrites {', '.join(plan.replaces)}" if plan.replaces else ""
    return text + (f", without {', '.join(plan.stays)} (no longer there)" if plan.stays else "")
