"""An input folder whose files are as old as their last observed change, so that a file still being copied is no upload.

A blob exists when its upload is complete; a file exists from its first byte. Its own times cannot be relied on: copying
tools set old ones, and network mounts update them late. So the age of each file counts from the last change of its
size, time or inode that this process observed, and the dispatcher's quiet time is measured from there. After a restart
everything is seen for the first time again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path, PurePosixPath

from scenejobs.adapters.folder import FolderBlobStore
from scenejobs.names import UNFINISHED, is_ready_marker
from scenejobs.ports import BlobInfo

ABANDONED = timedelta(hours=1)  # after so long without a change such a file is one like any other
UNCONFIRMED = timedelta(seconds=1)  # a file that was seen only once counts as younger than any end marker by this


@dataclass
class _Seen:
    """What was observed of one file."""

    etag: str
    since: datetime  # by the folder's clock: when this version was first seen
    confirmed: bool = False  # a later poll has found the same version


class StableFolder(FolderBlobStore):
    """A listing gives as `modified` of each file the last change that this process observed."""

    def __init__(
        self,
        folder: Path,
        name: str = "",
        *,
        clock: Callable[[], datetime] | None = None,
        holds: Callable[[BlobInfo], bool] = lambda _: False,
    ) -> None:
        """holds: whether an upload keeps its scene waiting, as one that is still copied does."""
        super().__init__(folder, name, clock=clock, of_people=True)
        self._holds = holds
        self._seen: dict[str, _Seen] = {}

    def list(self, prefix: str = "") -> Iterator[BlobInfo]:
        now = self.clock()
        listed: set[str] = set()
        for info in super().list(prefix):
            listed.add(info.name)
            changed_at = self._changed_at(info, now)
            yield replace(info, modified=now + UNCONFIRMED if self._holds(info) else changed_at)
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
        # An end marker vouches for the files before it. Copied in one go, it may overtake a file that still grows.
        return changed_at if seen.confirmed or is_ready_marker(info.name) else changed_at + UNCONFIRMED
