"""Uploads in blocks, as clients make them of large files: `stage` sends one, `commit` makes the blob of them."""

from __future__ import annotations

import base64

from azure.storage.blob import BlobBlock

from scenejobs.adapters.azure.blobs import AzureBlobStore
from scenejobs.adapters.memory import MemoryBlobStore
from scenejobs.ports import BlobStore


def stage(store: BlobStore, name: str, number: int, data: bytes) -> None:
    if isinstance(store, MemoryBlobStore):
        store.stage_block(name, _id(number), data)
    else:
        assert isinstance(store, AzureBlobStore)
        store._blob(name).stage_block(_id(number), data)


def commit(store: BlobStore, name: str, numbers: range) -> None:
    """The blocks of these numbers, in their order."""
    if isinstance(store, MemoryBlobStore):
        store.commit_blocks(name, [_id(number) for number in numbers])
    else:
        assert isinstance(store, AzureBlobStore)
        store._blob(name).commit_block_list([BlobBlock(_id(number)) for number in numbers])


def _id(number: int) -> str:
    return base64.b64encode(f"{number:06}".encode()).decode()
