"""Synchronises the cache of stages: from the state container before the job, back to it afterwards.

    cache/<scene>/<entry>    an entry as `runner/cache/store.py` writes it: named by its key, checked by its own hash

Each scene has its own: a job parses hostile media, so what it writes is never read by the job of another scene. All of
it is best effort: whatever is wrong with the store or an entry, the job does the work itself.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable, Iterator
from datetime import timedelta

from runner.cache.store import NAME, CacheSettings, content_hash, entries
from runner.files.disk import free_bytes
from scenejobs.errors import Conflict, Interrupted, LeaseLost, NotFound, SceneJobError, StorageError
from scenejobs.names import refusal
from scenejobs.ports import BlobStore
from scenejobs.state.layout import cache_folder

FOLDER_SHARE = 4  # entries may take one part in so many of the free disk; the job needs the rest

log = logging.getLogger(__name__)


@contextlib.contextmanager
def cached(store: BlobStore, scene: str, settings: CacheSettings, check: Callable[[], None]) -> Iterator[CacheSettings]:
    """Around a job: the folder holds what earlier runs found; what this one added is uploaded, also when it fails.

    `check` raises when the work is to end: before the job that ends the attempt, afterwards only the upload.
    Nothing is uploaded of a job that was interrupted, or whose scene another runner may hold.
    """
    found = _download(store, scene, settings, check)
    try:
        yield settings
    except (Interrupted, LeaseLost):
        raise
    except SceneJobError:
        _upload(store, scene, settings, found, check)
        raise
    _upload(store, scene, settings, found, check)


def _download(store: BlobStore, scene: str, settings: CacheSettings, check: Callable[[], None]) -> dict[str, str]:
    """Downloads the newest entries, as many as fit. Returns the hash of each."""
    found: dict[str, str] = {}
    settings.folder.mkdir()
    room_bytes = min(settings.max_bytes, free_bytes(settings.folder) // FOLDER_SHARE)
    try:
        for blob in sorted(store.list(cache_folder(scene)), key=lambda blob: blob.modified, reverse=True):
            name = blob.name.removeprefix(cache_folder(scene))
            if not NAME.fullmatch(name) or not blob.whole or blob.size_bytes > room_bytes:
                continue
            check()
            try:
                store.download(blob.name, settings.folder / name, if_match=blob.etag)
            except (NotFound, Conflict):  # replaced or removed meanwhile
                (settings.folder / name).unlink(missing_ok=True)
                continue
            room_bytes -= blob.size_bytes
            found[name] = content_hash(settings.folder / name)
            at = blob.modified.timestamp()
            os.utime(settings.folder / name, (at, at))
    except (StorageError, OSError) as exc:
        log.warning("the cache of scene %s cannot be read: %s", scene, exc)
    if found:
        log.info("cache of scene %s: %d entries", scene, len(found))
    return found


def _upload(
    store: BlobStore, scene: str, settings: CacheSettings, found: dict[str, str], check: Callable[[], None]
) -> None:
    """Uploads new entries, and removes those that the job removed, that are too old, or that are too many.

    Only of this scene: those of others would be listed by each run. Their old ones the sweep removes.
    """
    if settings.folder.is_symlink():  # the job made it, and the job parses hostile media
        log.warning("the cache of scene %s is not kept: its folder is a link", scene)
        return
    present = {name: size_bytes for name, size_bytes, _ in entries(settings.folder)}
    try:
        room_bytes = settings.max_bytes
        for name, size_bytes in sorted(present.items(), key=lambda item: item[1]):  # small ones first: poses, surveys
            room_bytes -= size_bytes
            if room_bytes < 0:
                present.pop(name)
            elif found.get(name) != content_hash(settings.folder / name):
                check()
                store.upload(settings.folder / name, cache_folder(scene) + name)
        oldest = store.now() - timedelta(seconds=settings.max_age_s)
        for blob in list(store.list(cache_folder(scene))):
            obsolete = blob.modified < oldest or blob.name.removeprefix(cache_folder(scene)) not in present
            if obsolete and refusal(blob.name) is None:
                check()
                with contextlib.suppress(NotFound, Conflict):  # somebody else did, or replaced it
                    store.delete(blob.name, if_match=blob.etag)
    except (StorageError, OSError) as exc:
        log.warning("the cache of scene %s cannot be kept: %s", scene, exc)
    except Interrupted as exc:
        log.info("the cache of scene %s is not kept: %s", scene, exc)
