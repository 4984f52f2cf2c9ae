"""Stored values as JSON and back, typed by their dataclasses.

A field that a newer program added is ignored, one that an older program did not write has its default, and everything
else has to be there and of its type. A number has to be finite and a time to have a zone and a day in UTC: Python reads
`Infinity` and the last evening of the year 9999, and what is done with them later raises what nobody catches.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Collection, Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from typing import Any, NoReturn, TypeVar, cast

import msgspec

T = TypeVar("T")
PLAIN = frozenset({"str", "int", "float", "bool", "dict[str, str]", "frozenset[str]", "tuple[str, ...]"})

# Fields that were added later, and are left out where they say nothing: lists of thousands of uploads stay as short.
LEFT_OUT: dict[str, Any] = {
    "content_md5": "", "sha256": "", "files": [], "carried": [], "contents": None, "retired": [], "published": None,
    "shown": [], "wish": None, "doubt": None, "suspect": False, "withheld": False, "unused": None,
    "expired": None, "deleted": False, "everything": False, "unfit": "", "notify": [],
    "never_began": 0, "never_began_since": None, "never_began_at": None, "away_until": None, "fallback": None,
}  # fmt: skip


def to_json(value: object) -> dict[str, Any]:
    """What `json.dumps` can write, in the order of the fields; times as `datetime.isoformat` has them. See LEFT_OUT."""
    return cast("dict[str, Any]", _with_texts_for_times(msgspec.to_builtins(value, builtin_types=(datetime,))))


def from_json(body: Any, kind: type[T], added: Collection[str] = ()) -> T:
    """`added`: fields that older programs did not write. Raises ValueError, which says what is wrong where."""
    if not isinstance(body, Mapping):
        raise ValueError("it is not an object")
    missing = [each.name for each in fields(kind) if each.name not in body and each.name not in added]  # type: ignore[arg-type]
    if missing:
        raise ValueError(f"it has no {', '.join(missing)}")
    value = msgspec.convert(body, kind)
    _check_times(value)
    return value


def check_version(body: Any, what: str, known: int) -> None:
    """Of a document that says which one it is. Raises ValueError for another, and for what is no object."""
    found = body.get("schema_version") if isinstance(body, dict) else None
    if found != known:
        raise ValueError(f"{what} version {found!r}; this program knows {known}")


def loads(data: str | bytes) -> Any:
    """`json.loads` that raises ValueError for everything that is no JSON, numbers that are not finite included."""
    try:
        return json.loads(data, parse_constant=_not_finite, parse_float=_finite)
    except RecursionError as exc:
        raise ValueError("it is nested too deeply") from exc


def parse_time(text: str) -> datetime:
    """A time with its zone, in UTC. Raises ValueError for whatever is none."""
    try:
        time = datetime.fromisoformat(text)
        if time.tzinfo is None:
            raise ValueError(f"{text[:40]!r} has no time zone")
        return time.astimezone(UTC)
    except OverflowError as exc:  # the first or last day of all, in another zone
        raise ValueError(f"{text[:40]!r} is no time that exists in UTC") from exc


def _check_times(value: Any) -> None:
    """Raises ValueError for a time of a stored value that cannot be compared or told in UTC."""
    if isinstance(value, datetime):
        parse_time(value.isoformat())
    elif isinstance(value, tuple) and value and _with_times(value[0].__class__):
        for item in value:
            _check_times(item)
    else:
        for name in _with_times(value.__class__):
            _check_times(getattr(value, name))


@functools.cache
def _with_times(kind: type) -> tuple[str, ...]:
    """The fields of a dataclass that may hold times: the thousands of uploads of a scene need not be looked at."""
    return tuple(each.name for each in fields(kind) if str(each.type) not in PLAIN) if is_dataclass(kind) else ()


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _not_finite(text[:40])


def _not_finite(text: str) -> NoReturn:
    raise ValueError(f"{text} is no finite number")


def _with_texts_for_times(value: Any) -> Any:
    """`msgspec` itself would write Z for +00:00."""
    match value:
        case datetime():
            return value.isoformat()
        case dict():
            plain = {key: _with_texts_for_times(item) for key, item in value.items()}
            return {key: item for key, item in plain.items() if key not in LEFT_OUT or item != LEFT_OUT[key]}
        case list() | tuple():
            return [_with_texts_for_times(item) for item in value]
    return value
