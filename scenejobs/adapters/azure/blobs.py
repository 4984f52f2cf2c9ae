"""A blob container as a BlobStore.

The service's answer to a write can be lost on the way; the retry then meets the effect of the first try and is refused
(409, 412, 404). So writes carry an id, and a refusal is settled by reading back.
"""

from __future__ import annotations

import contextlib
import email.utils
import hashlib
import mimetypes
import os
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from azure.core import MatchConditions
from azure.core.pipeline import PipelineResponse
from azure.storage.blob import BlobClient, BlobLeaseClient, BlobProperties, ContainerClient, ContentSettings

from scenejobs.adapters.azure import blocks
from scenejobs.adapters.azure.copy import AS_STORED, copy_blob, copy_state
from scenejobs.adapters.azure.errors import storage_errors
from scenejobs.adapters.azure.listing import block_bytes, copied_bytes, everything, may_be_uncommitted
from scenejobs.adapters.azure.raw_names import delete_raw
from scenejobs.adapters.azure.retry import HEARTBEAT, Sent
from scenejobs.errors import Conflict, LeaseLost, NotFound, StorageError, WrongChecksum
from scenejobs.names import refusal
from scenejobs.ports import MAX_CONTROL_BYTES, BlobInfo, BlobStore, Lease, Listing

WRITE_ID = "write_id"  # metadata of small blobs, ours alone
_PARALLEL = 4  # requests of one transfer at a time


class AzureLease:
    """See scenejobs.ports.Lease."""

    def __init__(self, client: BlobLeaseClient, what: str) -> None:
        self._client = client
        self._id = str(client.id)
        self._what = what

    @property
    def id(self) -> str:
        return self._id

    def renew(self) -> None:
        try:
            with storage_errors(f"renewing the lease of {self._what}"):
                self._client.renew(**HEARTBEAT.for_one_request())
        except (Conflict, NotFound) as exc:
            raise LeaseLost(f"the lease of {self._what} is somebody else's") from exc

    def release(self) -> None:
        with contextlib.suppress(Conflict, NotFound), storage_errors(f"releasing the lease of {self._what}"):
            self._client.release()
        self._client.id = self._id  # the SDK drops it, and then could not report that the lease is over


