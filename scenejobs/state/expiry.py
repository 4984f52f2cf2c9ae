"""Results older than OUTPUT_RETENTION_DAYS are removed, and the record says so: first the record, then the files.

A removed result is not a lost one: the audit knows it, no sweep makes it anew, and a clip that comes late extends the
scene by what its archive still has. Only `scenejobs retry` makes the same scene again. Never touched are results that
no record tells of, and scenes with uploads, with work or with a wish.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import datetime

from scenejobs.errors import Conflict, LeaseLost, NotFound, UnreadableRecord
from scenejobs.names import refusal, scene_of
from scenejobs.ports import BlobInfo, Containers
from scenejobs.state import contents, records
from scenejobs.state.control_names import stored_scene
from scenejobs.state.layout import MANIFEST, published_name, record_name
from scenejobs.state.record import Phase, SceneRecord

LEASE_S = 30  # only around the change of the record

log = logging.getLogger(__name__)


def old_results(containers: Containers, depth: int, before: datetime) -> dict[str, list[BlobInfo]]:
    """Scenes without uploads all of whose results were written before that time, with their files."""
    found: dict[str, list[BlobInfo]] = {}
    for info in containers.output.list():
        if refusal(info.name) is None and "/" in info.name:
            found.setdefault(stored_scene(info.name, depth), []).append(info)
    old = {scene: infos for scene, infos in found.items() if all(info.modified < before for info in infos)}
    if not old:
        return {}
    waiting = {scene_of(info.name, depth) for info in containers.input.list() if refusal(info.name) is None}
    return {scene: infos for scene, infos in old.items() if scene not in waiting}


def expire(
    containers: Containers, depth: int, before: datetime, goes_on: Callable[[], bool] = lambda: True
) -> tuple[int, int]:
    """(scenes whose results were removed, files). Safe to repeat and to interrupt.

    before: what was written earlier is too old. goes_on: whether there is time for another scene. Raises StorageError.
    """
    scenes = files = 0
    for scene, infos in sorted(old_results(containers, depth, before).items()):
        if not goes_on():
            break
        if _noted(containers, scene):
            files += _removed(containers, scene, infos)
            scenes += 1
    return scenes, files


def _noted(containers: Containers, scene: str) -> bool:
    """Whether the record says that its results go: now, or since an earlier time that was interrupted."""
    state = containers.state
    try:
        stored = records.load(state, scene)
        if stored is None or not _may_go(record := contents.of_history(state, stored.record)):
            return False
        if record.is_expired:
            return True
        lease = state.lease(record_name(scene), LEASE_S)
    except (NotFound, Conflict, UnreadableRecord):  # somebody works on it, or it cannot be told what it is
        return False
    try:
        stored = records.load(state, scene)  # again, under the lease
        if stored is None or not _may_go(record := contents.of_history(state, stored.record)):
            return False
        records.save(state, stored, record.expiring(state.now()), lease)
    except (Conflict, LeaseLost, UnreadableRecord):
        return False
    finally:
        with suppress(LeaseLost):
            lease.release()
    days = "its result is older than OUTPUT_RETENTION_DAYS and is removed; scenejobs retry makes it again"
    log.info("scene %s: %s", scene, days, extra={"event": "scene.expired", "scene": scene, "run": record.run})
    return True


def _may_go(record: SceneRecord) -> bool:
    return record.phase is Phase.IDLE and not record.held and record.wish is None and record.published is not None


def _removed(containers: Containers, scene: str, infos: Iterable[BlobInfo]) -> int:
    """The manifest first: readers trust it. Each in the version that was listed: a new result stays."""
    removed, manifest = 0, published_name(scene, MANIFEST)
    for info in sorted(infos, key=lambda info: info.name != manifest):
        with suppress(NotFound, Conflict):
            containers.output.delete(info.name, if_match=info.etag)
            removed += 1
    return removed
