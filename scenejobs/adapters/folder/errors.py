"""The one place where errors of the operating system become ours."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from scenejobs.errors import AccessDenied, Busy, Code, Conflict, NotFound, ResourceError, SceneJobError, StorageError

_NOT_THERE = frozenset({errno.ENOENT})
_IN_THE_WAY = frozenset({errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENOTEMPTY, errno.ELOOP})
_REFUSED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_UNFIT_NAME = frozenset({errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL})
_FOR_NOW = frozenset({
    errno.ESTALE, errno.EIO, errno.ETIMEDOUT, errno.EAGAIN, errno.EBUSY, errno.ENOLCK, errno.EINTR, errno.ENOTCONN,
    errno.EMFILE, errno.ENFILE, errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ENETDOWN, errno.ENETUNREACH,
    errno.ECONNRESET, errno.ECONNABORTED, errno.ECONNREFUSED, errno.ENODEV, errno.ENXIO,
})  # fmt: skip


@contextmanager
def os_errors(doing: str, *, looking: bool = False) -> Iterator[None]:
    """Turns OSError into the errors of `scenejobs.ports`. `doing`: "writing input/lobby/a.mp4".

    looking: nothing is written; a name that no file can have, or that lies behind a link or a file, is not there.
    """
    try:
        yield
    except OSError as exc:
        raise _error(exc, doing, looking) from exc


def _error(exc: OSError, doing: str, looking: bool) -> SceneJobError:
    number = exc.errno or 0
    text = f"{doing}: {exc.strerror or exc}"
    if number in _NOT_THERE or (looking and number in (_IN_THE_WAY | _UNFIT_NAME)):
        return NotFound(text)
    if number in _IN_THE_WAY:
        return Conflict(text)
    if number in _REFUSED:
        return AccessDenied(text, advice="give the user of this process the right to read and write the folder")
    if number in _FULL:
        return ResourceError(text, code=Code.DISK_FULL, advice="make space, or raise the quota")
    if number in _FOR_NOW:
        return Busy(text, advice="look at the disk or the network mount")
    if number in _UNFIT_NAME:
        return StorageError(text, advice="this file system cannot hold a file of that name")
    return StorageError(text)
