"""A published result is removed because somebody said so: first the record says it, then the files go.

What is archived stays. The record's word (`Expired.deleted`) is what the audit and the sweeps go by, as for results
that are too old (expiry.py): nothing is lost, and nothing is made again before `scenejobs retry` or a new upload.
It may be interrupted: the same call removes what is left. The lease is held until the last file is gone, so that no run
publishes a new result in between.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

from scenejobs.errors import Code, Conflict, InputError, NotFound
from scenejobs.names import refusal
from scenejobs.ports import BlobInfo, BlobStore, Containers, Lease
from scenejobs.state import contents, records, wishes
from scenejobs.state.control_names import stored_scene
from scenejobs.state.layout import MANIFEST, cache_folder, preview_folder, published_name, resume_folder

LEASE_S = 60
RENEW_S = 15.0

log = logging.getLogger(__name__)


def delete(containers: Containers, scene: str, depth: int, clock: Callable[[], float] = time.monotonic) -> int:
    """How many files were removed: the result with all its runs, caches and saved work.

    Raises InputError where there is no such scene, no result, or somebody works on it; AccessDenied, StorageError,
    LeaseLost.
    """
    state = containers.state
    with wishes.holding_idle(state, scene, LEASE_S) as (stored, lease):
        record = contents.of_history(state, stored.record)
        results = list(of_scene(containers.output, scene, depth))
        if record.published is None and not results:
            advice = f"see: scenejobs status {scene}"
            raise InputError(f"scene {scene} has no result", code=Code.NO_SCENE, advice=advice)
        if not (record.is_expired and record.expired is not None and record.expired.deleted):
            records.save(state, stored, record.expiring(state.now(), deleted=True).wishing(None), lease)
            log.info("scene %s: its result is deleted", scene, extra={"event": "scene.deleted", "scene": scene})
        manifest = published_name(scene, MANIFEST)
        removed = _remove(containers.output, sorted(results, key=lambda info: info.name != manifest), lease, clock)
        for folder in (cache_folder(scene), resume_folder(scene), preview_folder(scene)):
            removed += _remove(state, list(state.list(folder)), lease, clock)
    return removed


def of_scene(store: BlobStore, scene: str, depth: int) -> Iterator[BlobInfo]:
    """Blobs below a scene's folder that are of it, and of no scene whose name begins so."""
    for info in store.list(f"{scene}/"):
        if refusal(info.name) is None and stored_scene(info.name, depth) == scene:
            yield info


def _remove(store: BlobStore, infos: list[BlobInfo], lease: Lease, clock: Callable[[], float]) -> int:
    """Each in the version that was listed."""
    removed, renewed = 0, clock()
    for info in infos:
        if clock() - renewed >= RENEW_S:
            lease.renew()
            renewed = clock()
        with suppress(NotFound, Conflict):
            store.delete(info.name, if_match=info.etag)
            removed += 1
    return removed
