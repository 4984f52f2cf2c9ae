"""Publishing a blob in one step: its file is written in the private folder, made durable, then renamed or linked."""

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
        """Writes its bytes to the disk; its size and time do not change afterwards."""
        self.file.flush()
        os.fsync(self.file.fileno())
        return os.fstat(self.file.fileno())


@contextmanager
def staging(root: Path) -> Iterator[Staged]:
    """A new file in the private folder; removed at the end unless it was given a name."""
    with openat.private(root, STAGING) as here:
        leaf = secrets.token_hex(16)
        descriptor = openat.create(here, leaf)
        try:
            with os.fdopen(descriptor, "w+b") as file:
                yield Staged(file, here, leaf)
        finally:
            with suppress(FileNotFoundError):
                os.unlink(leaf, dir_fd=here)


def give_name(root: Path, staged: Staged, name: str, *, replace: bool) -> None:
    """Gives the file its name. Raises FileExistsError when something is there that must not be replaced."""
    *above, leaf = name.split("/")
    for tries_left in reversed(range(_TRIES)):
        try:
            with openat.folder(root, above, make=True) as here:
                if replace:
                    _rename(staged, here, leaf)
                else:
                    _link(staged, here, leaf)
                os.fsync(here)
            return
        except FileNotFoundError:
            if not tries_left:
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
    """Never over something, not even over a file that a person puts there at this moment."""
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
    """Whether an earlier try did it and its answer was lost: NFS repeats requests, and refuses the second one."""
    try:
        found = openat.status_of(here, leaf)
    except FileNotFoundError:
        return False
    ours = os.fstat(staged.file.fileno())
    return (found.st_dev, found.st_ino) == (ours.st_dev, ours.st_ino)
