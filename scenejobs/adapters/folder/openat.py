"""Reaching files below a folder without ever leaving it.

Every segment of a name is opened relative to the folder above, without following links, so that no name and no link
planted in the tree (before or during the call) leads outside. The folder itself may be a link: its owner chose it.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from scenejobs.errors import Busy
from scenejobs.names import MAX_SEGMENTS, RESERVED

PRIVATE = RESERVED  # folder of the adapter's own files, beside the blobs

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_LOOK = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # a pipe planted there must not block us
# removed, replaced by a file or a link, or of a name that no folder can have
_NO_SUCH_FOLDER = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EILSEQ})
_SPECIAL = {
    stat.S_IFLNK: "it is a symbolic link, which is not followed",
    stat.S_IFIFO: "it is a named pipe",
    stat.S_IFSOCK: "it is a socket",
    stat.S_IFBLK: "it is a device",
    stat.S_IFCHR: "it is a device",
}
_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


@contextmanager
def folder(root: Path, segments: Sequence[str] = (), *, make: bool = False) -> Iterator[int]:
    """A descriptor of a folder below `root`. Raises OSError: ENOENT, and ENOTDIR or ELOOP for what is no folder."""
    here = os.open(root, _FOLDER)
    try:
        for segment in segments:
            if make:
                with suppress(FileExistsError):
                    os.mkdir(segment, dir_fd=here)
            below = os.open(segment, _FOLDER | os.O_NOFOLLOW, dir_fd=here)
            os.close(here)
            here = below
        yield here
    finally:
        os.close(here)


def prepare(root: Path) -> None:
    """Makes the private folder: the mark that says that this folder is the one that was opened."""
    with folder(root) as here, suppress(FileExistsError):
        os.mkdir(PRIVATE, 0o700, dir_fd=here)


@contextmanager
def private(root: Path, *segments: str) -> Iterator[int]:
    """A folder of the adapter's own, made where it is missing.

    Raises Busy when the mark is gone: a volume that was unmounted leaves an empty folder behind, which must not be
    taken for a container without blobs.
    """
    try:
        with folder(root, (PRIVATE,)):
            pass
    except FileNotFoundError as exc:
        raise Busy(f"{root} has lost its folder {PRIVATE}", advice="is the volume mounted?") from exc
    with folder(root, (PRIVATE, *segments), make=True) as here:
        yield here


@contextmanager
def opened(here: int, leaf: str) -> Iterator[int]:
    """A regular file for reading. Raises FileNotFoundError for anything else of that name."""
    status_of(here, leaf)  # opening a device or a socket, to find out what it is, has effects of its own
    descriptor = os.open(leaf, _LOOK, dir_fd=here)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise FileNotFoundError(errno.ENOENT, "not a regular file")
        yield descriptor
    finally:
        os.close(descriptor)


def create(here: int, leaf: str, mode: int = 0o666) -> int:
    """A new file for writing; the caller closes it. Raises FileExistsError."""
    return os.open(leaf, _NEW, mode, dir_fd=here)


def write_file(here: int, leaf: str, data: bytes) -> None:
    """A small private file, replaced in one step."""
    staged = f".{leaf}.{os.urandom(6).hex()}"
    descriptor = create(here, staged, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.rename(staged, leaf, src_dir_fd=here, dst_dir_fd=here)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(staged, dir_fd=here)
        raise


def read_file(here: int, leaf: str, limit: int) -> bytes | None:
    """At most `limit` bytes of a private file; None when it is not there, or is no file."""
    try:
        with opened(here, leaf) as descriptor:
            return os.read(descriptor, limit)
    except FileNotFoundError:
        return None


def status_of(here: int, leaf: str) -> os.stat_result:
    """Raises FileNotFoundError for what is not a regular file: links, folders, pipes."""
    found = os.stat(leaf, dir_fd=here, follow_symlinks=False)
    if not stat.S_ISREG(found.st_mode):
        raise FileNotFoundError(errno.ENOENT, "not a regular file")
    return found


def special(here: int, leaf: str) -> tuple[str, os.stat_result] | None:
    """What a name is that is neither a file nor a folder; None for these. Looks at it from outside, and opens nothing.

    Raises FileNotFoundError.
    """
    found = os.stat(leaf, dir_fd=here, follow_symlinks=False)
    what = _SPECIAL.get(stat.S_IFMT(found.st_mode))
    return None if what is None else (what, found)


def is_file(here: int, leaf: str) -> bool:
    try:
        status_of(here, leaf)
    except FileNotFoundError:
        return False
    return True


def is_taken(here: int, leaf: str) -> bool:
    """Whether anything has the name, a file or not."""
    try:
        os.stat(leaf, dir_fd=here, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def walk(
    root: Path, prefix: str, *, all_kinds: bool = False, denied: Callable[[str], None] | None = None
) -> Iterator[tuple[str, int, str]]:
    """(name, folder descriptor, leaf) of every file whose name starts with `prefix`, in the order of names.

    all_kinds: also of links, pipes and whatever else is no folder.
    denied: told of a folder that this user may not open, which is passed over; None: that is raised.
    The descriptor is good until the next item is asked for.
    """
    above, _, _ = prefix.rpartition("/")
    segments = above.split("/") if above else []
    if any(segment in ("", ".", "..") or "\0" in segment for segment in segments) or len(segments) > MAX_SEGMENTS:
        return  # no name has such segments
    if segments and segments[0].casefold() == PRIVATE:
        return
    try:
        with folder(root, segments) as here:
            base = "".join(f"{segment}/" for segment in segments)
            yield from _walk(here, base, prefix, len(segments), all_kinds, denied)
    except OSError as exc:
        if not segments or exc.errno not in _NO_SUCH_FOLDER:  # without segments it is the container itself
            raise


def _walk(
    here: int, base: str, prefix: str, depth: int, all_kinds: bool, denied: Callable[[str], None] | None
) -> Iterator[tuple[str, int, str]]:
    for leaf, is_folder in _sorted_entries(here, all_kinds):
        name = base + leaf
        if not is_folder:
            if name.startswith(prefix):
                yield name, here, leaf
            continue
        wanted = f"{name}/".startswith(prefix) or prefix.startswith(f"{name}/")
        is_private = not base and leaf.casefold() == PRIVATE
        # Of a tree that is deeper than names may be, the first level too deep is listed, to be refused by name.
        if not wanted or is_private or depth > MAX_SEGMENTS:
            continue
        try:
            below = os.open(leaf, _FOLDER | os.O_NOFOLLOW, dir_fd=here)
            entered = _may_enter(below)
        except OSError as exc:
            if exc.errno == errno.EACCES and denied is not None:
                denied(name)
            elif exc.errno not in _NO_SUCH_FOLDER:
                raise
            continue
        try:
            if denied is not None and not entered:
                denied(name)
                continue
            yield from _walk(below, f"{name}/", prefix, depth + 1, all_kinds, denied)
        finally:
            os.close(below)


def _may_enter(folder: int) -> bool:
    """One that may be listed and not entered gives names, and no file."""
    try:
        os.stat(".", dir_fd=folder)
    except PermissionError:
        return False
    return True


def _sorted_entries(here: int, all_kinds: bool) -> list[tuple[str, bool]]:
    """(leaf, is a folder) in the order of the names they begin: a folder counts with its slash, `a-b` before `a/b`."""
    with os.scandir(here) as found:
        entries = [
            (entry.name, entry.is_dir(follow_symlinks=False))
            for entry in found
            if all_kinds or entry.is_dir(follow_symlinks=False) or entry.is_file(follow_symlinks=False)
        ]
    return sorted(entries, key=lambda entry: entry[0] + "/" * entry[1])
