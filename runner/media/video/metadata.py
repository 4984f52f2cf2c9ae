"""What a phone writes beside the frames: when, with which camera, and where a clip was recorded."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

TIME_TAGS = ("com.apple.quicktime.creationdate", "creation_time", "date")  # the first is local time with its zone
MAKE_TAGS = ("com.apple.quicktime.make", "com.android.manufacturer", "make")
MODEL_TAGS = ("com.apple.quicktime.model", "com.android.model", "model")
PLACE_TAGS = ("com.apple.quicktime.location.iso6709", "location", "location-eng")
FOCAL_TAGS = ("com.apple.quicktime.camera.focal_length.35mm_equivalent",)
FOCAL_35MM_RANGE = (5.0, 600.0)  # mm; outside it is a slip of the pen
DIAGONAL_MM = math.hypot(24, 36)
NEVER_BEFORE_YEAR = 1990  # a clock that was not set writes 1904 or 1970


@dataclass(frozen=True)
class Recording:
    """Each is None where the file does not say."""

    recorded_at: str | None = None  # ISO 8601, UTC
    camera_model: str | None = None  # "Apple iPhone 15"
    gps: tuple[float, float] | None = None  # latitude, longitude in degrees
    focal_35mm: float | None = None  # 35 mm equivalent focal length, by the diagonal

    def focal_px(self, width: int, height: int) -> float | None:
        """Focal length in pixels of a frame of this size."""
        return self.focal_35mm / DIAGONAL_MM * math.hypot(width, height) if self.focal_35mm else None


def read_recording(tags: Mapping[str, str]) -> Recording:
    """From the tags of container and stream."""
    lower = {key.lower(): value.strip() for key, value in tags.items()}
    times = (_utc(lower[tag]) for tag in TIME_TAGS if tag in lower)
    places = (parse_iso6709(lower[tag]) for tag in PLACE_TAGS if tag in lower)
    focals = (_focal(lower[tag]) for tag in FOCAL_TAGS if tag in lower)
    return Recording(
        next((time for time in times if time), None), _camera(lower), next((place for place in places if place), None),
        next((focal for focal in focals if focal), None),
    )  # fmt: skip


def _focal(text: str) -> float | None:
    low, high = FOCAL_35MM_RANGE
    try:
        return focal if low <= (focal := float(text)) <= high else None
    except ValueError:
        return None


def parse_iso6709(text: str) -> tuple[float, float] | None:
    """`+48.1374+011.5755+520.0/` as (latitude, longitude) in degrees; also with minutes (`+4808.24`) and seconds."""
    match = re.match(r"([+-]\d+(?:\.\d+)?)([+-]\d+(?:\.\d+)?)", text)
    if not match:
        return None
    latitude, longitude = (_degrees(match[1], 2), _degrees(match[2], 3))
    if abs(latitude) > 90 or abs(longitude) > 180 or (latitude == 0 and longitude == 0):
        return None  # 0, 0 is what a phone writes that has no fix
    return latitude, longitude


def _degrees(text: str, degree_digits: int) -> float:
    sign, number = (-1.0 if text[0] == "-" else 1.0), text[1:]
    whole = len(number.split(".")[0])
    if whole <= degree_digits:
        return sign * float(number)
    degrees, rest = float(number[:degree_digits]), number[degree_digits:]
    if whole <= degree_digits + 2:
        return sign * (degrees + float(rest) / 60)
    return sign * (degrees + float(rest[:2]) / 60 + float(rest[2:]) / 3600)


def _utc(text: str) -> str | None:
    try:
        time = datetime.fromisoformat(text)
        if time.year < NEVER_BEFORE_YEAR:
            return None
        if time.tzinfo is None:
            time = time.replace(tzinfo=UTC)  # the MP4 header's clock is UTC by definition
        return time.astimezone(UTC).isoformat(timespec="seconds")
    except (ValueError, OverflowError):  # overflow: the last day of all, in another zone
        return None


def _camera(tags: Mapping[str, str]) -> str | None:
    make = next((tags[tag] for tag in MAKE_TAGS if tags.get(tag)), "")
    model = next((tags[tag] for tag in MODEL_TAGS if tags.get(tag)), "")
    name = model if model.lower().startswith(make.lower()) else f"{make} {model}"
    printable = "".join(character for character in name if character.isprintable()).strip()
    return printable[:100] or None
