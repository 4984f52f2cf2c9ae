"""`scenejobs status [SCENE] [--wait]`: the state of scenes, once or until one ends."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Mapping

from scenejobs.commands.storage import check_scene, open_from
from scenejobs.errors import ConfigurationError
from scenejobs.logs.setup import printable
from scenejobs.ports import BlobStore, Containers
from scenejobs.settings.groups import DispatchSettings
from scenejobs.state import layout
from scenejobs.state.control_names import stored_scene
from scenejobs.state.incoming.refused import refused_uploads
from scenejobs.state.incoming.uploads import sort_uploads
from scenejobs.state.overview.status import SceneStatus, State, scene_status

ENDED = (State.DONE, State.FAILED)


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = commands.add_parser("status", help="where the scenes stand")
    command.add_argument("scene", nargs="?")
    command.add_argument("--wait", action="store_true", help="until the scene is done or failed")
    command.set_defaults(run=run)


def run(options: argparse.Namespace, env: Mapping[str, str]) -> int:
    """0; 1 when a scene that is shown failed, is blocked or unknown.

    Raises InputError, ConfigurationError, StorageError.
    """
    storage, dispatch = open_from(env)
    containers, depth = storage.containers, dispatch.prefix_depth
    if options.wait and not options.scene:
        raise ConfigurationError("--wait needs a scene", advice="scenejobs status SCENE --wait")
    if options.scene:
        check_scene(options.scene)
    if options.wait:
        ended = watch(
            containers,
            options.scene,
            depth,
            show=lambda status: print(printable(status.line()), flush=True),
            settings=dispatch,
        )
        return 0 if ended.state is State.DONE else 1
    scenes = [options.scene] if options.scene else known_scenes(containers, depth)
    statuses = [scene_status(containers, scene, depth, dispatch) for scene in scenes]
    for status in statuses:
        print(printable(status.line()))
    if not options.scene:
        for item in refused_uploads(containers, depth):
            print(item.line())
    return 1 if any(status.state in (State.FAILED, State.BLOCKED, State.UNKNOWN) for status in statuses) else 0


def known_scenes(containers: Containers, depth: int) -> list[str]:
    """Scenes with uploads, such that are being sent among them, results or failures."""
    listing = containers.input.list_all()
    uploads = sort_uploads(listing.blobs, depth, listing.sending)
    return sorted(
        {*uploads.scenes, *uploads.sending, *_folders(containers.output, depth), *_folders(containers.error, depth)}
    )


def _folders(store: BlobStore, depth: int) -> Iterator[str]:
    for blob in store.list():
        folder, _, file = blob.name.rpartition("/")
        if file in (layout.MANIFEST, layout.ERROR_DOCUMENT) and stored_scene(blob.name, depth) == folder:
            yield folder


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
    """Calls `show` whenever the status changes, until the scene is done or failed; returns the last status."""
    last: SceneStatus | None = None
    while True:
        status = scene_status(containers, scene, depth, settings)
        if status != last:
            show(status)
            last = status
        if status.state in ENDED:
            return status
        pause(poll_s)
