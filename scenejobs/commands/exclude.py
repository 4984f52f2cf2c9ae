"""`scenejobs exclude SCENE NAME`: makes a scene anew without one of its files."""

from __future__ import annotations

import click

from scenejobs.commands.shell.command import Answer, Shell
from scenejobs.commands.shell.command import command as made
from scenejobs.state import wishes


@made(
    "exclude", "take a file out of a scene, and make the scene anew without it",
    click.argument("scene"), click.argument("name"),
    section="Decide about a scene",
    more="NAME is that of the file in the scene's folder: view2.mp4, cam1/a.mp4.",
)  # fmt: skip
def command(shell: Shell, scene: str, name: str) -> Answer:
    """Raises InputError, ConfigurationError, and the errors of storage."""
    storage = shell.open()[0]
    left = wishes.exclude(storage.containers, storage.queues, scene, name)
    shell.say(f"{scene}: made again without {name}, of {', '.join(left)}")
    return Answer({"scene": scene, "without": name, "files": list(left)})
