"""What tests of the folder adapter do to a folder by hand, and every call that names a blob."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from scenejobs.adapters.folder import FolderBlobStore


def above(path: Path) -> list[Path]:
    """The folders of pytest above this one, which only their owner may enter; one more where several workers run."""
    top = Path(tempfile.gettempdir())
    return [folder for folder in path.parents if top in folder.parents]


def put(path: Path, data: bytes) -> Path:
    """A file that somebody put there, with the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def calls(store: FolderBlobStore, name: str, tmp_path: Path) -> dict[str, Callable[[], object]]:
    """Each verb of the port, on the blob of that name. `tmp_path`: where downloads go, and the file `evil` lies."""
    return {
        "head": lambda: store.head(name),
        "read": lambda: store.read(name),
        "download": lambda: store.download(name, tmp_path / "stolen"),
        "delete": lambda: store.delete(name),
        "lease": lambda: store.lease(name, 15),
        "copy from": lambda: store.copy_from(store, name, "stolen", source_etag=None, if_absent=True),
        "write": lambda: store.write(name, b"evil"),
        "create": lambda: store.write(name, b"evil", if_absent=True),
        "upload": lambda: store.upload(tmp_path / "evil", name),
        "copy to": lambda: store.copy_from(store, "good", name, source_etag=None, if_absent=False),
    }
