"""`scenejobs list`: all scenes, one short line each."""

from __future__ import annotations

from typing import Any

from scenejobs.commands.shell.command import Answer, Shell
from scenejobs.commands.shell.command import command as made
from scenejobs.parallel import Crew
from scenejobs.stages import in_words
from scenejobs.state.overview import seen
from scenejobs.state.overview.scenes import known_scenes
from scenejobs.state.overview.status import SceneStatus, State, scene_status


@made(
    "list", "all scenes with their states",
    section="Scenes", more="One line each: the scene, its state, and since when. `scenejobs status SCENE` tells more.",
)  # fmt: skip
def command(shell: Shell) -> Answer:
    """Raises ConfigurationError, and the errors of storage."""
    storage, dispatch = shell.open()
    containers, depth = seen.look(storage.containers, seen.Kept()), dispatch.prefix_depth
    scenes = [entry.scene for entry in known_scenes(containers, depth)]
    outcome = Crew().each(lambda scene: scene_status(containers, scene, depth), scenes)
    if outcome.failed:
        raise outcome.failed[0][1]
    found = sorted(outcome.results, key=lambda each: each.scene)
    width = max((len(each.scene) for each in found), default=0)
    for each in found:
        since = f"{each.since:%Y-%m-%d %H:%M}" if each.since else ""
        shell.say(f"{each.scene:<{width}}  {_state(each):<14}  {since}".rstrip())
    if not found:
        shell.say(f"no scenes in {containers.input.name} yet: scenejobs upload SCENE FILE...")
    return Answer({"scenes": [_document(each) for each in found]})


def _state(status: SceneStatus) -> str:
    if status.state is State.RUNNING:
        return f"running {status.fraction:.0%}"
    return "done, doubtful" if status.doubtful else str(status.state)


def _document(status: SceneStatus) -> dict[str, Any]:
    return {
        "scene": status.scene, "state": str(status.state), "since": status.since.isoformat() if status.since else None,
        "fraction": status.fraction, "stage": in_words(status.stage), "doubtful": status.doubtful,
    }  # fmt: skip
