"""`scenejobs cancel SCENE`: stops a scene, and keeps it from starting."""

from __future__ import annotations

import shlex

import click

from scenejobs.commands.shell.command import Answer, Shell
from scenejobs.commands.shell.command import command as made
from scenejobs.commands.storage import check_scene
from scenejobs.state import cancelling


@made(
    "cancel", "stop a scene that runs or waits; its uploads stay",
    click.argument("scene"),
    section="Decide about a scene",
    more="A run stops within seconds and costs no attempt; what it has achieved is kept for a week. Nothing starts "
    "before scenejobs retry, or a new upload. A result that is final already stays.",
)  # fmt: skip
def command(shell: Shell, scene: str) -> Answer:
    """Raises InputError where nothing waits or runs, or the outcome is decided, and the errors of storage."""
    check_scene(scene)
    storage, dispatch = shell.open()
    done = cancelling.cancel(storage.containers, scene, dispatch.prefix_depth)
    stops = "it stops within seconds" if done.stopping else "nothing runs"
    shell.say(f"{scene}: cancelled, {stops}; {done.uploads} uploads stay in {storage.containers.input.name}")
    shell.say(f"next: scenejobs retry {shlex.quote(scene)}, a new upload, or scenejobs delete {shlex.quote(scene)} "
              "--all-generations")  # fmt: skip
    return Answer({"scene": scene, "uploads": done.uploads, "stopping": done.stopping})
