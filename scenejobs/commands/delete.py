"""`scenejobs delete SCENE`: removes the published result, its previews and caches. The archived inputs stay.

With `--all-generations` uploads, archives, reasons and saved work go too, and the record stays as a tombstone.
First the record says it, then the files go: no sweep makes the scene again, and the audit knows that nothing is lost.
Cut off anywhere, the same command goes on; `scenejobs retry` makes the scene again from its archive, if it is left.
"""

from __future__ import annotations

import shlex
import sys

import click

from scenejobs.commands.shell.command import Answer, Shell
from scenejobs.commands.shell.command import command as made
from scenejobs.commands.storage import check_scene
from scenejobs.errors import Code, ConfigurationError
from scenejobs.state.removal import deletion, erasure


@made(
    "delete", "remove the published result of a scene",
    click.argument("scene"),
    click.option("--all-generations", is_flag=True, help="Uploads, archives, reasons and saved work too."),
    click.option("--yes", is_flag=True, help="Do not ask."),
    section="Decide about a scene",
    more="Previews and caches go too. The archived uploads stay, and scenejobs retry makes the scene again from them; "
    "with --all-generations nothing is left but a record that says so. A scene that runs is cancelled first.",
)  # fmt: skip
def command(shell: Shell, scene: str, all_generations: bool, yes: bool) -> Answer:
    """Raises InputError where there is nothing to remove or somebody works on it, and the errors of storage."""
    check_scene(scene)
    storage, dispatch = shell.open()
    containers, depth = storage.containers, dispatch.prefix_depth
    if all_generations:
        erasure.check_known(containers, scene, depth)
    if not yes:
        if shell.json or not sys.stdin.isatty():
            raise ConfigurationError(
                "nobody can be asked here", code=Code.INVALID_SETTING,
                advice=f"scenejobs delete {scene}{' --all-generations' if all_generations else ''} --yes",
            )  # fmt: skip
        what = "all uploads, results and archives" if all_generations else "the published result"
        click.confirm(f"Remove {what} of {scene}?", abort=True, err=True)
    if all_generations:
        removed = erasure.erase(containers, scene, depth)
        shell.say(f"{scene}: {removed} files removed; nothing is left but a record that says so")
        return Answer({"scene": scene, "removed": removed, "all_generations": True})
    removed = deletion.delete(containers, scene, depth)
    shell.say(f"{scene}: {removed} files removed; scenejobs retry {shlex.quote(scene)} makes it again from its archive")
    return Answer({"scene": scene, "removed": removed, "all_generations": False})
