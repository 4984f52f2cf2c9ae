"""Blobs as records name them: inputs by ETag, outputs by hash."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class InputBlob:
    """One version of one upload. A new upload of the same name has another ETag."""

    name: str  # in the input container
    etag: str  # without quotes
    size_bytes: int

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "etag": self.etag, "size_bytes": self.size_bytes}

    @staticmethod
    def from_json(value: dict[str, Any]) -> InputBlob:
        return InputBlob(str(value["name"]), str(value["etag"]), int(value["size_bytes"]))


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

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "size_bytes": self.size_bytes, "sha256": self.sha256}

    @staticmethod
    def from_json(value: dict[str, Any]) -> OutputFile:
        return OutputFile(str(value["name"]), int(value["size_bytes"]), str(value["sha256"]))
