"""One thing done to many items, some at a time, until a time is over.

A thousand small requests, one after the other, take as long as a thousand round trips; eight at a time an eighth.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from scenejobs.errors import StorageError

T = TypeVar("T")
R = TypeVar("R")

AT_ONCE = 8  # the SDK keeps ten connections to a host


@dataclass
class Outcome(Generic[T, R]):
    """What came of the items, each in the order it was given in."""

    done: list[tuple[T, R]] = field(default_factory=list)
    failed: list[tuple[T, StorageError]] = field(default_factory=list)
    left: list[T] = field(default_factory=list)  # not begun: the time was over

    @property
    def results(self) -> list[R]:
        return [result for _, result in self.done]


@dataclass(frozen=True)
class Crew:
    """at_once: threads; 1: the caller's own, for what may run in no other. goes_on: whether another item may begin."""

    at_once: int = AT_ONCE
    goes_on: Callable[[], bool] = lambda: True

    def each(self, function: Callable[[T], R], items: Iterable[T]) -> Outcome[T, R]:
        """Calls `function` with each item. A StorageError is that item's; any other error ends it all and is raised."""

        def attempt(item: T, outcome: Outcome[T, R]) -> None:
            if not self.goes_on():
                outcome.left.append(item)
                return
            try:
                outcome.done.append((item, function(item)))
            except StorageError as exc:
                outcome.failed.append((item, exc))

        every = list(items)
        outcomes: list[Outcome[T, R]] = [Outcome() for _ in every]
        if self.at_once == 1 or len(every) < 2:
            for item, outcome in zip(every, outcomes, strict=True):
                attempt(item, outcome)
        else:
            with ThreadPoolExecutor(self.at_once) as pool:
                list(pool.map(attempt, every, outcomes))
        whole: Outcome[T, R] = Outcome()
        for outcome in outcomes:
            whole.done += outcome.done
            whole.failed += outcome.failed
            whole.left += outcome.left
        return whole
