"""A BlobStore in memory."""

from __future__ import annotations

import functools
import hashlib
import itertools
import os
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from scenejobs.adapters import kept
from scenejobs.adapters.memory.clock import Clock, system_clock
from scenejobs.adapters.memory.guards import Guards
from scenejobs.errors import Busy, Conflict, LeaseLost, NotFound, StorageError, WrongChecksum
from scenejobs.names import refusal
from scenejobs.ports import MAX_CONTROL_BYTES, BlobInfo, BlobStore, Lease, Listing


@dataclass
class _Blob:
    data: bytes
    etag: str
    modified: datetime
    metadata: dict[str, str]
    content_md5: str = ""
    content_encoding: str = ""
    lease_id: str | None = None
    lease_until: datetime | None = None
    lease_seconds: int = 0
    guards: Guards = field(default_factory=Guards)
    copy: _Copy | None = None  # under way, or failed; None: whole
    copies: list[_Blob] = field(default_factory=list)  # that are being made of this one


@dataclass
class _Copy:
    """A copy that the service makes in the background. It goes on when its caller dies, and needs its source."""

    data: bytes
    began_at: datetime
    ends_at: datetime
    succeeds: bool
    failed: bool = False

    def copied(self, now: datetime) -> int:
        whole_s = (self.ends_at - self.began_at).total_seconds()
        return round(len(self.data) * min(1.0, (now - self.began_at).total_seconds() / whole_s)) if whole_s else 0


CopyPlan = Callable[[], tuple[float, bool]]  # how many seconds the next copy takes, and whether it then succeeds
COPY_WAIT_S = 900.0
COPY_POLL_S = 5.0


class MemoryLease:
    """See scenejobs.ports.Lease."""

    def __init__(self, store: MemoryBlobStore, name: str, lease_id: str) -> None:
        self._store = store
        self._name = name
        self._id = lease_id

    @property
    def id(self) -> str:
        return self._id

    def renew(self) -> None:
        with self._store.lock:
            blob = self._store.blobs.get(self._name)
            if blob is None or blob.lease_id != self._id:
                raise LeaseLost(f"the lease of {self._name} is somebody else's")
            blob.lease_until = self._store.clock() + timedelta(seconds=blob.lease_seconds)

    def release(self) -> None:
        with self._store.lock:
            blob = self._store.blobs.get(self._name)
            if blob is not None and blob.lease_id == self._id:
                blob.lease_id = blob.lease_until = None


