"""What a listing shows beside committed blobs: blocks that were sent and not committed, and copies under way."""

from __future__ import annotations

import re
from collections.abc import Iterator

from azure.core.exceptions import HttpResponseError
from azure.storage.blob import BlobClient, BlobProperties, ContainerClient

from scenejobs.adapters.azure.errors import error_code, status_of
from scenejobs.adapters.azure.retry import Sent

_INCLUDE = ["metadata", "copy"]
_PROGRESS = re.compile(r"(?P<done>[0-9]{1,18})/[0-9]+")


def everything(container: ContainerClient, prefix: str) -> Iterator[BlobProperties]:
    """Committed and uncommitted blobs. An account that cannot list the latter has none. Raises what the SDK raises."""
    try:
        yield from container.list_blobs(name_starts_with=prefix or None, include=[*_INCLUDE, "uncommittedblobs"])
    except HttpResponseError as exc:
        refused = status_of(exc) == 400 or "NotSupported" in error_code(exc)
        if not refused:
            raise
        yield from container.list_blobs(name_starts_with=prefix or None, include=_INCLUDE)


def may_be_uncommitted(blob: BlobProperties) -> bool:
    """Listed with no bytes, and without an MD5, which the service keeps of an empty blob that came in one request."""
    return not blob.size and not blob.content_settings.content_md5


def block_bytes(blob: BlobClient) -> int:
    """Bytes of the blocks that were sent since the last commit. Raises what the SDK raises."""
    _, uncommitted = blob.get_block_list("uncommitted", raw_request_hook=Sent())
    return sum(int(block.size) for block in uncommitted)


def copied_bytes(blob: BlobProperties) -> int:
    """Of a copy that is under way: the service says `done/all`."""
    found = _PROGRESS.fullmatch(str(blob.copy.progress or "")) if blob.copy is not None else None
    return int(found["done"]) if found else 0
