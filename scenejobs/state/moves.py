"""The move of one version of a blob from one container to another: copy, verify, delete, each safe to repeat.

Every copy and delete names the version it means, and nothing at the destination is ever overwritten. Killed after any
line, the same call ends in the same place: a verified copy that is there counts as made, a source that is gone as
deleted.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence

from scenejobs.errors import AccessDenied, Conflict, NotFound, SceneJobError, StorageError
from scenejobs.ports import BlobInfo, BlobStore
from scenejobs.state.blobs import InputBlob
from scenejobs.state.copies import find, is_copy

Kept = Callable[[InputBlob, str, SceneJobError], None]  # the version, the name of its copy, what keeps it
SUPERSEDED = "superseded"  # instead of a name: the user replaced or deleted this version before it was moved

log = logging.getLogger(__name__)


def move(
    blob: InputBlob,
    source: BlobStore,
    destination: BlobStore,
    names: Sequence[str],
    check: Callable[[], None],
    existing: Mapping[str, BlobInfo] | None = None,
    kept: Kept | None = None,
) -> str:
    """Moves this version to the first of `names` that is free; returns its name there, or SUPERSEDED.

    `check` is called before every change and raises when the move is no longer this caller's. `existing`: a listing of
    the destination, where the caller moves many; it may be old, for `if_absent` meets whoever copies meanwhile.
    kept: told of a version that is copied and cannot be deleted, which then counts as moved; None: that is raised.
    Raises StorageError when a copy is not whole, every name is taken or the source cannot be read, and Conflict or
    AccessDenied when it cannot be deleted.
    """
    check()
    name = copied(blob, source, destination, names, existing)
    if name is None:
        log.info("%s was replaced or deleted before it could be moved", blob.name)
        return SUPERSEDED
    check()
    remove(blob, source, (lambda why: kept(blob, name, why)) if kept else None)
    return name


def copied(
    blob: InputBlob,
    source: BlobStore,
    destination: BlobStore,
    names: Sequence[str],
    existing: Mapping[str, BlobInfo] | None = None,
) -> str | None:
    """The name of a verified copy of this version, made now or before; None when the version no longer exists."""
    known = existing or {}
    for name in names:
        if is_copy(known.get(name), blob.etag, blob.size_bytes):
            return name
    for name in names:
        try:
            copy = destination.copy_from(source, blob.name, name, source_etag=blob.etag, if_absent=True)
        except NotFound:
            if _is_there(blob, source):  # the copy was removed at once
                raise StorageError(
                    f"the copy {name} of {blob.name} vanished", advice="see which rule removes blobs of the archive"
                ) from None
            return None
        except Conflict:  # the source is another version now, or the name is taken: by another blob, or by a folder
            if not _is_there(blob, source):
                return None
            continue
        if not is_copy(copy, blob.etag, blob.size_bytes):
            raise StorageError(
                f"the copy {name} of {blob.name} has {copy.size_bytes} bytes, the original has {blob.size_bytes}",
                advice="the original stays where it is; look at the storage account",
            )
        return name
    raise StorageError(f"every name for {blob.name} in {destination.name} is taken: {', '.join(names)}")


def remove(blob: InputBlob, source: BlobStore, kept: Callable[[SceneJobError], None] | None = None) -> bool:
    """Deletes this version and no other. False when it cannot be deleted, which `kept` was told.

    Raises Conflict (a lease, a snapshot, a legal hold, an immutability policy) or AccessDenied where `kept` is None.
    """
    try:
        source.delete(blob.name, if_match=blob.etag)
    except NotFound:
        return True  # done before, or by the user
    except (Conflict, AccessDenied) as exc:
        if not _is_there(blob, source):
            log.info("%s was uploaded again meanwhile; the new version stays", blob.name)
            return True
        if kept is None:
            raise
        kept(exc)
        return False
    return True


def _is_there(blob: InputBlob, source: BlobStore) -> bool:
    """Whether this very version still lies in the source."""
    found = find(source, blob.name)
    return found is not None and found.etag == blob.etag