class MemoryBlobStore:
    """See scenejobs.ports.BlobStore."""

    def __init__(
        self,
        name: str = "container",
        clock: Clock = system_clock,
        *,
        copy_plan: CopyPlan = lambda: (0.0, True),
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self.name = name
        self.clock = clock
        self._copy_plan, self._pause = copy_plan, pause
        self.blobs: dict[str, _Blob] = {}  # names that users choose are put here by tests; calls refuse hostile ones
        self.staged: dict[str, dict[str, bytes]] = {}  # by name, blocks by their id that no list of blocks names yet
        self.lock = threading.RLock()
        self._versions = itertools.count(1)

    def now(self) -> datetime:
        return self.clock().replace(microsecond=0)

    def list(self, prefix: str = "") -> Iterator[BlobInfo]:
        yield from self.list_all(prefix).blobs

    def list_all(self, prefix: str = "") -> Listing:
        with self.lock:
            found = [self._info(name, blob) for name, blob in sorted(self.blobs.items()) if name.startswith(prefix)]
            sending = [name for name in sorted(self.staged) if name.startswith(prefix) and name not in self.blobs]
        return Listing(tuple(info for info in found if not _is_folder(info)), tuple(sending))

    def sent_bytes(self, name: str) -> int:
        _guard(name)
        with self.lock:
            return sum(map(len, self.staged.get(name, {}).values()))

    def stage_block(self, name: str, block_id: str, data: bytes) -> None:
        """Sends a block of an upload, which shows in `list_all` alone before it is committed."""
        _guard(name)
        with self.lock:
            self.staged.setdefault(name, {})[block_id] = data

    def commit_blocks(self, name: str, block_ids: Sequence[str] | None = None) -> str:
        """Makes the blob of blocks that were sent, of all in the order of their ids by default; returns the ETag."""
        with self.lock:
            blocks = self.staged.get(name, {})
            return self.put(name, b"".join(blocks[each] for each in block_ids or sorted(blocks)), content_md5="")

    def head(self, name: str) -> BlobInfo:
        info = self._info(name, self._get(name))
        if _is_folder(info):
            raise NotFound(f"{self.name}/{name} is a directory")
        return info

    def read(self, name: str, *, limit_bytes: int = MAX_CONTROL_BYTES) -> tuple[bytes, str]:
        with self.lock:
            blob = self._get(name)
            blob.guards.check("read", f"{self.name}/{name}", self.clock)
            if len(blob.data) > limit_bytes:
                raise StorageError(f"{self.name}/{name} has {len(blob.data):,} bytes; at most {limit_bytes:,} are read")
            self._check_md5(name, blob)
            return blob.data, blob.etag

    def read_part(self, name: str, begin: int, count: int) -> bytes:
        with self.lock:
            blob = self._get(name)
            blob.guards.check("read", f"{self.name}/{name}", self.clock)
            return blob.data[begin : begin + count]

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
        _guard(name)
        with self.lock:
            old = self.blobs.get(name)
            if if_absent and old is not None:
                raise Conflict(f"{self.name}/{name} exists already")
            if if_match is not None and (old is None or old.etag != if_match):
                raise Conflict(f"{self.name}/{name} is another version now")
            self._check_lease(name, old, lease)
            self._check_copy(name, old)
            guards = old.guards if old is not None else Guards()
            guards.check("write", f"{self.name}/{name}", self.clock)
            new = _Blob(data, self._etag(name), self.now(), dict(metadata or {}), _md5(data))
            new.guards = replace(guards, tier="")  # its snapshots stay
            if old is not None:
                new.lease_id, new.lease_until, new.lease_seconds = old.lease_id, old.lease_until, old.lease_seconds
                self._fail_copies_of(old)
            self.blobs[name] = new
            self.staged.pop(name, None)  # a commit in one request or of blocks, either leaves no block behind
            return new.etag

    def put(
        self,
        name: str,
        data: bytes,
        *,
        metadata: dict[str, str] | None = None,
        content_md5: str | None = None,
        content_encoding: str = "",
    ) -> str:
        """Uploads as a program of somebody else may: with properties that are false, or without an MD5 ("").

        content_md5: in lowercase hex; None: the true one, as the service keeps it of what came in one request.
        """
        with self.lock:
            etag = self.write(name, data, metadata=metadata)
            blob = self.blobs[name]
            blob.content_encoding = content_encoding
            if content_md5 is not None:
                blob.content_md5 = content_md5
            return etag

    def download(self, name: str, path: Path, *, if_match: str | None = None) -> BlobInfo:
        blob = self._get(name)
        if if_match is not None and blob.etag != if_match:
            raise Conflict(f"{self.name}/{name} is another version now")
        blob.guards.check("read", f"{self.name}/{name}", self.clock)
        self._check_md5(name, blob)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(blob.data)
        return self._info(name, blob)

    def _check_md5(self, name: str, blob: _Blob) -> None:
        if blob.copy is None and blob.content_md5 and blob.content_md5 != (found := _md5(blob.data)):
            said = f"its Content-MD5 {blob.content_md5} is false"
            raise WrongChecksum(f"{self.name}/{name} is damaged, or {said}: the bytes have {found}")

    def upload(self, path: Path, name: str, *, content_type: str | None = None) -> str:
        del content_type  # nobody reads it back from memory
        return self.write(name, path.read_bytes())

    def copy_from(
        self, source: BlobStore, source_name: str, name: str, *, source_etag: str | None, if_absent: bool
    ) -> BlobInfo:
        self.begin_copy(source, source_name, name, source_etag=source_etag, if_absent=if_absent)
        return self.finish_copy(name)

    def begin_copy(
        self, source: BlobStore, source_name: str, name: str, *, source_etag: str | None, if_absent: bool
    ) -> None:
        """The first half of `copy_from`: the copy is complete or in progress when it returns."""
        _guard(name)
        if not isinstance(source, MemoryBlobStore):
            raise ValueError("the source of a copy is a container of the same kind")
        original = source._get(source_name)
        if source_etag is not None and original.etag != source_etag:
            raise Conflict(f"{source_name} is another version now")
        if source._copy_state(original):
            raise Conflict(f"{source_name} is itself a copy that is not whole")
        original.guards.check("read", f"{source.name}/{source_name}", self.clock)
        with self.lock:
            there = self.blobs.get(name)
            same = there is not None and there.metadata.get("source_etag") == original.etag
            if there is not None and same and (if_absent or self._copy_state(there) == "pending"):
                return  # like the Azure adapter: the same copy was made or begun before
            self.write(name, original.data, if_absent=if_absent, metadata={"source_etag": original.etag})
            made = self.blobs[name]
            made.content_md5, made.content_encoding = original.content_md5, original.content_encoding
            seconds, succeeds = self._copy_plan()
            if seconds or not succeeds:
                made.copy = _Copy(original.data, self.clock(), self.clock() + timedelta(seconds=seconds), succeeds)
                made.data = b"\0" * len(original.data)  # undefined until the copy is complete
                original.copies.append(made)

    def finish_copy(self, name: str) -> BlobInfo:
        """The second half: waits until the copy is whole. Raises StorageError when it failed, Busy after a while."""
        waited_s = 0.0
        while (found := self.head(name)).copy == "pending":
            if waited_s >= COPY_WAIT_S:
                raise Busy(f"copying to {self.name}/{name}: not finished after {waited_s:.0f} s")
            self._pause(COPY_POLL_S)
            waited_s += COPY_POLL_S
        if found.copy:
            self.delete(name, if_match=found.etag)  # like the Azure adapter: it would block the next try
            raise StorageError(f"copying to {self.name}/{name}: the copy failed")
        return found

    def delete(self, name: str, *, if_match: str | None = None) -> None:
        with self.lock:
            blob = self._get(name)
            if if_match is not None and blob.etag != if_match:
                raise Conflict(f"{self.name}/{name} is another version now")
            self._check_lease(name, blob, None)
            self._check_copy(name, blob)
            blob.guards.check("delete", f"{self.name}/{name}", self.clock)
            self._fail_copies_of(blob)
            del self.blobs[name]
            self.staged.pop(name, None)  # like the emulator

    def delete_refused(self, name: str, *, if_match: str) -> None:
        if not refusal(name):
            raise ValueError(f"{name!r} is no refused name")
        with self.lock:
            blob = self.blobs.get(name)
            if blob is None:
                raise NotFound(f"{self.name}/{name!r} does not exist")
            if blob.etag != if_match:
                raise Conflict(f"{self.name}/{name!r} is another version now")
            del self.blobs[name]

    def lease(self, name: str, seconds: int) -> MemoryLease:
        if not 15 <= seconds <= 60:
            raise ValueError(f"a lease lasts 15 to 60 s, not {seconds}")
        with self.lock:
            blob = self._get(name)
            if self._leased(blob):
                raise Conflict(f"{self.name}/{name} is leased")
            blob.lease_id, blob.lease_seconds = str(uuid.uuid4()), seconds
            blob.lease_until = self.clock() + timedelta(seconds=seconds)
            return MemoryLease(self, name, blob.lease_id)

    def lease_without_end(self, name: str) -> MemoryLease:
        """The lease that anybody who may write the blob can take, and need never give back."""
        lease = self.lease(name, 60)
        self.blobs[name].lease_until = datetime.max.replace(tzinfo=UTC)
        return lease

    def guards(self, name: str) -> Guards:
        """What others put on a blob, to be changed by tests. Its ETag stays the same, as on the service."""
        return self._get(name).guards

    def _get(self, name: str) -> _Blob:
        _guard(name)
        if name not in self.blobs:
            raise NotFound(f"{self.name}/{name} does not exist")
        blob = self.blobs[name]
        self._copy_state(blob)
        return blob

    def _leased(self, blob: _Blob) -> bool:
        return blob.lease_until is not None and blob.lease_until > self.clock()

    def _check_lease(self, name: str, blob: _Blob | None, lease: Lease | None) -> None:
        held = blob is not None and self._leased(blob)
        if held and (lease is None or blob is None or lease.id != blob.lease_id):
            raise Conflict(f"{self.name}/{name} is leased by somebody else", advice=kept.LEASED)
        if lease is not None and not held:
            raise Conflict(f"the lease of {self.name}/{name} has ended")
        if not held and blob is not None:
            blob.lease_id = None  # as in the service: an expired lease that saw a write can no longer be renewed

    def _copy_state(self, blob: _Blob) -> Literal["", "pending", "failed"]:
        """Ends a copy whose time is up."""
        if blob.copy is None:
            return ""
        if not blob.copy.failed and self.clock() >= blob.copy.ends_at:
            if blob.copy.succeeds:
                blob.data, blob.copy = blob.copy.data, None
                return ""
            blob.copy.failed = True
        return "failed" if blob.copy.failed else "pending"

    def _check_copy(self, name: str, blob: _Blob | None) -> None:
        if blob is not None and self._copy_state(blob) == "pending":
            raise Conflict(f"a copy to {self.name}/{name} is under way")

    def _fail_copies_of(self, source: _Blob) -> None:
        for blob in source.copies:
            if self._copy_state(blob) == "pending" and blob.copy is not None:
                blob.copy.failed = True

    def _etag(self, name: str) -> str:
        return hashlib.sha256(f"{name}#{next(self._versions)}".encode()).hexdigest()[:16].upper()

    def _info(self, name: str, blob: _Blob) -> BlobInfo:
        copy, leased = self._copy_state(blob), self._leased(blob)
        return BlobInfo(
            name,
            blob.etag,
            len(blob.data),
            blob.modified,
            dict(blob.metadata),
            copy,
            leased,
            content_md5=blob.content_md5,
            content_encoding=blob.content_encoding,
            copied_bytes=blob.copy.copied(self.clock()) if blob.copy and copy == "pending" else 0,
            archived=blob.guards.in_archive_tier(self.clock),
            rehydrating=blob.guards.rehydrated_at is not None,
        )


def _is_folder(info: BlobInfo) -> bool:
    """A directory of an account with a hierarchical namespace."""
    return info.metadata.get("hdi_isfolder") == "true" and not info.size_bytes


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


@functools.lru_cache(maxsize=4096)  # most of the time of a thousand simulated schedules was spent here
def _guard(name: str) -> None:
    reason = refusal(name)
    if reason:
        raise ValueError(f"{name!r} must not be used as a blob name: {reason}")
