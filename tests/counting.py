"""Counts what a part of the program asks of storage: calls, a page of a listing as one, and the blobs listed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from scenejobs.ports import BlobInfo, Containers, Listing, Queues

PAGE = 5000  # blobs in a page, as the service gives them


class Counts:
    """What was asked since `clear`."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()  # "state.read"; a listing counts each page
        self.listed = 0  # blobs

    @property
    def total(self) -> int:
        return sum(self.calls.values())

    def clear(self) -> None:
        self.calls.clear()
        self.listed = 0

    def containers(self, containers: Containers) -> Containers:
        kinds = ("input", "output", "processed", "error", "state")
        return Containers(**{kind: _Counted(getattr(containers, kind), self, kind) for kind in kinds})

    def queues(self, queues: Queues) -> Queues:
        return Queues(*(_Counted(getattr(queues, kind), self, kind) for kind in ("debounce", "jobs", "poison")))


class _Counted:
    """A store or queue whose calls are counted."""

    def __init__(self, target: Any, counts: Counts, label: str) -> None:
        self._target, self._counts, self._label = target, counts, label

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._target, name)
        return self._counting(name, found) if callable(found) else found

    def _counting(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            plain = [each._target if isinstance(each, _Counted) else each for each in arguments]
            result = function(*plain, **named)
            if name == "list":
                return iter(self._pages(result))
            if name == "list_all":
                assert isinstance(result, Listing)
                return replace(result, blobs=tuple(self._pages(iter(result.blobs))))
            self._counts.calls[f"{self._label}.{name}"] += 1
            return result

        return call

    def _pages(self, found: Iterator[BlobInfo]) -> list[BlobInfo]:
        blobs = list(found)
        self._counts.calls[f"{self._label}.list"] += max(1, -(-len(blobs) // PAGE))
        self._counts.listed += len(blobs)
        return blobs
