"""Results older than OUTPUT_RETENTION_DAYS are removed, and the record says so: first the record, then the files.

Where the files may not be removed, the record says it no more.

A removed result is not a lost one: the audit knows it, no sweep makes it anew, and a clip that comes late extends the
scene by what its archive still has. Only `scenejobs retry` makes the same scene again. Never touched are results that
no record tells of, and scenes with uploads, with work or with a wish.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime

from scenejobs.errors import AccessDenied, Conflict, LeaseLost, NotFound, UnreadableRecord
from scenejobs.names import refusal, scene_of
from scenejobs.ports import BlobInfo, Containers
from scenejobs.state import contents, records
from scenejobs.state.control_names import stored_scene
from scenejobs.state.layout import MANIFEST, published_name, record_name
from scenejobs.state.record import Expired, Phase, SceneRecord

LEASE_S = 30  # only around the change of the record

log = logging.getLogger(__name__)


def old_results(containers: Containers, depth: int, before: datetime) -> set[str]:
    """Scenes without uploads all of whose results were written before that time."""
    newest: dict[str, datetime] = {}
    for info in containers.output.list():
        if refusal(info.name) is None and "/" in info.name:
            scene = stored_scene(info.name, depth)
            newest[scene] = max(newest.get(scene, info.modified), info.modified)
    old = {scene for scene, modified in newest.items() if modified < before}
    if not old:
        return old
    return old - {scene_of(info.name, depth) for info in containers.input.list() if refusal(info.name) is None}


def expire(
    containers: Containers, depth: int, before: datetime, goes_on: Callable[[], bool] = lambda: True
) -> tuple[int, int]:
    """(scenes whose results were removed, files). Safe to repeat and to interrupt.

    before: what was written earlier is too old. goes_on: whether there is time for another scene. Raises AccessDenied
    where files may not be removed, StorageError.
    """
    scenes = files = 0
    for scene in sorted(old_results(containers, depth, before)):
        if not goes_on():
            break
        earlier, infos = _noted(containers, scene, depth, before)
        if infos:
            files += _removed(containers, scene, infos, earlier)
            scenes += 1
    return scenes, files


def _noted(
    containers: Containers, scene: str, depth: int, before: datetime
) -> tuple[Expired | None, Sequence[BlobInfo]]:
    """What goes, when the record says it: now, or since an earlier time that was interrupted. With what it said before.

    Looked at again under the lease, for a run may have ended since the listing: its result is young.
    """
    state = containers.state
    try:
        lease = state.lease(record_name(scene), LEASE_S)
    except (NotFound, Conflict):  # nothing tells of it, or somebody works on it
        return None, ()
    try:
        stored = records.load(state, scene)
        if stored is None or not _may_go(record := contents.of_history(state, stored.record)):
            return None, ()
        infos = [info for info in containers.output.list(f"{scene}/") if _is_of(info, scene, depth)]
        if not all(info.modified < before for info in infos):
            return None, ()
        if record.is_expired:
            return None, infos
        records.save(state, stored, record.expiring(state.now()), lease)
    except (Conflict, LeaseLost, UnreadableRecord):
        return None, ()
    finally:
        with suppress(LeaseLost):
            lease.release()
    days = "its result is older than OUTPUT_RETENTION_DAYS and is removed; scenejobs retry makes it again"
    log.info("scene %s: %s", scene, days, extra={"event": "scene.expired", "scene": scene, "run": record.run})
    return record.expired, infos


def _is_of(info: BlobInfo, scene: str, depth: int) -> bool:
    return refusal(info.name) is None and stored_scene(info.name, depth) == scene


def _may_go(record: SceneRecord) -> bool:
    return record.phase is Phase.IDLE and not record.held and record.wish is None and record.published is not None


def _removed(containers: Containers, scene: str, infos: Iterable[BlobInfo], earlier: Expired | None) -> int:
    """The manifest first: readers trust it. Each in the version that was listed: a new result stays."""
    removed, manifest = 0, published_name(scene, MANIFEST)
    for info in sorted(infos, key=lambda info: info.name != manifest):
        try:
            containers.output.delete(info.name, if_match=info.etag)
            removed += 1
        except (NotFound, Conflict):
            pass
        except AccessDenied:
            if info.name == manifest:
                _take_back(containers, scene, earlier)
            raise
    return removed


def _take_back(containers: Containers, scene: str, earlier: Expired | None) -> None:
    """The result is whole and stays: nobody may remove it, and its record must not say that it is gone."""
    state = containers.state
    with suppress(NotFound, Conflict, LeaseLost, UnreadableRecord):  # somebody works on it: the next time does it
        lease = state.lease(record_name(scene), LEASE_S)
        try:
            if (stored := records.load(state, scene)) is not None and stored.record.is_expired:
                records.save(state, stored, replace(stored.record, expired=earlier), lease)
        finally:
            with suppress(LeaseLost):
                lease.release()
