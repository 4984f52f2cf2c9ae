"""Blobs as records name them: inputs by ETag, outputs by hash."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class InputBlob:
    """One version of one upload. A new upload of the same name has another ETag."""

    name: str  # in the input container
    etag: str  # without quotes
    size_bytes: int
    content_md5: str = field(default="", compare=False)  # as the listing shows it; "" where there is none
    sha256: str = field(default="", compare=False)  # of its bytes, once they were downloaded


@dataclass(frozen=True)
class Member:
    """One file that a scene consists of: an upload that an earlier generation archived."""

    name: str  # as it was uploaded, in the input container
    etag: str  # of the upload
    size_bytes: int
    place: str  # "<container kind>/<name>" where it lies; it is read there and never moved again
    generation: int  # that brought it
    content_md5: str = ""
    sha256: str = ""
    published: bool = False  # part of the published result

    @property
    def blob(self) -> InputBlob:
        """As it was uploaded."""
        return InputBlob(self.name, self.etag, self.size_bytes, self.content_md5, self.sha256)


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
