"""The clock of a folder: that of the machine that owns the disk, which on a network mount is another one."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from scenejobs.adapters.folder import openat
from scenejobs.adapters.folder.errors import os_errors


class FolderClock:
    """Touches a file and reads its time, so that ages of blobs and ends of leases mean the same to every machine."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(self) -> datetime:
        with os_errors(f"asking {self._folder} for the time"), openat.private(self._folder) as here:
            descriptor = os.open("clock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=here)
            try:
                os.utime(descriptor)
                return moment(os.fstat(descriptor).st_mtime_ns)
            finally:
                os.close(descriptor)


def moment(nanoseconds: int) -> datetime:
    return datetime.fromtimestamp(nanoseconds // 1000 / 1e6, UTC)
