"""Locks between threads and processes, held during one check and rename.

`flock` ends with its process, so a killed one leaves no lock behind. On network mounts it becomes a lock of the whole
process, hence the second lock between threads.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import threading
import time
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scenejobs.adapters.folder import openat
from scenejobs.errors import Busy

WAIT_S = 30.0  # a holder that was frozen (SIGSTOP, a suspended machine) must not block the others for ever
_FIRST_PAUSE_S, _LAST_PAUSE_S = 0.0005, 0.05

_thread_locks_guard = threading.Lock()
_thread_locks: dict[str, threading.Lock] = {}


@contextmanager
def exclusive(root: Path, name: str, wait_s: float = WAIT_S) -> Iterator[None]:
    """Holds the lock of one blob of the container at `root`. Raises Busy when it is not free within `wait_s`.

    One of 256 locks, by a digest of the name: their files stay for ever, since removing a lock file is a race.
    """
    # Folded: where the file system takes `A` and `a`, or two spellings of `é`, for one file, they share the lock too.
    folded = unicodedata.normalize("NFC", name.casefold())
    slot = hashlib.sha256(folded.encode("utf-8", "surrogatepass")).hexdigest()[:2]
    between_threads = _between_threads(f"{os.path.realpath(root)}/{slot}")
    if not between_threads.acquire(timeout=wait_s):
        raise Busy(f"{root.name}/{name} is being changed by another thread", advice="try again later")
    try:
        with openat.private(root, "locks") as here:
            descriptor = os.open(slot, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=here)
        try:
            _flock(descriptor, f"{root.name}/{name}", wait_s)
            yield
        finally:
            os.close(descriptor)
    finally:
        between_threads.release()


def _flock(descriptor: int, what: str, wait_s: float) -> None:
    deadline, pause_s = time.monotonic() + wait_s, _FIRST_PAUSE_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            if time.monotonic() >= deadline:
                raise Busy(f"{what} is being changed by another process", advice="try again later") from exc
            time.sleep(pause_s)
            pause_s = min(_LAST_PAUSE_S, pause_s * 2)
        else:
            return


def _between_threads(key: str) -> threading.Lock:
    with _thread_locks_guard:
        return _thread_locks.setdefault(key, threading.Lock())
