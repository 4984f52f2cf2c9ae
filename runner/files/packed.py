"""Whether a file is packed, by its first bytes. Nothing is unpacked here: a file is used as it is, or not at all."""

from __future__ import annotations

from pathlib import Path

HEAD = 12  # bytes
UNPACK = "unpack it, and upload the file itself"
_ARCHIVES = {
    b"\x1f\x8b": "gzip",
    b"\x1f\x9d": "compress",
    b"PK\x03\x04": "zip",
    b"PK\x05\x06": "zip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\0": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\x04\x22\x4d\x18": "lz4",
    b"7z\xbc\xaf\x27\x1c": "7z",
    b"Rar!\x1a\x07": "rar",
}


def packed_as(head: bytes) -> str:
    """How the file that begins so is packed; "" where that does not show. What is called `br` begins with anything."""
    for magic, name in _ARCHIVES.items():
        if head.startswith(magic):
            return name
    deflate = len(head) > 1 and head[0] == 0x78 and int.from_bytes(head[:2], "big") % 31 == 0  # RFC 1950
    return "deflate" if deflate else ""


def packed_file(path: Path) -> str:
    """The same of a file on disk. Raises OSError."""
    with path.open("rb") as file:
        return packed_as(file.read(HEAD))
