"""How a group of settings is read: a frozen dataclass whose fields say their variable, default and limit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from types import MappingProxyType
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from scenejobs.errors import Code, ConfigurationError

T = TypeVar("T")
Checks = Mapping[type, Callable[[Any], None]]
MOST_DAYS = 36_500.0


@dataclass(frozen=True)
class Range:
    """Which numbers a setting may be; None: no limit."""

    minimum: float | None = None
    least: float | None = None  # of all but 0
    maximum: float | None = None

    def check(self, number: float) -> None:
        """Raises ValueError, with the numbers that are allowed."""
        low, high = self.minimum, self.maximum
        finite = number == number and abs(number) != float("inf")
        inside = finite and (low is None or number >= low) and (high is None or number <= high)
        if inside and (not number or self.least is None or number >= self.least):
            return
        zero = "0 or " if self.least is not None else ""
        if high is not None:
            raise ValueError(f"use {zero}{shown(self.least or low or 0)} to {shown(high)}")
        raise ValueError(f"use a finite number, {zero}{shown(self.least or low or 0)} or more")


def shown(number: float) -> str:
    """A number as a person types it."""
    return f"{number:.0f}" if number == int(number) else f"{number:g}"


def setting(
    variable: str,
    doc: str,
    default: Any = MISSING,
    *,
    minimum: float | None = None,
    least: float | None = None,
    maximum: float | None = None,
    also: Mapping[str, str] | None = None,
    gone: Mapping[str, str] | None = None,
) -> Any:
    """minimum, maximum: of a number. least: of one that is not 0, where 0 has a meaning of its own.

    also: further words for a choice, in small letters, each with the choice it stands for.
    gone: words that are none any more, each with what to use instead.
    """
    metadata = {
        "variable": variable, "doc": doc, "range": Range(minimum, least, maximum), "also": also or {},
        "gone": gone or {},
    }  # fmt: skip
    if default is MISSING:
        return field(metadata=metadata)
    return field(default=default, metadata=metadata, repr=not _is_secret(variable))


def _is_secret(variable: str) -> bool:
    return variable.endswith(("SECRET", "TOKEN", "CONNECTION_STRING"))


def read(group: type[T], env: Mapping[str, str]) -> T:
    """One group from the environment. Raises ConfigurationError naming every missing and every wrong variable."""
    problems: list[str] = []
    value = _collect(group, env, problems)
    return _finish(problems, lambda: value)


def read_all(
    groups: tuple[type, ...],
    env: Mapping[str, str],
    *,
    refused: Iterable[str] = (),
    missing: Iterable[str] = (),
    checks: Checks = MappingProxyType({}),
    advice: str = "",
    called: Mapping[str, str] = MappingProxyType({}),
) -> tuple[Any, ...]:
    """Several groups at once, so that one message names the problems of all.

    refused: further problems that are solved by taking something out. missing: texts that end with "is not set".
    checks: of a group that was read; what raises ConfigurationError there is named with the rest.
    advice: what to tell besides where something of `missing` is.
    called: variables that came by another name, such as an option of a command, each with that name.
    """
    problems = list(refused)
    any_refused = bool(problems)
    lacking = list(missing)
    problems += lacking
    values: list[Any] = []
    for group in groups:
        before = len(problems)
        values.append(_collect(group, env, problems, called))
        if len(problems) == before and group in checks:
            try:
                checks[group](values[-1])
            except ConfigurationError as exc:
                problems.append(f"{exc.cause}: {exc.advice}")
    return _finish(problems, lambda: tuple(values), refused=any_refused, advice=advice if lacking else "")


def _finish(problems: list[str], value: Callable[[], T], *, refused: bool = False, advice: str = "") -> T:
    if problems:
        missing = all(problem.endswith("is not set") for problem in problems)
        raise ConfigurationError(
            "; ".join(dict.fromkeys(problems)),
            code=Code.MISSING_SETTING if missing else Code.INVALID_SETTING,
            advice=f"set it in the environment{' or take it out' if refused else ''} "
            f"(docs/configuration.md lists every variable){advice and '. '}{advice}",
            stage="configuration",
        )
    return value()


def _collect(
    group: type[T], env: Mapping[str, str], problems: list[str], called: Mapping[str, str] = MappingProxyType({})
) -> T:
    values: dict[str, Any] = {}
    hints: dict[str, Any] = get_type_hints(group)
    for item in fields(group):  # type: ignore[arg-type]  # every group is a dataclass
        variable = item.metadata["variable"]
        text = env.get(variable, "").strip()
        if not text:
            if item.default is MISSING:
                problems.append(f"{variable} is not set")
            continue
        try:
            values[item.name] = parsed(item, hints[item.name], text)
        except ValueError as exc:
            told = "[REDACTED]" if _is_secret(variable) else repr(text)
            name = f"{called[variable]} " if variable in called else f"{variable}="
            problems.append(f"{name}{told} is not allowed: {exc}")
    required = {f.name for f in fields(group) if f.default is MISSING}  # type: ignore[arg-type]
    return group(**values, **{name: "" for name in required - values.keys()})


def parsed(item: Field[Any], kind: Any, text: str) -> Any:
    """The value of a setting. item: its field. kind: the type of that. Raises ValueError, with what is allowed."""
    if instead := item.metadata["gone"].get(text.lower()):
        raise ValueError(instead)
    chosen = item.metadata["also"].get(text.lower(), text)
    return _parse(chosen, kind, item.metadata["range"], _most(item.metadata["variable"]))


def _most(variable: str) -> float:
    """Of a time: the calendar has an end, and what lies behind it would end a program in its work."""
    if variable.endswith("_DAYS"):
        return MOST_DAYS
    return MOST_DAYS * 86_400.0 if variable.endswith(("_SECS", "_SECONDS")) else float("inf")


def is_on(text: str) -> bool:
    """Whether a switch is turned on by this word."""
    return text.lower() in ("true", "1", "yes", "on")


def _parse(text: str, kind: Any, allowed_range: Range, most: float) -> Any:
    if kind is str:
        return text
    if kind is bool:
        if is_on(text):
            return True
        if text.lower() in ("false", "0", "no", "off"):
            return False
        raise ValueError("use true or false")
    if get_origin(kind) is Literal:
        allowed = {str(choice).lower(): choice for choice in get_args(kind)}
        if text.lower() not in allowed:
            raise ValueError(f"use one of {', '.join(get_args(kind))}")
        return allowed[text.lower()]
    try:
        number: float = kind(text)
    except ValueError:
        raise ValueError("use a whole number" if kind is int else "use a number") from None
    allowed_range.check(number)
    if number > most:
        raise ValueError(f"use {most:.0f} or less, which is 100 years")
    return number
