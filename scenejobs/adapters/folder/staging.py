"""Making a blob appear in one step: written aside, made durable, then given its name."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from scenejobs.adapters.folder import openat

STAGING = "staging"
_TRIES = 20  # a folder above may vanish between making it and using it: the last blob in it was deleted
# what file systems without links answer
_NO_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV, errno.EINVAL})


@dataclass(frozen=True)
class Staged:
    """A file that has no name yet."""

    file: BinaryIO
    here: int  # descriptor of its folder
    leaf: str

    def finished(self) -> os.stat_result:
        """Its bytes are on the disk; its stamp does not change any more."""
        self.file.flush()
        os.fsync(self.file.fileno())
        return os.fstat(self.file.fileno())


@contextmanager
def staging(root: Path) -> Iterator[Staged]:
    """A new file in the private folder, gone at the end unless it was placed."""
    with openat.private(root, STAGING) as here:
        leaf = secrets.token_hex(16)
        descriptor = openat.create(here, leaf)
        try:
            with os.fdopen(descriptor, "w+b") as file:
                yield Staged(file, here, leaf)
        finally:
            with suppress(FileNotFoundError):
                os.unlink(leaf, dir_fd=here)


def place(root: Path, staged: Staged, name: str, *, replace: bool) -> None:
    """Gives the file its name. Raises FileExistsError when something is there that must not be replaced."""
    *above, leaf = name.split("/")
    for left in reversed(range(_TRIES)):
        try:
            with openat.folder(root, above, make=True) as here:
                if replace:
                    _rename(staged, here, leaf)
                else:
                    _link(staged, here, leaf)
                os.fsync(here)
            return
        except FileNotFoundError:
            if not left:
                raise


def _rename(staged: Staged, here: int, leaf: str) -> None:
    if openat.is_taken(here, leaf) and not openat.is_file(here, leaf):
        raise FileExistsError(errno.EEXIST, "a folder, link or device is in the way")
    try:
        os.rename(staged.leaf, leaf, src_dir_fd=staged.here, dst_dir_fd=here)
    except FileNotFoundError:
        if not _is_there(staged, here, leaf):
            raise


def _link(staged: Staged, here: int, leaf: str) -> None:
    """Never over something, not even over what a hand puts there at this very moment."""
    try:
        os.link(staged.leaf, leaf, src_dir_fd=staged.here, dst_dir_fd=here, follow_symlinks=False)
    except FileExistsError:
        if not _is_there(staged, here, leaf):
            raise
    except OSError as exc:
        if exc.errno not in _NO_LINKS:
            raise
        if openat.is_taken(here, leaf):
            raise FileExistsError(errno.EEXIST, "exists already") from exc
        _rename(staged, here, leaf)


def _is_there(staged: Staged, here: int, leaf: str) -> bool:
    """Done by a try whose answer was lost: NFS repeats requests, and refuses the second one."""
    try:
        found = openat.status_of(here, leaf)
    except FileNotFoundError:
        return False
    ours = os.fstat(staged.file.fileno())
    return (found.st_dev, found.st_ino) == (ours.st_dev, ours.st_ino)
