"""First looks: `state/previews/<key>/<run>/`, what a scene looks like after a tenth of its training. One per scene.

Beside the work, and for people alone: never in `output`, and no reader takes one for a result. One goes when its run
ends in any way. Where a runner was killed, the next attempt removes it, or a sweep.
"""

from __future__ import annotations

from contextlib import suppress

from scenejobs.errors import NotFound
from scenejobs.names import PREVIEW_FILES
from scenejobs.ports import BlobInfo, BlobStore
from scenejobs.state.layout import preview_folder


def of_run(state: BlobStore, scene: str, run: str) -> dict[str, str]:
    """Blob names by file name; empty where there is none, or not all of it yet. Raises StorageError."""
    folder = preview_folder(scene, run)
    found = {info.name.removeprefix(folder): info.name for info in state.list(folder)}
    return found if PREVIEW_FILES[-1] in found else {}


def remove(state: BlobStore, scene: str, run: str = "") -> int:
    """Of one run, or of all runs of a scene; returns how many blobs. What tells of one goes first.

    Raises StorageError.
    """
    removed = 0
    for info in sorted(state.list(preview_folder(scene, run)), key=_marker_first):
        with suppress(NotFound):
            state.delete(info.name)
            removed += 1
    return removed


def _marker_first(info: BlobInfo) -> bool:
    return not info.name.endswith(PREVIEW_FILES[-1])
