"""Files that are either there completely or not at all."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from scenejobs.errors import Code, ResourceError

FULL = {errno.ENOSPC, errno.EDQUOT}


@dataclass(frozen=True)
class WrittenFile:
    """Size and hash of a file on disk."""

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


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A temporary neighbour to write to. Leaving the block flushes it to the disk and renames it to `path`.

    A reader sees the old file or the whole new one; a kill leaves at most `.<name>.part`, which the next write
    replaces. Raises ResourceError when the disk is full.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        with naming_a_full_disk(path.name):
            with part.open("wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
            _sync_folder(path.parent)
    finally:
        part.unlink(missing_ok=True)  # gone already when the rename worked


def write_atomically(path: Path, blocks: Iterable[bytes | memoryview]) -> WrittenFile:
    """Writes the blocks to `path`, all or nothing: see `replacing`. Raises ResourceError when the disk is full."""
    digest, size_bytes = hashlib.sha256(), 0
    with replacing(path) as file:
        for block in blocks:
            file.write(block)
            digest.update(block)
            size_bytes += memoryview(block).nbytes
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
