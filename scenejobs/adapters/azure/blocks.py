"""Transfers that go on where they were: an upload in blocks whose names tell their content, a download in ranges.

A block that was staged before an interruption is known by its name and not sent again; the service keeps it for a week.
A part of a download is known by the blob's ETag in its name. Block names: position and SHA-256, all of one length, as
the service asks for.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from azure.core import MatchConditions
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import BlobBlock, BlobClient, ContentSettings

from scenejobs.adapters.azure.copy import AS_STORED

BLOCK_BYTES = 8 * 2**20
MOST_BLOCKS = 50_000  # of one blob

Told = Callable[[int], None]  # bytes that are there now, and were not before


def upload(blob: BlobClient, path: Path, settings: ContentSettings, told: Told) -> None:
    """Replaces a blob by a file. Raises what the SDK raises, and OSError."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        block_bytes = max(BLOCK_BYTES, -(-size // MOST_BLOCKS))
        staged = _staged(blob) if size > block_bytes else {}
        names, whole = [], hashlib.md5(usedforsecurity=False)
        for number, data in enumerate(_pieces(file, block_bytes)):
            whole.update(data)
            name = base64.b64encode(f"{number:06d}".encode() + hashlib.sha256(data).digest()[:18]).decode()
            if staged.get(name) != len(data):
                blob.stage_block(name, data, length=len(data))
            names.append(name)
            told(len(data))
        settings.content_md5 = bytearray(whole.digest())
        blob.commit_block_list([BlobBlock(block_id=name) for name in names], content_settings=settings)


def _staged(blob: BlobClient) -> dict[str, int]:
    """Bytes of each block that lies there uncommitted, by its name."""
    try:
        _, uncommitted = blob.get_block_list("uncommitted")
    except ResourceNotFoundError:
        return {}
    return {str(block.id): int(block.size) for block in uncommitted}


def _pieces(file: BinaryIO, size: int) -> Iterator[bytes]:
    while data := file.read(size):
        yield data


def download(blob: BlobClient, path: Path, told: Told) -> None:
    """Fetches a blob into a file, which appears when it is whole. Raises what the SDK raises, and OSError."""
    properties: Any = blob.get_blob_properties()
    etag, size = str(properties.etag), int(properties.size)
    part = path.with_name(f".{path.name}.{hashlib.sha256(etag.encode()).hexdigest()[:16]}.part")
    for old in path.parent.glob(f".{path.name}.*.part"):
        if old != part:  # of a version that is no longer there
            old.unlink()
    with open(os.open(part, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600), "r+b") as file:
        have = min(file.seek(0, os.SEEK_END), size)
        file.truncate(have)
        told(have)
        while have < size:
            length = min(BLOCK_BYTES, size - have)
            data = blob.download_blob(
                have, length, etag=etag, match_condition=MatchConditions.IfNotModified, **AS_STORED
            ).readall()
            file.write(data)
            have += len(data)
            told(len(data))
    os.replace(part, path)
