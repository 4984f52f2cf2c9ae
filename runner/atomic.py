"""Files that are either there completely or not at all."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from scenejobs.errors import Code, ResourceError

FULL = {errno.ENOSPC, errno.EDQUOT}


@dataclass(frozen=True)
class WrittenFile:
    """What went to disk, computed from the bytes on their way."""

    size_bytes: int
    sha256: str  # hexadecimal


@contextmanager
def naming_a_full_disk(name: str) -> Iterator[None]:
    """Turns "no space left" into a ResourceError that names the file; every other error passes."""
    try:
        yield
    except OSError as exc:
        if exc.errno not in FULL:
            raise
        raise ResourceError(
            f"no space left while writing {name}", code=Code.DISK_FULL, advice="give the workspace a larger disk"
        ) from exc


def write_atomically(path: Path, blocks: Iterable[bytes]) -> WrittenFile:
    """Writes the blocks to a temporary neighbour, flushes it to the disk and renames it to `path`.

    A reader sees the old file or the whole new one; a kill leaves at most `.<name>.part`, which the next write
    replaces.
    Raises ResourceError when the disk is full.
    """
    part = path.with_name(f".{path.name}.part")
    digest, size_bytes = hashlib.sha256(), 0
    try:
        with part.open("wb") as file:
            for block in blocks:
                file.write(block)
                digest.update(block)
                size_bytes += len(block)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        _sync_folder(path.parent)
    except OSError as exc:
        if exc.errno in FULL:
            raise ResourceError(
                f"no space left while writing {path.name} after {size_bytes:,} bytes",
                code=Code.DISK_FULL,
                advice="give the workspace a larger disk",
            ) from exc
        raise
    finally:
        part.unlink(missing_ok=True)  # gone already when the rename worked
    return WrittenFile(size_bytes, digest.hexdigest())


def _sync_folder(folder: Path) -> None:
    """Makes the rename itself survive a power cut; Windows cannot open folders and needs no such step."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