class AzureBlobStore:
    """See scenejobs.ports.BlobStore. `copy_wait_s`: how long a copy on the server may take before it is an error."""

    def __init__(
        self,
        client: ContainerClient,
        *,
        copy_wait_s: float = 900.0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._container = client
        self._copy_wait_s = copy_wait_s
        self._sleep = sleep
        self.name = str(client.container_name)

    # ---- listing ----

    def list(self, prefix: str = "") -> Iterator[BlobInfo]:
        with storage_errors(f"listing {self.name}/{prefix}"):
            for blob in self._container.list_blobs(name_starts_with=prefix or None, include=["metadata", "copy"]):
                if not _is_folder(blob):
                    yield _info(str(blob.name), blob)

    def list_all(self, prefix: str = "") -> Listing:
        with storage_errors(f"listing {self.name}/{prefix}"):
            found = [blob for blob in everything(self._container, prefix) if not _is_folder(blob)]
        unclear = {str(blob.name) for blob in found if may_be_uncommitted(blob)}
        if not unclear:
            return Listing(tuple(_info(str(blob.name), blob) for blob in found))
        blobs = tuple(self.list(prefix))  # shows what is committed, and nothing else
        return Listing(blobs, tuple(sorted(unclear.difference(info.name for info in blobs))))

    def sent_bytes(self, name: str) -> int:
        try:
            with storage_errors(f"counting the blocks of {self.name}/{name}"):
                return block_bytes(self._blob(name))
        except (NotFound, Conflict):  # committed and deleted since; or no blob that is made of blocks
            return 0

    def now(self) -> datetime:
        seen: list[str] = []

        def keep_date(response: PipelineResponse[Any, Any]) -> None:
            seen.append(response.http_response.headers.get("Date", ""))

        with storage_errors(f"asking {self.name} for the time"):
            next(iter(self._container.list_blobs(results_per_page=1, raw_response_hook=keep_date).by_page()), None)
        try:
            return email.utils.parsedate_to_datetime(seen[-1]).astimezone(UTC)
        except (IndexError, TypeError, ValueError, OverflowError) as exc:
            raise StorageError(f"the answer of container {self.name} bears no date") from exc

    def head(self, name: str) -> BlobInfo:
        found = self._properties(name)
        if _is_folder(found):
            raise NotFound(f"{self.name}/{name} is a directory")
        return _info(name, found)

    def _properties(self, name: str) -> BlobProperties:
        with storage_errors(f"looking at {self.name}/{name}"):
            return self._blob(name).get_blob_properties(raw_request_hook=Sent())

    # ---- small blobs ----

    def read(self, name: str, *, limit_bytes: int = MAX_CONTROL_BYTES) -> tuple[bytes, str]:
        with storage_errors(f"reading {self.name}/{name}"):
            download = self._blob(name).download_blob(raw_request_hook=Sent(), **AS_STORED)
            if download.size > limit_bytes:  # so far there is one block of it
                raise StorageError(f"{self.name}/{name} has {download.size:,} bytes; at most {limit_bytes:,} are read")
            data = download.readall()
        expected = download.properties.content_settings.content_md5
        self._check(name, len(data), download.size, hashlib.md5(data, usedforsecurity=False).digest(), expected)
        return data, _plain(download.properties.etag)

    def read_part(self, name: str, begin: int, count: int) -> bytes:
        with storage_errors(f"reading a part of {self.name}/{name}"):
            part: bytes = self._blob(name).download_blob(begin, count, raw_request_hook=Sent(), **AS_STORED).readall()
        return part

    def write(
        self,
        name: str,
        data: bytes,
        *,
        if_match: str | None = None,
        if_absent: bool = False,
        lease: Lease | None = None,
        metadata: dict[str, str] | None = None,
    ) -> str:
        if lease is not None and if_absent:  # what is leased exists; the emulator would create it anew
            raise Conflict(f"{self.name}/{name} cannot be both leased and absent")
        write_id = uuid.uuid4().hex
        options = _if_match(if_match)
        if lease is not None:  # here too
            options = {"match_condition": MatchConditions.IfPresent, **options, "lease": lease.id}
        try:
            with storage_errors(f"writing {self.name}/{name}"):
                done = self._blob(name).upload_blob(
                    data,
                    overwrite=not if_absent,
                    metadata={**(metadata or {}), WRITE_ID: write_id},
                    content_settings=_settings(name),
                    raw_request_hook=Sent(),
                    **options,
                )
        except Conflict:
            etag = self._written(name, write_id)
            if etag is None:
                raise
            return etag
        return _plain(done["etag"])

    def _written(self, name: str, write_id: str) -> str | None:
        """The ETag when the blob is the one that this write made: its answer was lost, and the retry refused."""
        try:
            found = self._properties(name)
        except NotFound:
            return None
        return _plain(found.etag) if (found.metadata or {}).get(WRITE_ID) == write_id else None

    # ---- files ----

    def download(self, name: str, path: Path, *, if_match: str | None = None) -> BlobInfo:
        with storage_errors(f"downloading {self.name}/{name}"):
            download = self._blob(name).download_blob(
                max_concurrency=_PARALLEL, raw_request_hook=Sent(), **AS_STORED, **_if_match(if_match)
            )
            # O_EXCL: a new file, never through a link that somebody put there
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
            try:
                with os.fdopen(descriptor, "w+b") as file:
                    download.readinto(file)
                    file.seek(0)
                    md5 = hashlib.file_digest(file, _md5).digest()
                    size = os.fstat(file.fileno()).st_size
                self._check(name, size, download.size, md5, download.properties.content_settings.content_md5)
            except BaseException:
                path.unlink(missing_ok=True)
                raise
        return _info(name, download.properties)

    def _check(
        self, name: str, size: int, expected_size: int, md5: bytes, expected_md5: bytes | bytearray | None
    ) -> None:
        if size != expected_size:
            raise StorageError(f"{self.name}/{name}: {size} of {expected_size} bytes arrived", advice="try again")
        if expected_md5 and bytes(expected_md5) != md5:
            said = f"its Content-MD5 {bytes(expected_md5).hex()} is false"
            raise WrongChecksum(f"{self.name}/{name} is damaged, or {said}: the bytes have {md5.hex()}")

    def upload(self, path: Path, name: str, *, content_type: str | None = None) -> str:
        with path.open("rb") as file, storage_errors(f"uploading {self.name}/{name}"):
            size = os.fstat(file.fileno()).st_size
            md5 = hashlib.file_digest(file, _md5).digest()  # of blobs in blocks the service keeps none by itself
            file.seek(0)
            done = self._blob(name).upload_blob(
                file,
                length=size,
                overwrite=True,
                max_concurrency=_PARALLEL,
                content_settings=_settings(name, content_type, md5),
                raw_request_hook=Sent(),
            )
        return _plain(done["etag"])

    def send(self, path: Path, name: str, told: Callable[[int], None]) -> None:
        """As `upload`; a broken one goes on (blocks.py). told: bytes that are there, one block after the other."""
        with storage_errors(f"uploading {self.name}/{name}"):
            blocks.upload(self._blob(name), path, _settings(name), told)

    def fetch(self, name: str, path: Path, told: Callable[[int], None]) -> None:
        """As `download`, into a file that is replaced; a broken one goes on. Nothing compares the checksum."""
        with storage_errors(f"downloading {self.name}/{name}"):
            blocks.download(self._blob(name), path, told)

    def copy_from(
        self, source: BlobStore, source_name: str, name: str, *, source_etag: str | None, if_absent: bool
    ) -> BlobInfo:
        if not isinstance(source, AzureBlobStore):
            raise ValueError("the source of a copy is a container of the same kind")
        copied = copy_blob(
            source._blob(source_name),
            self._blob(name),
            source_etag=source_etag,
            if_absent=if_absent,
            wait_s=self._copy_wait_s,
            sleep=self._sleep,
        )
        return _info(name, copied)

    def delete(self, name: str, *, if_match: str | None = None) -> None:
        sent = Sent()
        try:
            with storage_errors(f"deleting {self.name}/{name}"):
                self._blob(name).delete_blob(raw_request_hook=sent, **_if_match(if_match))
        except (NotFound, Conflict):
            if sent.times == 1 or self._exists(name):
                raise  # otherwise an earlier try deleted it, and its answer was lost

    def delete_refused(self, name: str, *, if_match: str) -> None:
        if not refusal(name):
            raise ValueError(f"{name!r} is no refused name")
        with storage_errors(f"deleting {self.name}/{name!r}"):
            delete_raw(self._container, name, _if_match(if_match))

    def _exists(self, name: str) -> bool:
        try:
            self._properties(name)
        except NotFound:
            return False
        return True

    def lease(self, name: str, seconds: int) -> AzureLease:
        if not 15 <= seconds <= 60:
            raise ValueError(f"a lease lasts 15 to 60 s, not {seconds}")
        # The id is ours, so that asking again after a lost answer is granted.
        client = BlobLeaseClient(self._blob(name), lease_id=str(uuid.uuid4()))
        with storage_errors(f"leasing {self.name}/{name}"):
            client.acquire(lease_duration=seconds, raw_request_hook=Sent())
        return AzureLease(client, f"{self.name}/{name}")

    def _blob(self, name: str) -> BlobClient:
        """Makes every client of a blob. Callers refuse hostile names; one that gets this far is a bug of ours."""
        reason = refusal(name)
        if reason:
            raise ValueError(f"{name!r} must not be used as a blob name: {reason}")
        return self._container.get_blob_client(name)


def _is_folder(blob: BlobProperties) -> bool:
    """A directory of an account with a hierarchical namespace."""
    return (blob.metadata or {}).get("hdi_isfolder") == "true" and not blob.size


def _md5() -> Any:
    return hashlib.md5(usedforsecurity=False)


def _plain(etag: object) -> str:
    return str(etag).strip('"')


def _if_match(etag: str | None) -> dict[str, Any]:
    return {} if etag is None else {"etag": f'"{etag}"', "match_condition": MatchConditions.IfNotModified}


def _settings(name: str, content_type: str | None = None, md5: bytes | None = None) -> ContentSettings:
    known = content_type or mimetypes.guess_type(name, strict=False)[0] or "application/octet-stream"
    return ContentSettings(content_type=known, content_md5=bytearray(md5) if md5 else None)


def _info(name: str, blob: BlobProperties) -> BlobInfo:
    metadata = {key: value for key, value in (blob.metadata or {}).items() if key != WRITE_ID}
    modified = blob.last_modified.astimezone(UTC)
    leased = blob.lease is not None and blob.lease.status == "locked"
    content = blob.content_settings
    return BlobInfo(
        name,
        _plain(blob.etag),
        int(blob.size),
        modified,
        metadata,
        copy_state(blob),
        leased,
        content_md5=bytes(content.content_md5 or b"").hex(),
        content_encoding=content.content_encoding or "",
        copied_bytes=copied_bytes(blob),
        archived=str(blob.blob_tier or "") == "Archive",
        rehydrating=bool(blob.archive_status),
    )
