"""Twins that fail at a chosen call: before it has an effect, or after it, so that only the answer is lost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


class Crash(Exception):
    """The process died here. Not of our tree: nothing may handle it."""


@dataclass
class Fault:
    """Counts the calls that change something, over all wrapped twins, and raises at number `at`."""

    at: int  # counted from 0; -1: never
    after: bool  # the call has its effect first
    error: Callable[[], Exception] = Crash
    calls: list[str] = field(default_factory=list)

    def guard(self, target: Any, *names: str) -> Any:
        """The twin, with these methods of it counted."""
        return _Guarded(target, self, frozenset(names))

    def call(self, name: str, method: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        number = len(self.calls)
        self.calls.append(name)
        if number == self.at and not self.after:
            raise self.error()
        result = method(*args, **kwargs)
        if number == self.at:
            raise self.error()
        return result


class _Guarded:
    def __init__(self, target: Any, fault: Fault, names: frozenset[str]) -> None:
        self._target, self._fault, self._names = target, fault, names

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._target, name)
        if name not in self._names:
            return found
        return lambda *args, **kwargs: self._fault.call(name, found, *args, **kwargs)
