"""The input folder as it was seen to change, so that a file that is still being copied is never taken for an upload.

A blob is there when its upload is over; a file is there from its first byte. Its own times do not tell: copying tools
set old ones, and network mounts bring them late. So each file counts as young as the last change of its size, time or
inode that this process saw itself, and the dispatcher's quiet time is measured from there. After a restart everything
is seen for the first time again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path, PurePosixPath

from scenejobs.adapters.folder import FolderBlobStore
from scenejobs.names import is_ready_marker
from scenejobs.ports import BlobInfo

# Names that tools give to what they have not finished: browsers, WinSCP, curl, Syncthing, rsync --partial-dir.
UNFINISHED = frozenset({".part", ".partial", ".crdownload", ".filepart", ".download", ".tmp"})
ABANDONED = timedelta(hours=1)  # after so long without a change it is a file like any other
UNCONFIRMED = timedelta(seconds=1)  # how much younger than any end marker a file counts that was seen only once


@dataclass
class _Seen:
    """What is known about one file."""

    etag: str
    since: datetime  # by the folder's clock: when this version was seen first
    confirmed: bool = False  # a later look has found the same version


class ObservedFolder(FolderBlobStore):
    """An input folder whose listings tell for how long each file has not been seen to change."""

    def __init__(self, folder: Path, name: str = "", *, clock: Callable[[], datetime] | None = None) -> None:
        super().__init__(folder, name, clock=clock, keep_empty_folders=True)
        self._seen: dict[str, _Seen] = {}

    def list(self, prefix: str = "") -> Iterator[BlobInfo]:
        now = self.clock()
        listed: set[str] = set()
        for info in super().list(prefix):
            listed.add(info.name)
            yield replace(info, modified=self._changed_at(info, now))
        for name in [name for name in self._seen if name.startswith(prefix) and name not in listed]:
            del self._seen[name]

    def _changed_at(self, info: BlobInfo, now: datetime) -> datetime:
        seen = self._seen.get(info.name)
        if seen is None or seen.etag != info.etag:
            seen = self._seen[info.name] = _Seen(info.etag, now)
        elif now > seen.since:
            seen.confirmed = True
        if PurePosixPath(info.name).suffix.lower() in UNFINISHED and now - seen.since < ABANDONED:
            return now + UNCONFIRMED
        changed_at = max(info.modified, seen.since)
        # An end marker speaks for what was there before it. Copied in one go, it may overtake a file that still grows.
        return changed_at if seen.confirmed or is_ready_marker(info.name) else changed_at + UNCONFIRMED
