"""`scenejobs delete SCENE`: removes the published result, its previews and caches. The archived inputs stay.

First the record says it, then the files go: no sweep makes the scene again, and the audit knows that nothing is lost.
Cut off anywhere, the same command goes on; `scenejobs retry` makes the scene again from its archive.
"""

from __future__ import annotations

import shlex
import sys

import click

from scenejobs.commands.shell.command import Answer, Shell
from scenejobs.commands.shell.command import command as made
from scenejobs.commands.storage import check_scene
from scenejobs.errors import Code, ConfigurationError
from scenejobs.state import deletion


@made(
    "delete", "remove the published result of a scene",
    click.argument("scene"), click.option("--yes", is_flag=True, help="Do not ask."),
    section="Decide about a scene",
    more="Previews and caches go too. The archived uploads stay, and scenejobs retry makes the scene again from them.",
)  # fmt: skip
def command(shell: Shell, scene: str, yes: bool) -> Answer:
    """Raises InputError where there is nothing to remove or somebody works on it, and the errors of storage."""
    check_scene(scene)
    storage, dispatch = shell.open()
    if not yes:
        if shell.json or not sys.stdin.isatty():
            raise ConfigurationError(
                "nobody can be asked here", code=Code.INVALID_SETTING, advice=f"scenejobs delete {scene} --yes"
            )
        click.confirm(f"Remove the published result of {scene}?", abort=True, err=True)
    removed = deletion.delete(storage.containers, scene, dispatch.prefix_depth)
    shell.say(f"{scene}: {removed} files removed; scenejobs retry {shlex.quote(scene)} makes it again from its archive")
    return Answer({"scene": scene, "removed": removed})
