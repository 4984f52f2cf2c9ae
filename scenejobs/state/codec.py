"""Stored values as JSON and back, typed by their dataclasses.

A field that a newer program added is ignored, one that an older program did not write has its default, and everything
else has to be there and of its type.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import fields
from datetime import datetime
from typing import Any, TypeVar, cast

import msgspec

T = TypeVar("T")


def to_json(value: object) -> dict[str, Any]:
    """What `json.dumps` can write, in the order of the fields; times as `datetime.isoformat` has them."""
    return cast("dict[str, Any]", _with_texts_for_times(msgspec.to_builtins(value, builtin_types=(datetime,))))


def from_json(body: Any, kind: type[T], added: Collection[str] = ()) -> T:
    """`added`: fields that older programs did not write. Raises ValueError, which says what is wrong where."""
    if not isinstance(body, Mapping):
        raise ValueError("it is not an object")
    missing = [each.name for each in fields(kind) if each.name not in body and each.name not in added]  # type: ignore[arg-type]
    if missing:
        raise ValueError(f"it has no {', '.join(missing)}")
    return msgspec.convert(body, kind)


def _with_texts_for_times(value: Any) -> Any:
    """`msgspec` itself would write Z for +00:00."""
    match value:
        case datetime():
            return value.isoformat()
        case dict():
            return {key: _with_texts_for_times(item) for key, item in value.items()}
        case list() | tuple():
            return [_with_texts_for_times(item) for item in value]
    return value
