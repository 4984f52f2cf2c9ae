"""JSON documents written whole, with times in UTC and numpy numbers as plain ones."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Any

from runner.files.atomic import WrittenFile, write_atomically
from scenejobs.logs.setup import readable_json


def write_json(path: Path, document: Mapping[str, Any] | Sequence[Any]) -> WrittenFile:
    """Writes one document atomically, as strict JSON that every parser reads: UTF-8, no NaN, no Infinity."""
    return write_atomically(path, [readable_json(plain(document)).encode("utf-8"), b"\n"])


def plain(value: Any) -> Any:
    """The value in the types of JSON: arrays as lists, numbers that are not finite as null, times in UTC.

    Raises TypeError for what has no place in a document.
    """
    if isinstance(value, Enum):
        return plain(value.value)
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if type(value).__module__.partition(".")[0] == "numpy":  # not loaded for it
        return plain(value.tolist())
    if isinstance(value, datetime):
        return utc(value)
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    raise TypeError(f"a {type(value).__name__} cannot be written to a JSON document")


def utc(moment: datetime) -> str:
    """ISO 8601 in UTC with milliseconds: 2026-11-23T22:10:00.000Z. Raises ValueError for a naive time."""
    if moment.tzinfo is None:
        raise ValueError(f"{moment} has no time zone")
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
