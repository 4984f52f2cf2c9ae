"""Whether a file is exactly such a PNG as we write: checked byte for byte, without decoding a pixel.

A PNG reader of a later stage then meets no text, no colour profile, no palette, no size but the expected one.
Source: W3C PNG specification, sections 5.3 (chunks) and 11.2.1 (IHDR).
"""

from __future__ import annotations

import os
import stat
import zlib
from pathlib import Path

SIGNATURE = b"\x89PNG\r\n\x1a\n"
RGB_8_BIT = bytes([8, 2, 0, 0, 0])  # bit depth, colour type RGB, deflate, adaptive filters, not interlaced


def problem(path: Path, width: int, height: int, max_bytes: int) -> str:
    """What is wrong with it; empty when it is an 8-bit RGB image of this size and nothing else."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as exc:
        return f"cannot be opened: {exc.strerror}"
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
        os.close(descriptor)
        return "is no plain file of its own"
    with os.fdopen(descriptor, "rb") as file:
        if found.st_size > max_bytes:
            return f"has {found.st_size:,} bytes"
        return _structure(file.read(max_bytes + 1), width, height)


def _structure(data: bytes, width: int, height: int) -> str:
    if not data.startswith(SIGNATURE):
        return "is no PNG"
    place = len(SIGNATURE)
    order: list[bytes] = []
    while place < len(data):
        length, kind = int.from_bytes(data[place : place + 4], "big"), data[place + 4 : place + 8]
        end = place + 12 + length
        if end > len(data):
            return "is cut off"
        if zlib.crc32(data[place + 4 : end - 4]) != int.from_bytes(data[end - 4 : end], "big"):
            return "has a damaged chunk"
        if not order and data[place + 8 : end - 4] != width.to_bytes(4, "big") + height.to_bytes(4, "big") + RGB_8_BIT:
            return f"is no RGB picture of {width}x{height}"
        if not order or kind != order[-1]:
            order.append(kind)
        place = end
    return "" if order == [b"IHDR", b"IDAT", b"IEND"] else "holds more or less than a picture"
