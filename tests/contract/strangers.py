"""Uploads by programs that are not ours: with properties that nobody checks."""

from __future__ import annotations

from azure.storage.blob import ContentSettings

from scenejobs.adapters.azure.blobs import AzureBlobStore
from scenejobs.adapters.folder import FolderBlobStore
from scenejobs.adapters.memory import MemoryBlobStore
from scenejobs.ports import BlobStore


def put(
    store: BlobStore,
    name: str,
    data: bytes,
    *,
    metadata: dict[str, str] | None = None,
    content_md5: str | None = None,
    content_encoding: str = "",
) -> str:
    """Returns the ETag. content_md5: see MemoryBlobStore.put. A folder keeps the bytes only."""
    if isinstance(store, MemoryBlobStore):
        return store.put(name, data, metadata=metadata, content_md5=content_md5, content_encoding=content_encoding)
    if isinstance(store, FolderBlobStore):
        path = store.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return store.head(name).etag
    assert isinstance(store, AzureBlobStore)
    blob = store._container.get_blob_client(name)
    blob.upload_blob(data, overwrite=True, metadata=metadata)
    kept = blob.get_blob_properties().content_settings.content_md5
    md5 = kept if content_md5 is None else bytearray.fromhex(content_md5)
    blob.set_http_headers(ContentSettings(content_md5=md5 or None, content_encoding=content_encoding or None))
    return store.head(name).etag
