"""What a camera writes beside a photo (EXIF): when, where, with which camera and lens, and its focal length.

Exif 3.0 (CIPA DC-008) for the tags; CIPA DCG-001 for the 35 mm equivalent, which compares diagonals: 43.27 mm is that
of 24 x 36 mm. Comparing widths instead, as COLMAP does, is 4 % too short for the 4:3 sensors of phones.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from PIL.ExifTags import GPS, Base

from runner.media.video.metadata import DIAGONAL_MM, NEVER_BEFORE_YEAR
from runner.scene.frames import ALTITUDES_M

UNIT_MM = {2: 25.4, 3: 10.0, 4: 1.0}  # FocalPlaneResolutionUnit: inch, centimetre, millimetre
BELOW_SEA_LEVEL = (1, 3, b"\1", b"\3")  # GPSAltitudeRef; 3 since Exif 3.0, whose 0 and 1 are of the ellipsoid
SWEPT = 6  # CustomRendered as Apple writes it of panoramas; ExifTool's list of EXIF tags has its values
FOCAL_RANGE = (0.2, 20.0)  # of the long side, what lenses have; outside it is a slip of the pen


@dataclass(frozen=True)
class Tags:
    """The tags of one photo, by number; values as Pillow gives them. A folder that is missing is empty."""

    main: Mapping[int, Any]
    exif: Mapping[int, Any]
    gps: Mapping[int, Any]


@dataclass(frozen=True)
class PhotoRecording:
    """Each is None where the file does not say."""

    recorded_at: str | None = None  # ISO 8601; UTC, or without a zone where the camera does not know its own
    camera_model: str | None = None  # "Apple iPhone 15"
    lens: str | None = None  # its name and focal length: equal for photos of one camera
    focal_px: float | None = None  # of the photo at `width` x `height`
    gps: tuple[float, float] | None = None  # latitude, longitude in degrees
    altitude_m: float | None = None  # as its camera wrote it: above sea level, or, of some phones, above the ellipsoid
    swept: bool = False  # a panorama, by the word of the phone that swept it


def read_photo(tags: Tags, width: int, height: int) -> PhotoRecording:
    """From the tags of a photo of this size."""
    make, model = _text(tags.main.get(Base.Make)), _text(tags.main.get(Base.Model))
    camera = model if model.lower().startswith(make.lower()) else f"{make} {model}"
    focal_mm, focal_35mm = _number(tags.exif.get(Base.FocalLength)), _number(tags.exif.get(Base.FocalLengthIn35mmFilm))
    lens = [_text(tags.exif.get(Base.LensModel)), *(f"{value:.4g} mm" for value in (focal_mm, focal_35mm) if value)]
    return PhotoRecording(
        _time(tags), camera.strip()[:100] or None, " ".join(filter(None, lens))[:100] or None,
        _focal_px(tags.exif, width, height), _place(tags.gps), _altitude_m(tags.gps),
        _number(tags.exif.get(Base.CustomRendered)) == SWEPT,
    )  # fmt: skip


def _focal_px(exif: Mapping[int, Any], width: int, height: int) -> float | None:
    candidates = []
    if focal_35mm := _number(exif.get(Base.FocalLengthIn35mmFilm)):
        candidates.append(focal_35mm / DIAGONAL_MM * math.hypot(width, height))
    focal_mm, per_unit = _number(exif.get(Base.FocalLength)), _number(exif.get(Base.FocalPlaneXResolution))
    stated = max(_number(exif.get(Base.ExifImageWidth)), _number(exif.get(Base.ExifImageHeight)))
    if focal_mm and per_unit and stated:  # pixels of the sensor's plane per unit, when the photo had its stated size
        per_mm = per_unit / UNIT_MM.get(int(_number(exif.get(Base.FocalPlaneResolutionUnit))), UNIT_MM[2])
        candidates.append(focal_mm * per_mm * max(width, height) / stated)
    low, high = (share * max(width, height) for share in FOCAL_RANGE)
    return next((focal for focal in candidates if low <= focal <= high), None)


def _time(tags: Tags) -> str | None:
    text = _text(tags.exif.get(Base.DateTimeOriginal)) or _text(tags.main.get(Base.DateTime))  # "2026:11:24 10:00:00"
    offset = _text(tags.exif.get(Base.OffsetTimeOriginal))  # "+01:00"
    if not re.fullmatch(r"\d{4}:\d\d:\d\d \d\d:\d\d:\d\d", text, re.ASCII):
        return None
    iso = text.replace(":", "-", 2).replace(" ", "T") + (offset if re.fullmatch(r"[+-]\d\d:\d\d", offset) else "")
    try:
        time = datetime.fromisoformat(iso)  # not strptime: it loads a module, which the sandbox does not let it reach
        if time.year < NEVER_BEFORE_YEAR:
            return None
        return (time.astimezone(UTC) if time.tzinfo else time).isoformat(timespec="seconds")
    except (ValueError, OverflowError):
        return None


def _place(gps: Mapping[int, Any]) -> tuple[float, float] | None:
    latitude = _degrees(gps.get(GPS.GPSLatitude), gps.get(GPS.GPSLatitudeRef), "S")
    longitude = _degrees(gps.get(GPS.GPSLongitude), gps.get(GPS.GPSLongitudeRef), "W")
    if latitude is None or longitude is None or abs(latitude) > 90 or abs(longitude) > 180:
        return None
    return None if latitude == longitude == 0 else (latitude, longitude)  # 0, 0 is written without a fix


def _altitude_m(gps: Mapping[int, Any]) -> float | None:
    """0 is written without a fix, as for the place."""
    size_m = _number(gps.get(GPS.GPSAltitude))
    altitude_m = -size_m if gps.get(GPS.GPSAltitudeRef) in BELOW_SEA_LEVEL else size_m
    low, high = ALTITUDES_M
    return altitude_m if size_m and low <= altitude_m <= high else None


def _degrees(parts: Any, reference: Any, negative: str) -> float | None:
    """From degrees, minutes, seconds."""
    try:
        degrees, minutes, seconds = (float(part) for part in parts)
    except (TypeError, ValueError, ArithmeticError):
        return None
    value = degrees + minutes / 60 + seconds / 3600
    if not math.isfinite(value):
        return None
    return -value if _text(reference).upper().startswith(negative) else value


def _number(value: Any) -> float:
    """0.0 for what is missing or no number; EXIF says 0 for unknown as well."""
    try:
        number = float(value)
    except (TypeError, ValueError, ArithmeticError):
        return 0.0
    return number if math.isfinite(number) and number > 0 else 0.0


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        value = value.decode("ascii", "replace")
    if not isinstance(value, str):
        return ""
    return "".join(character for character in value if character.isprintable()).strip()
