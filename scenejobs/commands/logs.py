"""`scenejobs logs SCENE [--follow]`: the log of the last run, and of a run that goes on how far it is."""

from __future__ import annotations

import time
from collections.abc import Callable

import click

from scenejobs.commands.shell.command import Answer, Shell
from scenejobs.commands.shell.command import command as made
from scenejobs.commands.status import watch
from scenejobs.commands.storage import check_scene
from scenejobs.errors import Code, InputError, NotFound
from scenejobs.ports import BlobStore, Containers
from scenejobs.settings.groups import DispatchSettings
from scenejobs.state import layout, records
from scenejobs.state.overview.status import SceneStatus, State, scene_status
from scenejobs.state.record import Outcome

AT_WORK = (State.RUNNING, State.ARCHIVING)


@made(
    "logs", "the log of a scene's last run",
    click.argument("scene"),
    click.option("--follow", is_flag=True, help="First how far the present run is, until it ends."),
    section="Scenes",
    more="A log is there when its run has ended. Of one that goes on the platform has the lines of the moment: on "
    "Azure `az containerapp job logs show`, else the terminal or the container it runs in.",
)  # fmt: skip
def command(shell: Shell, scene: str, follow: bool) -> Answer:
    """Raises InputError where there is no log, ConfigurationError, and the errors of storage."""
    check_scene(scene)
    storage, dispatch = shell.open()
    containers = storage.containers
    if follow:
        followed(shell, containers, scene, dispatch)
    where, text = last_log(containers, scene)
    for line in text.splitlines():
        shell.say(line)
    return Answer({"scene": scene, "log": where, "lines": text.splitlines()})


def followed(
    shell: Shell, containers: Containers, scene: str, settings: DispatchSettings,
    pause: Callable[[float], None] = time.sleep,
) -> None:  # fmt: skip
    """Shows each change of a scene that is worked on, or waits to be, until it has ended."""

    def show(found: SceneStatus) -> None:
        shell.say(found.line())

    if scene_status(containers, scene, settings.prefix_depth, settings).state is not State.UNKNOWN:
        watch(containers, scene, settings.prefix_depth, show=show, settings=settings, pause=pause)


def last_log(containers: Containers, scene: str) -> tuple[str, str]:
    """Where the log of the last run that ended lies, and its text. Raises InputError where there is none."""
    stored = records.load(containers.state, scene)
    ending = stored.record.ending if stored else None
    if stored is None or ending is None:
        at_work = stored is not None and scene_status(containers, scene).state in AT_WORK
        advice = f"wait for its end: scenejobs logs {scene} --follow" if at_work else f"see: scenejobs status {scene}"
        raise InputError(f"no run of scene {scene} has ended, so there is no log", code=Code.NO_SCENE, advice=advice)
    places: list[tuple[BlobStore, str]]
    if ending.outcome is Outcome.SUCCEEDED:
        places = [(containers.output, layout.run_folder(scene, ending.run) + layout.RUN_LOG)]
    else:
        names = layout.document_names(scene, ending.generation, layout.RUN_LOG)
        places = [(containers.error, name) for name in names]
    for store, name in places:
        try:
            return f"{store.name}/{name}", store.read(name)[0].decode("utf-8", "replace")
        except NotFound:
            continue
    cause = f"the log of the last run of scene {scene} is not there"
    raise InputError(cause, code=Code.NO_SCENE, advice="it was removed, or the run ended before it wrote one")
