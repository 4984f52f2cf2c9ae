"""What the emulated Functions host runs on in tests: a clock that they move, and queues of the SDK's shape."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from types import SimpleNamespace
from typing import Any

from azure.core.exceptions import ResourceNotFoundError

from scenejobs.adapters.memory import ManualClock, MemoryQueue
from scenejobs.errors import Conflict, NotFound
from scenejobs.ports import QueueMessage

GLANCE_S = 0.002  # real time between two looks of a thread that waits for this clock


class StepClock:
    """See local.functions_host.clock. Time passes in `advance`, and threads that wait for it wake there."""

    def __init__(self, time_of_day: ManualClock | None = None) -> None:
        self.manual = time_of_day or ManualClock()
        self._begin = self.manual()

    def now(self) -> datetime:
        return self.manual()

    def monotonic(self) -> float:
        return (self.manual() - self._begin).total_seconds()

    def wait(self, event: threading.Event, seconds: float) -> bool:
        end = self.monotonic() + seconds
        while not event.wait(GLANCE_S):
            if self.monotonic() >= end:
                return event.is_set()
        return True

    def advance(self, seconds: float, step: float = 1.0) -> None:
        """Lets time pass, and what waited for it happen."""
        while seconds > 0:
            self.manual.advance(min(step, seconds))
            seconds -= step
            time.sleep(3 * GLANCE_S)

    def until(self, condition: Callable[[], object], limit_s: float = 60.0, step: float = 0.5) -> float:
        """Lets time pass until it holds, and returns how much did."""
        begin = self.monotonic()
        while not condition():
            assert self.monotonic() - begin < limit_s, "it did not happen"
            self.advance(step, step)
        return self.monotonic() - begin


def soon(condition: Callable[[], object], seconds: float = 10.0) -> None:
    """Other threads get the real time to do it; the clock stands still."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(GLANCE_S)


class SdkQueue:
    """A queue in memory with the part of QueueClient that the emulated host calls."""

    def __init__(self, queue: MemoryQueue) -> None:
        self.queue = queue
        self.queue_name = queue.name

    def receive_messages(self, *, messages_per_page: int, max_messages: int, visibility_timeout: int) -> Any:
        del max_messages

        def pages() -> Iterator[list[Any]]:
            found = [self.queue.receive(visibility_timeout) for _ in range(messages_per_page)]
            yield [_of_sdk(message) for message in found if message is not None]

        return SimpleNamespace(by_page=pages)

    def update_message(self, message: Any, *, visibility_timeout: int) -> Any:
        try:
            return _of_sdk(self.queue.renew(_ours(message), visibility_timeout))
        except (NotFound, Conflict) as exc:
            raise ResourceNotFoundError(str(exc)) from exc

    def delete_message(self, message: Any) -> None:
        self.queue.complete(_ours(message))

    def send_message(self, content: Any, *, time_to_live: int) -> None:
        assert time_to_live == -1, "the service's default of 7 days loses messages"
        self.queue.send(content)

    def create_queue(self) -> None:
        """It is there."""


def _of_sdk(message: QueueMessage) -> Any:
    return SimpleNamespace(
        id=message.id, pop_receipt=message.receipt, content=message.text, dequeue_count=message.dequeue_count,
        expires_on=None, inserted_on=None, next_visible_on=None,
    )  # fmt: skip


def _ours(message: Any) -> QueueMessage:
    return QueueMessage(message.id, message.pop_receipt, message.content, message.dequeue_count)
