"""What the checker remembers of a schedule: uploads and commits."""

from __future__ import annotations

from dataclasses import dataclass

from scenejobs.state.blobs import OutputFile


@dataclass
class Version:
    """One successful upload."""

    name: str
    etag: str
    data: bytes
    superseded: bool = False  # replaced or deleted by its user before it was archived
    expired: bool = False  # removed from the archive by retention
    erased: bool = False  # its user asked for everything of its scene to be deleted, and the record says so


@dataclass(frozen=True)
class Commit:
    """One COMMIT of a record."""

    scene: str
    generation: int
    run: str
    etags: tuple[str, ...]
    outputs: tuple[OutputFile, ...]
