"""`scenejobs status`: the state of scenes, once or until they end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from scenejobs.ports import BlobStore, Containers
from scenejobs.state import layout
from scenejobs.state.status import SceneStatus, State, scene_status
from scenejobs.state.uploads import sort_uploads

ENDED = (State.DONE, State.FAILED)


def known_scenes(containers: Containers, depth: int) -> list[str]:
    """Scenes with uploads, results or failures."""
    uploads = sort_uploads(containers.input.list(), depth).scenes
    return sorted({*uploads, *_folders(containers.output, depth), *_folders(containers.error, depth)})


def _folders(store: BlobStore, depth: int) -> Iterator[str]:
    for blob in store.list():
        folder, _, file = blob.name.rpartition("/")
        if file in (layout.MANIFEST, layout.ERROR_DOCUMENT) and folder.count("/") < depth:
            yield folder


def watch(
    containers: Containers,
    scene: str,
    depth: int,
    *,
    show: Callable[[SceneStatus], None],
    poll_s: float = 1.0,
    pause: Callable[[float], None] = time.sleep,
) -> SceneStatus:
    """Calls `show` whenever something changed, until the scene ended; returns how."""
    last: SceneStatus | None = None
    while True:
        status = scene_status(containers, scene, depth)
        if status != last:
            show(status)
            last = status
        if status.state in ENDED:
            return status
        pause(poll_s)
