"""The folder of one job, removed with its job."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from scenejobs.errors import ConfigurationError

FOLDER_PREFIX = "video-splat-"
LOCK_FILE = ".lock"


@contextlib.contextmanager
def job_folder(base: str) -> Iterator[Path]:
    """A new folder of this job below `base` ("": the system's temporary folder), removed at the end.

    Folders that killed runners left behind are removed first: they are the ones whose lock nobody holds.
    """
    parent = Path(base or tempfile.gettempdir())
    try:
        parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(parent)
        folder = Path(tempfile.mkdtemp(prefix=FOLDER_PREFIX, dir=parent))
    except OSError as exc:
        raise ConfigurationError(
            f"the workspace {parent} cannot be used: {exc.strerror}",
            advice="set TEMP_PATH to a folder that is writable",
        ) from exc
    handle = os.open(folder / LOCK_FILE, os.O_CREAT | os.O_RDWR, 0o600)
    fcntl.flock(handle, fcntl.LOCK_EX)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(handle)


def _remove_abandoned(parent: Path) -> None:
    for lock in parent.glob(f"{FOLDER_PREFIX}*/{LOCK_FILE}"):
        try:
            handle = os.open(lock, os.O_RDWR)
        except OSError:  # removed meanwhile, or another user's
            continue
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:  # its runner lives
            continue
        else:
            shutil.rmtree(lock.parent, ignore_errors=True)
        finally:
            os.close(handle)
