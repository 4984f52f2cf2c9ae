"""Copying one version of a blob into another container, and knowing that it arrived whole.

The service copies by itself where it may read the source. It gets the bare URL: a signature in a copy source stays
readable in the properties of the copy. Where the bare URL is refused, the bytes travel through this process.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from typing import Any, Literal

from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import BlobBlock, BlobClient, BlobProperties, ContentSettings

from scenejobs.adapters.azure.errors import error_code, storage_errors
from scenejobs.adapters.azure.retry import Sent
from scenejobs.errors import Busy, Conflict, NotFound, StorageError

SOURCE_ETAG = "source_etag"
# Of every download: the SDK would else unpack what is called "gzip", without a limit, here where the credentials are.
AS_STORED: dict[str, Any] = {"decompress": False, "headers": {"Accept-Encoding": "identity"}}
_NOT_READABLE_BY_SERVICE = frozenset({"CannotVerifyCopySource", "PublicAccessNotPermitted"})
_FIRST_POLL_S, _LAST_POLL_S = 0.2, 5.0


def copy_blob(
    source: BlobClient,
    target: BlobClient,
    *,
    source_etag: str | None,
    if_absent: bool,
    wait_s: float,
    sleep: Callable[[float], None] = time.sleep,
) -> BlobProperties:
    """Returns the properties of the finished copy. See BlobStore.copy_from for the errors.

    A copy of the same version that is there already, or under way, is what was wanted: repeating is harmless. Where
    the version is named, the source is not asked first: the service compares, and its copy tells how many bytes it
    was to have. A thousand copies cost a thousand calls less.
    """
    doing, sent = f"copying {_path(source)} to {_path(target)}", Sent()
    if source_etag is None:
        source_etag = str(_original(source, doing).etag).strip('"')
    try:
        with storage_errors(doing):
            _copy(source, target, source_etag, if_absent, sent)
    except (Conflict, NotFound):
        if sent.times <= 1:  # otherwise an earlier try may have been granted, and its answer was lost
            etag = str(_original(source, doing).etag).strip('"')
            if etag != source_etag:
                raise Conflict(f"{_path(source)} is another version now") from None
        if not _is_copy_of(target, source, source_etag, doing):
            raise
    return _finished(target, source, doing, wait_s, sleep)


def _original(source: BlobClient, doing: str) -> BlobProperties:
    with storage_errors(doing):
        return source.get_blob_properties(raw_request_hook=Sent())


def _copy(source: BlobClient, target: BlobClient, etag: str, if_absent: bool, sent: Sent) -> None:
    condition: dict[str, Any] = {"match_condition": MatchConditions.IfMissing} if if_absent else {}
    try:
        target.start_copy_from_url(
            source.url.partition("?")[0],
            metadata={SOURCE_ETAG: etag},
            source_etag=f'"{etag}"',
            source_match_condition=MatchConditions.IfNotModified,
            raw_request_hook=sent,
            **condition,
        )
    except HttpResponseError as exc:
        if error_code(exc) not in _NOT_READABLE_BY_SERVICE:
            raise
        _copy_through_here(source, target, etag, if_absent)


def _copy_through_here(source: BlobClient, target: BlobClient, etag: str, if_absent: bool) -> None:
    """Copies block by block, so that a video of any size fits into memory.

    The last request gives the copy its properties, as they are: what its uploader said of the MD5 may be false, and the
    service would refuse it of bytes that come with it.
    """
    download = source.download_blob(
        etag=f'"{etag}"', match_condition=MatchConditions.IfNotModified, raw_request_hook=Sent(), **AS_STORED
    )
    attempt = uuid.uuid4().hex[:8]  # of two that copy at once, each commits its own blocks
    blocks = []
    for number, chunk in enumerate(download.chunks()):
        block = BlobBlock(f"{attempt}{number:08}")
        target.stage_block(block.id, chunk, raw_request_hook=Sent())
        blocks.append(block)
    settings = download.properties.content_settings
    condition: dict[str, Any] = {"match_condition": MatchConditions.IfMissing} if if_absent else {}
    target.commit_block_list(
        blocks,
        metadata={SOURCE_ETAG: etag},
        content_settings=ContentSettings(
            content_type=settings.content_type,
            content_encoding=settings.content_encoding,
            content_md5=settings.content_md5,
        ),
        raw_request_hook=Sent(),
        **condition,
    )


def copy_state(found: BlobProperties) -> Literal["", "pending", "failed"]:
    """ "" for what is whole, be it a copy or not."""
    status = str(found.copy.status or "success")
    if status == "pending":
        return "pending"
    return "" if status == "success" else "failed"  # the service says "aborted" and "failed"


def _is_copy_of(target: BlobClient, source: BlobClient, etag: str, doing: str) -> bool:
    """A copy of this version: whole, under way, or failed, which `_finished` clears away."""
    try:
        with storage_errors(f"looking at {_path(target)}"):
            found = target.get_blob_properties(raw_request_hook=Sent())
    except NotFound:
        return False
    if (found.metadata or {}).get(SOURCE_ETAG) != etag:
        return False
    return copy_state(found) != "" or int(found.size) == _expected(found, source, doing)


def _expected(copy: BlobProperties, source: BlobClient, doing: str) -> int:
    """How many bytes a whole copy has: as the service says of its own copies, else as the source has."""
    _, _, total = str(copy.copy.progress or "").partition("/")
    return int(total) if total.isdecimal() else int(_original(source, doing).size)


def _finished(
    target: BlobClient, source: BlobClient, doing: str, wait_s: float, sleep: Callable[[float], None]
) -> BlobProperties:
    waited, poll_s = 0.0, _FIRST_POLL_S
    while True:
        with storage_errors(doing):
            found = target.get_blob_properties(raw_request_hook=Sent())
        state = copy_state(found)
        if not state:
            size = _expected(found, source, doing)
            if int(found.size) != size:
                raise StorageError(f"{doing}: {found.size} of {size} bytes arrived", advice="try again")
            return found
        if state == "failed":
            with storage_errors(doing):  # it would stand in the way of the next try
                target.delete_blob(
                    etag=found.etag, match_condition=MatchConditions.IfNotModified, raw_request_hook=Sent()
                )
            raise StorageError(f"{doing}: the copy {found.copy.status}: {found.copy.status_description or ''}")
        if waited >= wait_s:
            raise Busy(f"{doing}: not finished after {waited:.0f} s", advice="it goes on; ask again later")
        sleep(poll_s)
        waited, poll_s = waited + poll_s, min(_LAST_POLL_S, poll_s * 2)


def _path(blob: BlobClient) -> str:
    return f"{blob.container_name}/{blob.blob_name}"
