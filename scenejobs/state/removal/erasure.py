"""Everything of a scene is deleted because somebody said so: uploads, archives, reasons, results, and what is known.

What is left is the record, as a tombstone (`Expired.everything`): the one exception to "no upload is ever lost", and
the audit knows it. The order makes a crash harmless:

    the record says it, and is held: nobody begins an attempt on half of the uploads
    the uploads that were listed before the record said it; a later one stays, and makes a scene of its own
    the results, the archives, all that the state container knows
    the record is held no more

It may be cut off anywhere: the same call goes on. Soft delete keeps what was removed for its days.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace

from scenejobs.errors import Code, Conflict, InputError, NotFound, StorageError
from scenejobs.names import refusal, scene_key
from scenejobs.ports import BlobInfo, BlobStore, Containers, Lease
from scenejobs.state import records, wishes
from scenejobs.state.incoming.uploads import list_scene
from scenejobs.state.layout import (
    BATCHES,
    DUPLICATES,
    ERROR_DOCUMENT,
    GENERATIONS,
    MANIFEST,
    PARTS,
    PREVIEWS,
    REDRIVES,
    cache_folder,
    cancelled_name,
    notices_name,
    progress_name,
    resume_folder,
    sending_name,
    undeleted_folder,
)
from scenejobs.state.records import Stored
from scenejobs.state.removal.deletion import of_scene

LEASE_S = 60
RENEW_S = 15.0

log = logging.getLogger(__name__)


def erase(containers: Containers, scene: str, depth: int, clock: Callable[[], float] = time.monotonic) -> int:
    """How many blobs were removed. depth: levels of folders that name a scene. Safe to repeat and to interrupt.

    Raises InputError where there is no such scene, or somebody works on it (cancel it first); AccessDenied and
    StorageError where something cannot be removed: the scene stays held, and the same call goes on; LeaseLost.
    """
    state = containers.state
    uploads = list_scene(containers.input, scene, depth)  # before the record: what comes later is not meant
    if uploads:
        records.ensure(state, scene)
    with wishes.holding_idle(state, scene, LEASE_S, held=True) as (stored, lease):
        return _Erasing(containers, scene, depth, lease, clock).run(stored, uploads)


class _Erasing:
    """One call, by the holder of the record's lease."""

    def __init__(
        self, containers: Containers, scene: str, depth: int, lease: Lease, clock: Callable[[], float]
    ) -> None:
        self._containers, self._scene, self._depth = containers, scene, depth
        self._lease, self._clock, self._renewed_at = lease, clock, clock()
        self._kept: list[str] = []

    def run(self, stored: Stored, uploads: tuple[BlobInfo, ...]) -> int:
        state, scene = self._containers.state, self._scene
        if not uploads and stored.record.is_erased:
            records.unmark(state, stored)
            return self._remove_all()  # said and done before: what a paused runner left since
        stored = records.save(state, stored, stored.record.erasing(state.now()), self._lease)
        text = "scene %s: everything of it is being deleted"
        log.info(text, scene, extra={"event": "scene.erased", "scene": scene})
        removed = self._remove(self._containers.input, uploads) + self._remove_all()
        if self._kept:
            raise StorageError(
                f"{len(self._kept)} blobs of scene {scene} cannot be deleted: {', '.join(self._kept[:5])}",
                advice="break the lease, remove the snapshot, the legal hold or the policy, and call this again",
            )
        records.save(state, stored, replace(stored.record, held=""), self._lease)
        return removed

    def _remove_all(self) -> int:
        """The manifest first: readers trust it. Reasons after what they explain."""
        removed = 0
        for store in (self._containers.output, self._containers.processed, self._containers.error):
            removed += self._remove(store, sorted(of_scene(store, self._scene, self._depth), key=_order))
        return removed + self._remove(self._containers.state, list(self._known()))

    def _known(self) -> Iterator[BlobInfo]:
        """What the state container knows of the scene, but for the record and its marker, which `save` keeps."""
        state, key = self._containers.state, scene_key(self._scene)
        folders = [f"{place}{key}/" for place in (BATCHES, GENERATIONS, DUPLICATES, REDRIVES, PARTS, PREVIEWS)]
        for folder in (*folders, undeleted_folder(self._scene), cache_folder(self._scene), resume_folder(self._scene)):
            yield from state.list(folder)
        for name in (
            progress_name(self._scene),
            sending_name(self._scene),
            cancelled_name(self._scene),
            notices_name(self._scene),
        ):
            with suppress(NotFound):
                yield state.head(name)

    def _remove(self, store: BlobStore, infos: Iterable[BlobInfo]) -> int:
        """Each in the version that was listed. What cannot be removed is kept in mind, and keeps no other."""
        removed = 0
        for info in infos:
            if self._clock() - self._renewed_at >= RENEW_S:
                self._lease.renew()
                self._renewed_at = self._clock()
            try:
                store.delete(info.name, if_match=info.etag)
                removed += 1
            except NotFound:
                continue
            except Conflict:
                with suppress(NotFound):
                    if store.head(info.name).etag == info.etag:
                        self._kept.append(f"{store.name}/{info.name}")
        return removed


def _order(info: BlobInfo) -> int:
    file = info.name.rpartition("/")[2]
    return {MANIFEST: 0, ERROR_DOCUMENT: 2}.get(file, 1)


def check_known(containers: Containers, scene: str, depth: int) -> None:
    """Raises InputError where nothing of such a scene is known: before anybody is asked."""
    if reason := refusal(scene):
        raise InputError(f"no scene can be called {scene!r}: {reason}", code=Code.NO_SCENE)
    if not list_scene(containers.input, scene, depth) and records.load(containers.state, scene) is None:
        raise InputError(f"there is no scene {scene}", code=Code.NO_SCENE)
