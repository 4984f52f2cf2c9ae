"""Copies between containers: looking for a blob that may not be there, and recognising a copy of one version."""

from __future__ import annotations

from scenejobs.errors import NotFound
from scenejobs.ports import BlobInfo, BlobStore

SOURCE_ETAG = "source_etag"  # metadata of every copy: the version it was made from (ports.BlobStore.copy_from)


def find(store: BlobStore, name: str) -> BlobInfo | None:
    """The blob, None where there is none."""
    try:
        return store.head(name)
    except NotFound:
        return None


def is_copy(found: BlobInfo | None, etag: str, size_bytes: int | None = None) -> bool:
    """Whether this is a whole copy of the version `etag`, of `size_bytes` where that is known.

    A copy that is under way is none: it needs its source until it is whole. Asking for it again waits for that.
    """
    if found is None or not found.whole or found.metadata.get(SOURCE_ETAG) != etag:
        return False
    return size_bytes is None or found.size_bytes == size_bytes


def is_input(found: BlobInfo | None) -> bool:
    """Whether a blob of `processed` or `error` is an upload that was archived, and no document of ours."""
    return found is not None and SOURCE_ETAG in found.metadata
