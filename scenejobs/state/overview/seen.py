"""Containers as a few listings showed them, for whoever asks about many scenes at once.

`scene_status` asks five questions or more about one scene; a page of a hundred would be five hundred round trips. Here
each folder is listed once, at the first question about anything in it, and the answers are taken from that listing.
Blobs are read when they are asked for, and kept by their ETag from one look to the next (`Kept`): a finished scene
costs a read once. Only for reading: whoever changes something asks the storage itself.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NoReturn

from scenejobs.errors import NotFound
from scenejobs.ports import MAX_CONTROL_BYTES, BlobInfo, BlobStore, Containers, Listing
from scenejobs.state.layout import ACTIVE, BATCHES, CANCELLED, PROGRESS, RECORDS, SENDING, UNDELETED

FOLDERS = (RECORDS, BATCHES, PROGRESS, SENDING, UNDELETED, ACTIVE, CANCELLED)
"""Of the state container: each has a blob for a scene, or a few. What has history (spend/, generations/) is not."""
KEPT_BYTES = 32 * 2**20


@dataclass
class Kept:
    """Contents of small blobs by name and ETag; the least recently used go first. For several threads."""

    limit_bytes: int = KEPT_BYTES
    _data: OrderedDict[tuple[str, str, str], bytes] = field(default_factory=OrderedDict)
    _bytes: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def get(self, key: tuple[str, str, str]) -> bytes | None:
        with self._lock:
            found = self._data.get(key)
            if found is not None:
                self._data.move_to_end(key)
            return found

    def put(self, key: tuple[str, str, str], data: bytes) -> None:
        with self._lock:
            self._bytes += len(data) - len(self._data.pop(key, b""))
            self._data[key] = data
            while self._bytes > self.limit_bytes:
                self._bytes -= len(self._data.popitem(last=False)[1])


class Seen(BlobStore):
    """One container, from the time of the first question on. For several threads.

    folders: prefixes that are listed as a whole; () lists the whole container.
    """

    def __init__(self, store: BlobStore, kept: Kept, folders: tuple[str, ...] = ()) -> None:
        self._store, self._kept, self._folders = store, kept, folders
        self._listings: dict[str, tuple[Listing, dict[str, BlobInfo]]] = {}
        self._read: dict[str, tuple[bytes, str]] = {}
        self._now: datetime | None = None
        self._lock = threading.RLock()

    @property
    def name(self) -> str:
        return self._store.name

    def list(self, prefix: str = "") -> Iterator[BlobInfo]:
        return iter([info for info in self._listing(prefix)[0].blobs if info.name.startswith(prefix)])

    def list_all(self, prefix: str = "") -> Listing:
        found = self._listing(prefix)[0]
        blobs = tuple(info for info in found.blobs if info.name.startswith(prefix))
        return Listing(blobs, tuple(name for name in found.sending if name.startswith(prefix)))

    def sent_bytes(self, name: str) -> int:
        return self._store.sent_bytes(name)

    def now(self) -> datetime:
        with self._lock:
            self._now = self._now or self._store.now()
            return self._now

    def head(self, name: str) -> BlobInfo:
        if not self._is_listed(name):
            return self._store.head(name)
        found = self._listing(name)[1].get(name)
        if found is None:
            raise NotFound(f"{self.name}/{name} is not there")
        return found

    def read(self, name: str, *, limit_bytes: int = MAX_CONTROL_BYTES) -> tuple[bytes, str]:
        if not self._is_listed(name):
            with self._lock:
                if name not in self._read:
                    self._read[name] = self._store.read(name, limit_bytes=limit_bytes)
                return self._read[name]
        etag = self.head(name).etag
        if (data := self._kept.get((self.name, name, etag))) is not None:
            return data, etag
        data, etag = self._store.read(name, limit_bytes=limit_bytes)
        self._kept.put((self.name, name, etag), data)
        return data, etag

    def read_part(self, name: str, begin: int, count: int) -> bytes:
        return self._store.read_part(name, begin, count)

    def _is_listed(self, name: str) -> bool:
        return not self._folders or name.startswith(self._folders)

    def _listing(self, prefix: str) -> tuple[Listing, dict[str, BlobInfo]]:
        """Of the folder that is listed as a whole, or of just this prefix."""
        whole = next((folder for folder in self._folders if prefix.startswith(folder)), prefix if self._folders else "")
        with self._lock:
            if whole not in self._listings:
                found = self._store.list_all(whole) if not self._folders else Listing(tuple(self._store.list(whole)))
                self._listings[whole] = found, {info.name: info for info in found.blobs}
            return self._listings[whole]

    # ---- what is not for reading ----

    def write(self, *_: Any, **__: Any) -> NoReturn:
        raise ValueError("a container as it was seen is only for reading")

    download = upload = copy_from = delete = delete_refused = lease = write


def look(containers: Containers, kept: Kept) -> Containers:
    """No request yet. Results and archives are asked as they are: they are large, and no status needs them."""
    return Containers(
        input=Seen(containers.input, kept),
        output=containers.output,
        processed=containers.processed,
        error=containers.error,
        state=Seen(containers.state, kept, FOLDERS),
    )
