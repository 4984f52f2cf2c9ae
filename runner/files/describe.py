"""Size and SHA-256 of a file."""

from __future__ import annotations

import hashlib
from pathlib import Path

from runner.files.atomic import WrittenFile


def describe_file(path: Path) -> WrittenFile:
    """Size and hash of a local file, read once. Raises OSError when it cannot be."""
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return WrittenFile(path.stat().st_size, sha256)
