"""`scenejobs retry SCENE`: runs a scene again. A failed one gets its inputs back, a finished one is remade.

`redrive` is its older name, which only tells what would happen unless `--apply` is given.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import click

from scenejobs.commands.shell.command import Answer, Shell
from scenejobs.commands.shell.command import command as made
from scenejobs.errors import Code, ConfigurationError, InputError
from scenejobs.ports import Containers, Queues
from scenejobs.state import redrive, rerun, wishes


@dataclass(frozen=True)
class Options:
    """What the commands ask for. scene or all_scenes: one of them."""

    scene: str = ""
    all_scenes: bool = False
    code: str = ""  # with all_scenes: only those that ended with it
    generation: int = 0  # another one than the last that ended
    replace: bool = False  # overwrite newer uploads of the same names
    with_what_is_there: bool = False
    apply: bool = True


PARAMETERS = (
    click.argument("scene", required=False, default=""),
    click.option("--all", "all_scenes", is_flag=True, help="Every scene that ended in the error container."),
    click.option(
        "--code", default="", metavar="CODE",
        help="With --all: only those that ended with this code, as DISK_FULL (POSES_SUSPECT: finished, in doubt).",
    ),
    click.option("--generation", type=int, default=0, metavar="N", help="Another one than the last that ended."),
    click.option("--replace", is_flag=True, help="Overwrite newer uploads of the same names."),
    click.option(
        "--with-what-is-there", is_flag=True, help="Also where archived files of the published result are gone."
    ),
)  # fmt: skip
APPLY = click.option("--apply", is_flag=True, help="Do it.")


@made(
    "retry", "run a scene again: a cancelled or failed one with its uploads, a finished one anew",
    *PARAMETERS,
    click.option("--dry-run", is_flag=True, help="Only tell what would happen."),
    click.option("--apply", is_flag=True, help="Do it (the default)."),
    section="Decide about a scene",
)  # fmt: skip
def retry(shell: Shell, dry_run: bool, **options: Any) -> Answer:
    """Raises ConfigurationError, and the errors of storage."""
    return redrive_scenes(shell, Options(**{**options, "apply": not dry_run}))


@made("redrive", "the same as retry; only tells without --apply", *PARAMETERS, APPLY, section="Decide about a scene")
def command(shell: Shell, **options: Any) -> Answer:
    """Raises ConfigurationError, and the errors of storage."""
    return redrive_scenes(shell, Options(**options))


def redrive_scenes(shell: Shell, options: Options) -> Answer:
    """0: every scene runs again, or could. 1: some were refused; the others run."""
    if bool(options.scene) == options.all_scenes or (options.code and not options.all_scenes):
        raise ConfigurationError("name one scene, or --all", advice="scenejobs retry SCENE, or --all [--code CODE]")
    storage, dispatch = shell.open()
    containers, queues = storage.containers, storage.queues
    scenes = redrive.dead_lettered(containers, options.code) if options.all_scenes else [options.scene]
    refused: dict[str, str] = {}
    for scene in scenes:
        try:
            for line in _bring_back(options, containers, queues, scene, dispatch.prefix_depth):
                shell.say(line)
        except InputError as exc:
            shell.warn(f"{scene}: not run again: {exc}")
            refused[scene] = str(exc)
    taken = [scene for scene in scenes if scene not in refused]
    if not options.apply:
        shell.say(f"{len(taken)} of {len(scenes)} scenes could be run again; --apply does it")
    elif options.all_scenes and not scenes:
        shell.say("no scene has ended in the error container" + (f" with {options.code}" if options.code else ""))
    document = {"applied": options.apply, "scenes": taken, "refused": refused}
    return Answer(document, 1 if refused else 0)


def _bring_back(options: Options, containers: Containers, queues: Queues, scene: str, depth: int) -> list[str]:
    """One scene: what waits where it is cancelled, its failed inputs, or everything it has. Returns what to print."""
    failed_alone = bool(options.generation) or (options.all_scenes and options.code != Code.POSES_SUSPECT)
    found = rerun.plan(
        containers, scene, generation=options.generation, replacing=options.replace,
        with_what_is_there=options.with_what_is_there, failed_alone=failed_alone, depth=depth,
    )  # fmt: skip
    text = [described_again(found) if isinstance(found, wishes.AgainPlan) else described(found)]
    if not options.apply:
        return text
    done = rerun.carry_out(containers, queues, found, with_what_is_there=options.with_what_is_there)
    if done is not None:
        remaining = sum(item.superseded for item in done.inputs)
        text.append(f"{scene}: brought back" + (f", {remaining} left in error" if remaining else ""))
    return text


def described_again(plan: wishes.AgainPlan) -> str:
    if plan.cancelled:
        return f"{plan.scene}: cancelled no more: it goes on with {len(plan.files)} uploads"
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
