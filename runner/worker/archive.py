"""Moves the inputs of a decided generation out of the input container: copy, verify, delete, each safe to repeat.

Driven by the frozen manifest, never by a second listing; every copy and delete names the version it means. Nothing in
the archive is ever overwritten: a name that is taken by another version sends the input to the generation's folder.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from scenejobs.errors import Conflict, NotFound, StorageError
from scenejobs.ports import BlobInfo, BlobStore
from scenejobs.state.blobs import InputBlob
from scenejobs.state.copies import find, is_copy
from scenejobs.state.layout import archive_names
from scenejobs.state.record import SceneRecord

SUPERSEDED = "superseded"  # in the record: the user replaced or deleted this version before it was moved

log = logging.getLogger(__name__)


def archive(
    record: SceneRecord, source: BlobStore, destination: BlobStore, kind: str, check: Callable[[], None]
) -> dict[str, str]:
    """Moves every input of the record's manifest; returns where each lies now ("<kind>/<name>", or "superseded").

    `check` is called before every change and raises when another runner may hold the scene.
    Raises StorageError when a copy is not whole or an input cannot be deleted.
    """
    locations = {}
    # Listed once instead of a request for each of thousands of inputs. `if_absent` meets whoever copies meanwhile.
    existing = {info.name: info for info in destination.list(f"{record.scene}/")}
    for blob in record.manifest:
        check()
        name = _stored(record, blob, source, destination, existing)
        if name is None:
            log.info("%s was replaced or deleted before it could be archived", blob.name)
            locations[blob.name] = SUPERSEDED
            continue
        check()
        _delete(source, blob)
        locations[blob.name] = f"{kind}/{name}"
    return locations


def _stored(
    record: SceneRecord, blob: InputBlob, source: BlobStore, destination: BlobStore, existing: dict[str, BlobInfo]
) -> str | None:
    """The name of a verified copy of this version, made now or by an earlier runner; None when it no longer exists."""
    names = archive_names(record.scene, blob.name, record.generation, record.run)
    for name in names:
        if is_copy(existing.get(name), blob.etag, blob.size_bytes):
            return name
    for name in names:
        try:
            copy = destination.copy_from(source, blob.name, name, source_etag=blob.etag, if_absent=True)
        except NotFound:
            return None
        except Conflict:  # the source is another version now, or the name is taken: by another blob, or by a folder
            found = find(source, blob.name)
            if found is None or found.etag != blob.etag:
                return None
            continue
        if not is_copy(copy, blob.etag, blob.size_bytes):
            raise StorageError(
                f"the copy {name} of {blob.name} has {copy.size_bytes} bytes, the upload has {blob.size_bytes}",
                advice="the upload stays where it is; look at the storage account",
            )
        return name
    raise StorageError(f"every name for {blob.name} in the archive is taken: {', '.join(names)}")


def _delete(source: BlobStore, blob: InputBlob) -> None:
    try:
        source.delete(blob.name, if_match=blob.etag)
    except NotFound:
        return  # done by an earlier runner, or by the user
    except Conflict:
        current = find(source, blob.name)
        if current is not None and current.etag == blob.etag:  # this very version: somebody holds a lease on it
            raise
        log.info("%s was uploaded again meanwhile; the new version stays for the next job", blob.name)
