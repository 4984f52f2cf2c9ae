"""A folder as a BlobStore. What holds on which file system is said in `scenejobs/adapters/folder/__init__.py`."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import BinaryIO

from scenejobs.adapters.folder import etags, leases, openat
from scenejobs.adapters.folder.clock import FolderClock
from scenejobs.adapters.folder.errors import os_errors
from scenejobs.adapters.folder.locks import exclusive
from scenejobs.adapters.folder.staging import Staged, give_name, staging
from scenejobs.errors import Busy, Conflict, LeaseLost, NotFound, StorageError
from scenejobs.names import refusal
from scenejobs.ports import MAX_CONTROL_BYTES, BlobInfo, BlobStore, Lease, Listing

SOURCE_ETAG = "source_etag"  # metadata of a copy
_LOOKS = 20  # tries to read a file that changes meanwhile


class FolderLease:
    """See scenejobs.ports.Lease."""

    def __init__(self, store: FolderBlobStore, name: str, lease_id: str) -> None:
        self._store = store
        self._name = name
        self._id = lease_id

    @property
    def id(self) -> str:
        return self._id

    def renew(self) -> None:
        with self._store.changing(self._name, "renewing the lease of"):
            held = leases.load(self._store.folder, self._name)
            if held is None or held.id != self._id or self._store.current(self._name) is None:
                raise LeaseLost(f"the lease of {self._store.name}/{self._name} is somebody else's")
            leases.save(self._store.folder, self._name, held.renewed(self._store.clock()))

    def release(self) -> None:
        with self._store.changing(self._name, "releasing the lease of"):
            held = leases.load(self._store.folder, self._name)
            if held is not None and held.id == self._id:
                leases.drop(self._store.folder, self._name)


class FolderBlobStore:
    """See scenejobs.ports.BlobStore.

    folder: exists. clock: of leases, and of `now`. of_people: they put files there. Its folders stay when they become
    empty, a link or a pipe is listed as unusable, so that somebody hears of it, and one that this user may not open is
    passed over; elsewhere these are nothing.
    """

    def __init__(
        self,
        folder: Path,
        name: str = "",
        *,
        clock: Callable[[], datetime] | None = None,
        of_people: bool = False,
    ) -> None:
        self.folder = folder
        self.name = name or folder.name
        self.clock = clock or FolderClock(folder)
        self._of_people = of_people
        self.unopened: set[str] = set()  # folders of people that the last whole listing could not open
        with os_errors(f"opening the folder {folder}"):
            openat.prepare(folder)

    # ---- listing ----

    def list(self, prefix: str = "") -> Iterator[BlobInfo]:
        with os_errors(f"listing {self.name}/{prefix}"):
            with openat.private(self.folder):
                pass  # the volume is there
            unopened: set[str] = set()
            denied = unopened.add if self._of_people else None
            for name, here, leaf in openat.walk(self.folder, prefix, all_kinds=self._of_people, denied=denied):
                if (info := self._listed(here, leaf, name)) is not None:
                    yield info
            if not prefix:
                self.unopened = unopened

    def _listed(self, here: int, leaf: str, name: str) -> BlobInfo | None:
        """None for what was removed since."""
        with suppress(FileNotFoundError):
            return self._version(here, leaf, name)[0]
        with suppress(FileNotFoundError):
            return self._special(here, leaf, name)
        return None

    def list_all(self, prefix: str = "") -> Listing:
        return Listing(tuple(self.list(prefix)))  # a file is there from its first byte

    def sent_bytes(self, name: str) -> int:
        _guard(name)
        return 0

    def now(self) -> datetime:
        return self.clock().replace(microsecond=0)

    def head(self, name: str) -> BlobInfo:
        _guard(name)
        with os_errors(f"looking at {self.name}/{name}", looking=True), self._above(name) as (here, leaf):
            return self._version(here, leaf, name)[0]

    def current(self, name: str) -> tuple[BlobInfo, os.stat_result] | None:
        """The blob as it is now, or None. The caller holds its lock."""
        try:
            with os_errors(f"looking at {self.name}/{name}", looking=True), self._above(name) as (here, leaf):
                return self._version(here, leaf, name)
        except NotFound:
            return None

    def _version(self, here: int, leaf: str, name: str) -> tuple[BlobInfo, os.stat_result]:
        for _ in range(_LOOKS):
            status = openat.status_of(here, leaf)
            version = etags.load(self.folder, name, status)
            # Without a version of ours, look again: it may have been replaced, and its version dropped, in between.
            if version is not None or etags.stamp(openat.status_of(here, leaf)) == etags.stamp(status):
                return etags.info(name, status, version, leased=self._held(name) is not None), status
        raise Busy(f"{self.name}/{name} changes all the time", advice="wait until its copying has ended")

    def _special(self, here: int, leaf: str, name: str) -> BlobInfo | None:
        """What people put there that is no file."""
        found = openat.special(here, leaf) if self._of_people else None
        return etags.special_info(name, found[1], found[0]) if found else None

    @contextmanager
    def _above(self, name: str) -> Iterator[tuple[int, str]]:
        *above, leaf = name.split("/")
        with openat.folder(self.folder, above) as here:
            yield here, leaf

    @contextmanager
    def reading(self, name: str) -> Iterator[tuple[BlobInfo, BinaryIO]]:
        """One version of a blob, from its first byte to its last. Raises Conflict when it was changed meanwhile."""
        with self._above(name) as (here, leaf):
            for _ in range(_LOOKS):
                with openat.opened(here, leaf) as descriptor, os.fdopen(descriptor, "rb", closefd=False) as file:
                    status = os.fstat(descriptor)
                    version = etags.load(self.folder, name, status)
                    if version is None and etags.stamp(openat.status_of(here, leaf)) != etags.stamp(status):
                        continue
                    yield etags.info(name, status, version, leased=self._held(name) is not None), file
                    if etags.stamp(os.fstat(descriptor)) != etags.stamp(status):
                        raise Conflict(f"{self.name}/{name} was changed while it was read")
                    return
        raise Busy(f"{self.name}/{name} changes all the time", advice="wait until its copying has ended")

    # ---- small blobs ----

    def read(self, name: str, *, limit_bytes: int = MAX_CONTROL_BYTES) -> tuple[bytes, str]:
        _guard(name)
        with os_errors(f"reading {self.name}/{name}", looking=True), self.reading(name) as (info, file):
            if info.size_bytes > limit_bytes:
                raise StorageError(
                    f"{self.name}/{name} has {info.size_bytes:,} bytes; at most {limit_bytes:,} are read"
                )
            return file.read(info.size_bytes), info.etag

    def read_part(self, name: str, begin: int, count: int) -> bytes:
        _guard(name)
        with os_errors(f"reading a part of {self.name}/{name}", looking=True), self.reading(name) as (_, file):
            file.seek(begin)
            return file.read(count)

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
        with self._staging(f"writing {self.name}/{name}") as staged:
            staged.file.write(data)
            return self._commit(staged, name, metadata or {}, if_match=if_match, if_absent=if_absent, lease=lease)

    # ---- files ----

    def download(self, name: str, path: Path, *, if_match: str | None = None) -> BlobInfo:
        _guard(name)
        doing = f"downloading {self.name}/{name}"
        # O_EXCL: a new file, never through a link that somebody put there
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with (
                os.fdopen(descriptor, "wb") as target,
                os_errors(doing, looking=True),
                self.reading(name) as (info, file),
            ):
                if if_match is not None and info.etag != if_match:
                    raise Conflict(f"{self.name}/{name} is another version now")
                _copy_bytes(file, target, info.size_bytes, doing)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return info

    def upload(self, path: Path, name: str, *, content_type: str | None = None) -> str:
        _guard(name)
        del content_type  # a file says what it is by its name
        with path.open("rb") as file, self._staging(f"uploading {self.name}/{name}") as staged:
            shutil.copyfileobj(file, staged.file, 1 << 20)
            return self._commit(staged, name, {})

    def copy_from(
        self, source: BlobStore, source_name: str, name: str, *, source_etag: str | None, if_absent: bool
    ) -> BlobInfo:
        _guard(name)
        _guard(source_name)
        if not isinstance(source, FolderBlobStore):
            raise ValueError("the source of a copy is a container of the same kind")
        doing = f"copying {source.name}/{source_name} to {self.name}/{name}"
        with os_errors(doing, looking=True), source.reading(source_name) as (original, file):
            if source_etag is not None and original.etag != source_etag:
                raise Conflict(f"{source.name}/{source_name} is another version now")
            there = self.current(name)
            if if_absent and there is not None:  # so that nothing is copied in vain; looked at again below
                return self._same_copy(there[0], original)
            with self._staging(doing) as staged:
                _copy_bytes(file, staged.file, original.size_bytes, doing)
                try:
                    self._commit(staged, name, {SOURCE_ETAG: original.etag}, if_absent=if_absent)
                except Conflict:
                    there = self.current(name)
                    if not if_absent or there is None:
                        raise
                    return self._same_copy(there[0], original)
        return self.head(name)

    def _same_copy(self, there: BlobInfo, original: BlobInfo) -> BlobInfo:
        if there.metadata.get(SOURCE_ETAG) == original.etag and there.size_bytes == original.size_bytes:
            return there
        raise Conflict(f"{self.name}/{there.name} exists already")

    def delete(self, name: str, *, if_match: str | None = None) -> None:
        _guard(name)
        self._delete(name, if_match)

    def delete_refused(self, name: str, *, if_match: str) -> None:
        if not refusal(name):
            raise ValueError(f"{name!r} is no refused name")
        segments = name.split("/")
        if segments[0].casefold() == openat.PRIVATE or any(segment in ("", ".", "..") for segment in segments):
            raise NotFound(f"no file of {self.name} has the name {name!r}")
        self._delete(name, if_match)

    def _delete(self, name: str, if_match: str | None) -> None:
        with self.changing(name, "deleting"):
            found = self.current(name)
            if found is None:
                self._delete_special(name, if_match)
                return
            info, status = found
            if if_match is not None and info.etag != if_match:
                raise Conflict(f"{self.name}/{name} is another version now")
            self._check_lease(name, None)
            leases.drop(self.folder, name)
            with self._above(name) as (here, leaf):
                os.unlink(leaf, dir_fd=here)
            etags.drop(self.folder, name, status)
            if not self._of_people:
                self._remove_empty(name.split("/")[:-1])

    def _delete_special(self, name: str, if_match: str | None) -> None:
        """A link goes, and what it points to stays."""
        with os_errors(f"deleting {self.name}/{name}", looking=True), self._above(name) as (here, leaf):
            info = self._special(here, leaf, name)
            if info is None:
                raise NotFound(f"{self.name}/{name} does not exist")
            if if_match is not None and info.etag != if_match:
                raise Conflict(f"{self.name}/{name} is another version now")
            os.unlink(leaf, dir_fd=here)

    def _remove_empty(self, above: Sequence[str]) -> None:
        for depth in range(len(above), 0, -1):
            try:
                with openat.folder(self.folder, above[: depth - 1]) as here:
                    os.rmdir(above[depth - 1], dir_fd=here)
            except OSError:  # not empty, or somebody else removed it: either way there is nothing left to do
                return

    # ---- leases ----

    def lease(self, name: str, seconds: int) -> FolderLease:
        _guard(name)
        if not 15 <= seconds <= 60:
            raise ValueError(f"a lease lasts 15 to 60 s, not {seconds}")
        with self.changing(name, "leasing"):
            if self.current(name) is None:
                raise NotFound(f"{self.name}/{name} does not exist")
            if self._held(name) is not None:
                raise Conflict(f"{self.name}/{name} is leased")
            now = self.clock()
            held = leases.Held(secrets.token_hex(16), now + timedelta(seconds=seconds), seconds)
            leases.save(self.folder, name, held)
            return FolderLease(self, name, held.id)

    def _held(self, name: str) -> leases.Held | None:
        held = leases.load(self.folder, name)
        return held if held is not None and held.until > self.clock() else None

    def _check_lease(self, name: str, lease: Lease | None) -> None:
        held = self._held(name)
        if held is not None and (lease is None or lease.id != held.id):
            raise Conflict(f"{self.name}/{name} is leased by somebody else")
        if lease is not None and held is None:
            raise Conflict(f"the lease of {self.name}/{name} has ended")

    # ---- changing ----

    @contextmanager
    def changing(self, name: str, doing: str) -> Iterator[None]:
        """Under the blob's lock."""
        with os_errors(f"{doing} {self.name}/{name}"), exclusive(self.folder, name):
            yield

    @contextmanager
    def _staging(self, doing: str) -> Iterator[Staged]:
        with os_errors(doing), staging(self.folder) as staged:
            yield staged

    def _commit(
        self,
        staged: Staged,
        name: str,
        metadata: dict[str, str],
        *,
        if_match: str | None = None,
        if_absent: bool = False,
        lease: Lease | None = None,
    ) -> str:
        """Gives the finished file its name. Its ETag and metadata are saved before it appears: see `etags.py`."""
        status = staged.finished()
        version = etags.Version(secrets.token_hex(8).upper(), dict(metadata))
        with exclusive(self.folder, name):
            found = self.current(name)
            if if_absent and found is not None:
                raise Conflict(f"{self.name}/{name} exists already")
            if if_match is not None and (found is None or found[0].etag != if_match):
                raise Conflict(f"{self.name}/{name} is another version now")
            self._check_lease(name, lease)
            if lease is None:
                leases.drop(self.folder, name)  # an expired lease cannot be renewed after a change
            etags.save(self.folder, name, status, version)
            try:
                give_name(self.folder, staged, name, replace=not if_absent)
            except BaseException:
                etags.drop(self.folder, name, status)
                raise
            if found is not None:
                etags.drop(self.folder, name, found[1])
        return version.etag


def _copy_bytes(source: BinaryIO, target: BinaryIO, size: int, doing: str) -> None:
    shutil.copyfileobj(source, target, 1 << 20)
    target.flush()
    arrived = os.fstat(target.fileno()).st_size
    if arrived != size:
        raise StorageError(f"{doing}: {arrived} of {size} bytes arrived", advice="try again")


def _guard(name: str) -> None:
    reason = refusal(name)
    if reason:
        raise ValueError(f"{name!r} must not be used as a blob name: {reason}")
