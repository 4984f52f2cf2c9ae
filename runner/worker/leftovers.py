"""What a scene's own runner clears away, so that nothing of it grows with its history. All of it is best effort: what
fails here, or is left by a runner that was killed, a sweep or `scenejobs tidy` finds.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress

from scenejobs.errors import Conflict, NotFound, StorageError
from scenejobs.ports import BlobInfo, BlobStore
from scenejobs.state import cancelling
from scenejobs.state.incoming import batches
from scenejobs.state.layout import progress_name, run_folder
from scenejobs.state.record import SceneRecord

log = logging.getLogger(__name__)


def remove_run(output: BlobStore, record: SceneRecord, check: Callable[[], None]) -> None:
    """Removes what the last attempt of a generation uploaded that nobody committed. `record`: before the next attempt,
    or given up. Only after a write of the record that came later: no other can commit that attempt now.
    """
    if not record.run or not (record.attempts or record.preemptions or record.failures):
        return
    try:
        for info in list(output.list(run_folder(record.scene, record.run))):
            check()
            with suppress(NotFound, Conflict):
                output.delete(info.name, if_match=info.etag)
    except StorageError as exc:
        log.warning("what run %s of scene %s uploaded is left: %s", record.run, record.scene, exc)


def remove_progress(state: BlobStore, scene: str) -> None:
    """Of a generation that has ended."""
    try:
        with suppress(NotFound):
            state.delete(progress_name(scene))
    except StorageError as exc:
        log.warning("the progress of scene %s is left: %s", scene, exc)


def forget_note(state: BlobStore, scene: str, present: Sequence[BlobInfo]) -> None:
    """Of a generation that has ended: who called its scene off came too late. One that covers all of the uploads that
    lie there now, for the next run, stays.
    """
    try:
        noted = cancelling.load(state, scene)
        if noted is not None and not (present and noted.note.covers(present)):
            cancelling.remove(state, noted)
    except StorageError as exc:
        log.warning("the note that scene %s is cancelled is left for a sweep: %s", scene, exc)


def remove_spent_batches(state: BlobStore, scene: str, uploads: Callable[[], Sequence[BlobInfo]]) -> Sequence[BlobInfo]:
    """Removes the batches whose uploads are gone; returns the uploads that lie there."""
    try:
        found = batches.listed(state, scene)  # before the uploads: what these do not show has left
    except StorageError as exc:
        log.warning("the batches of scene %s are left: %s", scene, exc)
        return uploads()
    present = uploads()
    try:
        batches.remove_spent(state, found, present)
    except StorageError as exc:
        log.warning("the batches of scene %s are left: %s", scene, exc)
    return present
