"""Blobs as records name them: inputs by ETag, outputs by hash."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class InputBlob:
    """One version of one upload. A new upload of the same name has another ETag."""

    name: str  # in the input container
    etag: str  # without quotes
    size_bytes: int


def digest(blobs: Iterable[InputBlob]) -> str:
    """Id of a set of uploads: the same set gives the same id, so doing it twice is harmless."""
    lines = sorted(f"{blob.name}\0{blob.etag}\0{blob.size_bytes}" for blob in blobs)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class OutputFile:
    """One file of a result, by its name below `output/<scene>/`."""

    name: str
    size_bytes: int
    sha256: str
