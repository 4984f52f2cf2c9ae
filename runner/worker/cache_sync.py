"""The cache of stages between runs: from the state container before the job, back to it afterwards.

    cache/<scene>/<entry>    an entry as `runner/cache/store.py` writes it: named by its key, checked by its own hash

Each scene has its own: what the job of one scene leaves, which parses hostile media, is never read by that of another.
All of it is a courtesy. Whatever is wrong with the store or an entry, the work is done without it.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable, Container, Iterator
from datetime import datetime, timedelta

from runner.cache.store import NAME, CacheSettings, content_hash, entries
from runner.files.disk import free_bytes
from scenejobs.errors import Conflict, Interrupted, LeaseLost, NotFound, SceneJobError, StorageError
from scenejobs.names import refusal
from scenejobs.ports import BlobInfo, BlobStore
from scenejobs.state.layout import CACHE_FOLDER, cache_folder

FOLDER_SHARE = 4  # entries may take that part of the free disk; the job needs the rest

log = logging.getLogger(__name__)


@contextlib.contextmanager
def cached(store: BlobStore, scene: str, settings: CacheSettings, check: Callable[[], None]) -> Iterator[CacheSettings]:
    """Around a job: the folder holds what earlier runs found; what this one added is kept, also when it fails.

    `check` raises when the work is to end: before the job that ends it, afterwards it only ends the keeping.
    Nothing is kept of a job that was told to stop, or whose scene may be somebody else's now.
    """
    found = _bring(store, scene, settings, check)
    try:
        yield settings
    except (Interrupted, LeaseLost):
        raise
    except SceneJobError:
        _keep(store, scene, settings, found, check)
        raise
    _keep(store, scene, settings, found, check)


def _bring(store: BlobStore, scene: str, settings: CacheSettings, check: Callable[[], None]) -> dict[str, str]:
    """Downloads the newest entries, as many as fit. Returns the hash of each."""
    found: dict[str, str] = {}
    settings.folder.mkdir()
    left = min(settings.max_bytes, free_bytes(settings.folder) // FOLDER_SHARE)
    try:
        for blob in sorted(store.list(cache_folder(scene)), key=lambda blob: blob.modified, reverse=True):
            name = blob.name.removeprefix(cache_folder(scene))
            if not NAME.fullmatch(name) or not blob.whole or blob.size_bytes > left:
                continue
            check()
            try:
                store.download(blob.name, settings.folder / name, if_match=blob.etag)
            except (NotFound, Conflict):  # replaced or removed meanwhile
                (settings.folder / name).unlink(missing_ok=True)
                continue
            left -= blob.size_bytes
            found[name] = content_hash(settings.folder / name)
            at = blob.modified.timestamp()
            os.utime(settings.folder / name, (at, at))
    except (StorageError, OSError) as exc:
        log.warning("the cache of scene %s cannot be read: %s", scene, exc)
    if found:
        log.info("cache of scene %s: %d entries", scene, len(found))
    return found


def _keep(
    store: BlobStore, scene: str, settings: CacheSettings, found: dict[str, str], check: Callable[[], None]
) -> None:
    """Uploads what is new, and removes what the job removed, what is too old, and what is too much."""
    if settings.folder.is_symlink():  # the job's doing, and it parses hostile media
        log.warning("the cache of scene %s is not kept: its folder is a link", scene)
        return
    present = {name: size_bytes for name, size_bytes, _ in entries(settings.folder)}
    try:
        left = settings.max_bytes
        for name, size_bytes in sorted(present.items(), key=lambda item: item[1]):  # small ones first: poses, surveys
            left -= size_bytes
            if left < 0:
                present.pop(name)
            elif found.get(name) != content_hash(settings.folder / name):
                check()
                store.upload(settings.folder / name, cache_folder(scene) + name)
        oldest = store.now() - timedelta(seconds=settings.max_age_s)
        for blob in list(store.list(CACHE_FOLDER)):
            if _is_over(blob, scene, present, oldest) and refusal(blob.name) is None:
                check()
                with contextlib.suppress(NotFound, Conflict):  # somebody else did, or replaced it
                    store.delete(blob.name, if_match=blob.etag)
    except (StorageError, OSError) as exc:
        log.warning("the cache of scene %s cannot be kept: %s", scene, exc)
    except Interrupted as exc:
        log.info("the cache of scene %s is not kept: %s", scene, exc)


def _is_over(blob: BlobInfo, scene: str, present: Container[str], oldest: datetime) -> bool:
    """Of this scene: what the job did not leave. Of any scene: what is too old."""
    own = blob.name.startswith(cache_folder(scene))
    return blob.modified < oldest or (own and blob.name.removeprefix(cache_folder(scene)) not in present)
