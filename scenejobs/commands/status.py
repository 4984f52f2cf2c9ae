"""`scenejobs status [SCENE] [--wait]`: the state of scenes, once or until one ends."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import click

from scenejobs.commands.shell.command import Answer, Shell
from scenejobs.commands.shell.command import command as made
from scenejobs.commands.storage import check_scene
from scenejobs.errors import ConfigurationError
from scenejobs.ports import Containers
from scenejobs.settings.groups import DispatchSettings
from scenejobs.stages import in_words
from scenejobs.state.incoming.refused import refused_uploads
from scenejobs.state.overview import seen, times
from scenejobs.state.overview.scenes import failure_of, known_scenes
from scenejobs.state.overview.status import SceneStatus, State, scene_status

ENDED = (State.DONE, State.FAILED, State.CANCELLED)


@made(
    "status", "where the scenes stand",
    click.argument("scene", required=False, default=""),
    click.option("--wait", is_flag=True, help="Until the scene is done, failed or cancelled."),
    section="Scenes",
)  # fmt: skip
def command(shell: Shell, scene: str, wait: bool) -> Answer:
    """0; 1 when a scene that is shown failed or is blocked, the one that was asked for is unknown, or one that was
    waited for is cancelled.

    Raises InputError, ConfigurationError, StorageError.
    """
    storage, dispatch = shell.open()
    containers, depth = storage.containers, dispatch.prefix_depth
    if wait and not scene:
        raise ConfigurationError("--wait needs a scene", advice="scenejobs status SCENE --wait")
    if scene:
        check_scene(scene)
    if wait:
        document, code = wait_for(shell, containers, scene, dispatch)
        return Answer(document, code)
    if not scene:
        containers = seen.look(containers, seen.Kept())
    scenes = [scene] if scene else [entry.scene for entry in known_scenes(containers, depth)]
    statuses = [scene_status(containers, name, depth, dispatch) for name in scenes]
    if scene:
        statuses = [times.timed(found, containers.state) for found in statuses]
    documents = [told(containers, found) for found in statuses]
    for found, document in zip(statuses, documents, strict=True):
        shell.say(found.line())
        for line in _why(document) if scene else ():
            shell.say(line)
    refused = [] if scene else [item.line() for item in refused_uploads(containers, depth)]
    for line in refused:
        shell.say(line)
    if not (statuses or refused):
        shell.say(f"no scenes in {containers.input.name} yet: scenejobs upload SCENE FILE...")
    wrong = (State.FAILED, State.BLOCKED, *([State.UNKNOWN] if scene else []))
    failed = any(found.state in wrong for found in statuses)
    return Answer(documents[0] if scene else {"scenes": documents, "refused": refused}, int(failed))


def wait_for(
    shell: Shell, containers: Containers, scene: str, settings: DispatchSettings
) -> tuple[dict[str, Any], int]:
    """Shows each change until the scene has ended; then what it ended with, and the exit code."""
    ended = watch(
        containers, scene, settings.prefix_depth, show=lambda found: shell.say(found.line()), settings=settings
    )
    ended = times.timed(ended, containers.state)
    document = told(containers, ended)
    if ended.state is State.DONE:
        shell.say(f"next: scenejobs open {shlex.quote(scene)}, or scenejobs download {shlex.quote(scene)}")
    else:
        for line in _why(document):
            shell.say(line)
    return document, 0 if ended.state is State.DONE else 1


def told(containers: Containers, status: SceneStatus) -> dict[str, Any]:
    """For a program; of a failure with its code and advice."""
    document = {**asdict(status), "stage": in_words(status.stage), "line": status.line()}
    if status.state is State.FAILED and (failure := failure_of(containers.state, status.scene)):
        document["failure"] = failure.to_json()
    return document


def _why(document: Mapping[str, Any]) -> list[str]:
    """What a person does about a failed scene."""
    failure, scene = document.get("failure"), shlex.quote(str(document["scene"]))
    if not failure:
        return []
    return [
        f"  code {failure['code']}, in {in_words(failure['stage'])}; the files lie in the error container",
        f"  next: scenejobs logs {scene}; upload better files, or scenejobs retry {scene}",
    ]


def watch(
    containers: Containers,
    scene: str,
    depth: int,
    *,
    show: Callable[[SceneStatus], None],
    settings: DispatchSettings | None = None,
    poll_s: float = 1.0,
    pause: Callable[[float], None] = time.sleep,
) -> SceneStatus:
    """Calls `show` whenever the status changes, until the scene has ended or is cancelled; returns the last status."""
    last: SceneStatus | None = None
    while True:
        status = scene_status(containers, scene, depth, settings)
        if status != last:
            show(status)
            last = status
        if status.state in ENDED:
            return status
        pause(poll_s)
