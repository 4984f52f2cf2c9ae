"""Files of a person to a container and back, with what is known of the bytes on the way.

On an account a transfer that broke off goes on where it was. In folders it begins anew: a copy is quick there.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from scenejobs.ports import BlobStore

Told = Callable[[int], None]  # bytes that are there now, and were not before


def untold(_name: str, _size: int) -> None:
    """For whoever looks at no progress."""


def send(store: BlobStore, path: Path, name: str, told: Told) -> None:
    """Replaces a blob by a file. Raises StorageError, AccessDenied, OSError."""
    resumable: Any = getattr(store, "send", None)
    if resumable is not None:
        resumable(path, name, told)
        return
    store.upload(path, name)
    told(path.stat().st_size)


def fetch(store: BlobStore, name: str, path: Path, told: Told) -> None:
    """Replaces a file by a blob. Raises NotFound, Conflict (it was replaced meanwhile), StorageError, OSError."""
    resumable: Any = getattr(store, "fetch", None)
    if resumable is not None:
        resumable(name, path, told)
        return
    path.unlink(missing_ok=True)
    told(store.download(name, path).size_bytes)
