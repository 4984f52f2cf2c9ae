"""Size and SHA-256 of a file."""

from __future__ import annotations

import hashlib
from pathlib import Path

from scenejobs.state.blobs import OutputFile

CHUNK = 1 << 20  # bytes


def describe_file(path: Path, name: str) -> OutputFile:
    """Size and hash of a local file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(CHUNK):
            digest.update(block)
    return OutputFile(name, path.stat().st_size, digest.hexdigest())
