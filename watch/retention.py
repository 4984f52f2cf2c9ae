"""Removes what is older than RETENTION_DAYS: archived inputs, dead letters with their reasons, state without a scene.

Input and output are never touched (results: scenejobs/state/removal/expiry.py), nor anything of a scene that is in
work, waits, or is held. In Azure the lifecycle rules of the storage account do this.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from contextlib import suppress
from datetime import datetime
from pathlib import PurePosixPath

from scenejobs.errors import Conflict, NotFound
from scenejobs.names import refusal, scene_of
from scenejobs.ports import BlobInfo, BlobStore, Containers
from scenejobs.state import layout
from scenejobs.state.control_names import stored_scene
from scenejobs.state.copies import is_input
from scenejobs.state.record import Phase

DOCUMENTS = (layout.ERROR_DOCUMENT, layout.RUN_LOG)


def prune(containers: Containers, depth: int, before: datetime) -> int:
    """Removes what was last changed before that time; returns how many files. Safe to repeat and to interrupt."""
    records = {info.name: info for info in containers.state.list(layout.RECORDS)}
    busy = {name for name, info in records.items() if not _is_idle(info)}
    waiting = {
        layout.record_name(scene_of(info.name, depth)) for info in _usable(containers.input.list()) if not info.unusable
    }
    removed = 0
    for store in (containers.processed, containers.error):
        removed += _prune_archive(store, depth, before, busy)
    # what was removed is told, and uploads that were part of it are no news, for as long as the record is there
    kept = waiting | busy | {name for name, info in records.items() if info.metadata.get("expired")}
    for store in (containers.output, containers.processed, containers.error):
        kept |= {layout.record_name(stored_scene(info.name, depth)) for info in _usable(store.list())}
    return removed + _prune_state(
        containers.state, [info for name, info in records.items() if name not in kept], before
    )


def _is_idle(record: BlobInfo) -> bool:
    return record.metadata.get("phase") == Phase.IDLE and not record.metadata.get("held") and not record.leased


def _usable(infos: Iterable[BlobInfo]) -> Iterable[BlobInfo]:
    return (info for info in infos if refusal(info.name) is None)


def _prune_archive(store: BlobStore, depth: int, before: datetime, busy: Collection[str]) -> int:
    """Reasons are removed after the inputs they are about."""
    scenes: dict[str, list[BlobInfo]] = {}
    for info in _usable(store.list()):
        scenes.setdefault(stored_scene(info.name, depth), []).append(info)
    removed = 0
    for scene, infos in scenes.items():
        if layout.record_name(scene) in busy:
            continue
        documents = [info for info in infos if PurePosixPath(info.name).name in DOCUMENTS and not is_input(info)]
        inputs = [info for info in infos if info not in documents]
        gone = _delete(store, (info for info in inputs if info.modified < before))
        removed += gone
        if gone == len(inputs):
            removed += _delete(store, (info for info in documents if info.modified < before))
    return removed


def _prune_state(state: BlobStore, unused: Iterable[BlobInfo], before: datetime) -> int:
    """State of scenes that left no file anywhere, the record last: after a kill in between, the next time finds it."""
    removed = 0
    old = {info.name: info for info in unused if info.modified < before}
    for place in (layout.GENERATIONS, layout.REDRIVES, layout.PROGRESS):
        for info in list(state.list(place)):
            key = info.name.removeprefix(place).partition("/")[0].removesuffix(".json")
            if f"{layout.RECORDS}{key}.json" in old:
                removed += _delete(state, [info])
    removed += _delete(state, old.values())
    refused = [info for info in state.list(layout.REFUSED) if info.modified < before]
    return removed + _delete(state, refused)


def _delete(store: BlobStore, infos: Iterable[BlobInfo]) -> int:
    removed = 0
    for info in infos:
        with suppress(NotFound, Conflict):  # somebody removed it first, or changed it: it is not old any more
            store.delete(info.name, if_match=info.etag)
            removed += 1
    return removed
