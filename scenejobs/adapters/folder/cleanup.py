"""Removes what killed processes left in the private folder, and the ETags of files that people removed."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from scenejobs.adapters.folder import etags, openat
from scenejobs.adapters.folder.clock import FolderClock
from scenejobs.adapters.folder.errors import os_errors
from scenejobs.adapters.folder.locks import exclusive
from scenejobs.adapters.folder.staging import STAGING

AGE_S = 24 * 3600.0  # an upload may take hours; what is older than this has no process any more


def tidy(folder: Path, age_s: float = AGE_S) -> int:
    """Removes files half written, and versions of files that are there no longer. Returns how many.

    May run beside everything else, and be repeated. Raises StorageError.
    """
    with os_errors(f"tidying {folder}"):
        before_ns = int((FolderClock(folder)().timestamp() - age_s) * 1e9)
        removed = 0
        with openat.private(folder, STAGING) as here:
            for leaf in _older(here, before_ns):
                with suppress(FileNotFoundError):
                    os.unlink(leaf, dir_fd=here)
                    removed += 1
        with openat.private(folder, "blobs") as here:
            shelves = sorted(os.listdir(here))
        return removed + sum(_tidy_shelf(folder, shelf, before_ns) for shelf in shelves)


def _tidy_shelf(folder: Path, shelf: str, before_ns: int) -> int:
    removed = 0
    with openat.private(folder, "blobs", shelf) as here:
        for leaf in _older(here, before_ns):
            data = openat.read_file(here, leaf, etags.MAX_BYTES)
            if data is None:
                continue
            name = _name_in(data)
            if name is None:  # never finished: it belongs to nothing
                with suppress(FileNotFoundError):
                    os.unlink(leaf, dir_fd=here)
                    removed += 1
                continue
            with exclusive(folder, name):  # nobody is about to give this version its name
                if not _is_current(folder, name, leaf):
                    with suppress(FileNotFoundError):
                        os.unlink(leaf, dir_fd=here)
                        removed += 1
    return removed


def _name_in(data: bytes) -> str | None:
    try:
        return str(json.loads(data)["name"])
    except (ValueError, KeyError, TypeError):
        return None


def _is_current(folder: Path, name: str, leaf: str) -> bool:
    *above, last = name.split("/")
    try:
        with openat.folder(folder, above) as here:
            return etags.file_name(name, openat.status_of(here, last)) == leaf
    except (FileNotFoundError, NotADirectoryError):
        return False


def _older(here: int, before_ns: int) -> Iterator[str]:
    with os.scandir(here) as entries:
        leaves = [entry.name for entry in entries if entry.is_file(follow_symlinks=False)]
    for leaf in leaves:
        with suppress(FileNotFoundError):
            if os.stat(leaf, dir_fd=here, follow_symlinks=False).st_mtime_ns < before_ns:
                yield leaf
