"""Small real photos for tests: any format, orientation and metadata that a camera writes."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pillow_heif
from numpy.typing import NDArray
from PIL import Image

MAKE, MODEL, ORIENTATION = 0x010F, 0x0110, 0x0112
EXIF, GPS, TAKEN_AT, OFFSET, FOCAL_MM, FOCAL_35MM, LENS = 0x8769, 0x8825, 0x9003, 0x9011, 0x920A, 0xA405, 0xA434


def tags(
    *,
    make: str = "Apple",
    model: str = "iPhone 15",
    orientation: int | None = None,
    taken_at: str | None = None,
    gps: tuple[float, float] | None = None,
    altitude_m: float | None = None,
    **exif: Any,
) -> Image.Exif:
    """EXIF. Further tags by name: offset, focal_mm, focal_35mm, lens, custom_rendered."""
    found = Image.Exif()
    found[MAKE], found[MODEL] = make, model
    if orientation:
        found[ORIENTATION] = orientation
    folder = found.get_ifd(EXIF)
    numbers = {
        "offset": OFFSET,
        "focal_mm": FOCAL_MM,
        "focal_35mm": FOCAL_35MM,
        "lens": LENS,
        "custom_rendered": 0xA401,
    }
    folder.update({numbers[name]: value for name, value in exif.items()})
    if taken_at:
        folder[TAKEN_AT] = taken_at
    if gps:
        place = found.get_ifd(GPS)
        place.update(
            {1: "N" if gps[0] >= 0 else "S", 2: _parts(gps[0]), 3: "E" if gps[1] >= 0 else "W", 4: _parts(gps[1])}
        )
        if altitude_m is not None:
            place.update({5: b"\1" if altitude_m < 0 else b"\0", 6: abs(altitude_m)})
    return found


def _parts(degrees: float) -> tuple[float, float, float]:
    minutes = abs(degrees) % 1 * 60
    return float(int(abs(degrees))), float(int(minutes)), minutes % 1 * 60


def write_photo(path: Path, pixels: NDArray[np.uint8], exif: Image.Exif | None = None, **options: Any) -> Path:
    """By the extension: .jpg, .png, .tif, .heic. An orientation in `exif` turns what is shown, not what is stored."""
    image = Image.fromarray(pixels)
    if exif is not None:
        options["exif"] = exif.tobytes() if path.suffix == ".heic" else exif
    if path.suffix == ".heic":
        pillow_heif.from_pillow(image).save(path, quality=95, **options)
    elif path.suffix == ".jpg":
        image.save(path, "JPEG", **{"quality": 95, "subsampling": 0, **options})
    else:
        image.save(path, {".png": "PNG", ".tif": "TIFF"}[path.suffix], **options)
    return path


def png_that_claims(width: int, height: int) -> bytes:
    """A PNG of a few hundred bytes whose header promises a giant picture, with data that would fill it with black."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(1 << 20), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def jpeg_that_claims(width: int, height: int) -> bytes:
    """A JPEG whose header promises a giant picture."""
    file = io.BytesIO()
    Image.new("RGB", (64, 64)).save(file, "JPEG")
    data = bytearray(file.getvalue())
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = struct.pack(">HH", height, width)
    return bytes(data)
