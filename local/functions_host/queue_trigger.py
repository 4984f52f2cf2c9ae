"""A queue trigger with the rules of the Functions host: batches, dequeue counts, retries, the poison queue.

The rules are those of the host's queue listener. A message is hidden for 10 minutes, renewed at half of that, while its
function runs. After a failure it is visible again after `visibilityTimeout`. When its last try failed it is copied to
`<queue>-poison` and then deleted, so it may be there twice but is never lost. A poison queue has none of its own.
A host that is stopped gives running functions ten seconds; what it then cuts off stays hidden to the end of its lock.
One that is drained, as the platform does before it takes an instance away, waits for their end.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

from azure.core.exceptions import AzureError, HttpResponseError, ResourceExistsError, ResourceNotFoundError

from local.functions_host.clock import Clock, SystemClock
from local.functions_host.polling import Backoff

log = logging.getLogger(__name__)

LOCK_S = 600
RENEW_S = LOCK_S / 2
POISON = "-poison"


class Queue(Protocol):
    """The part of the storage SDK's QueueClient that is used here."""

    queue_name: str

    def receive_messages(self, *, messages_per_page: int, max_messages: int, visibility_timeout: int) -> Any: ...

    def update_message(self, message: Any, *, visibility_timeout: int) -> Any: ...

    def delete_message(self, message: Any) -> None: ...

    def send_message(self, content: Any, *, time_to_live: int) -> Any: ...

    def create_queue(self) -> Any: ...


@dataclass
class _Held:
    """A message whose function is running."""

    message: Any
    renewed_at: float
    lock: threading.Lock = field(default_factory=threading.Lock)  # delete and release use the newest receipt
    finished: bool = False


class QueueListener:
    """Delivers the messages of one queue to one handler.

    handle: gets a message of the storage SDK; an exception is a failed try. tries: after so many, poison.
    parallel: how many run at once. at_once: how many are fetched when at most `parallel - at_once` run.
    retry_s: between a failure and the next try. max_polling_s: longest wait between two looks at an empty queue.
    """

    def __init__(
        self,
        name: str,
        queue: Queue,
        poison: Queue,
        handle: Callable[[Any], None],
        *,
        tries: int,
        parallel: int,
        at_once: int,
        retry_s: float,
        max_polling_s: float,
        clock: Clock | None = None,
    ) -> None:
        self.name = name
        self._queue = queue
        self._poison = None if str(queue.queue_name).endswith(POISON) else poison
        self._handle = handle
        self._tries = tries
        self._parallel, self._at_once = parallel, at_once
        self._retry_s = retry_s
        self._backoff = Backoff(max_polling_s)
        self._clock = clock or SystemClock()
        self._stop = threading.Event()
        self._wake = threading.Event()  # there may be something to look at
        self._room = threading.Event()  # for the next batch
        self._idle = threading.Event()  # nothing runs, and nothing will
        self._held: dict[str, _Held] = {}
        self._pool = ThreadPoolExecutor(parallel, f"{name}-")
        self._thread = threading.Thread(target=self._listen, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def notify(self) -> None:
        """Somebody of this instance put a message into the queue: it is looked at now."""
        self._wake.set()

    def stop(self, wait_s: float | None) -> None:
        """Receives no more and waits for running functions. What `wait_s` cuts off leaves its message hidden.

        wait_s: None: until their end.
        """
        self._stop.set()
        for event in (self._wake, self._room):
            event.set()
        if self._thread.ident is not None:
            self._thread.join()
        self._pool.shutdown(wait=False)
        if not self._held:
            self._idle.set()
        if wait_s is None:
            self._idle.wait()
        else:
            self._clock.wait(self._idle, wait_s)
        for held in list(self._held.values()):
            with held.lock:  # what it does from here on is not heard: in the real host the process is gone
                held.finished = True

    def _listen(self) -> None:
        found = False
        while not self._stop.is_set():
            self._wake.clear()
            self._room.clear()
            taken, has_room = 0, len(self._held) <= self._parallel - self._at_once
            try:
                if has_room:
                    taken = self._take()
                self._renew()
            except ResourceNotFoundError:
                log.debug("queue %s does not exist yet", self._queue.queue_name)
            except AzureError as exc:
                log.warning("queue %s: %s", self._queue.queue_name, exc)
            found = found or taken > 0
            if self._stop.is_set():
                return
            if not has_room:
                self._clock.wait(self._room, RENEW_S / 10)
            elif not taken:
                self._clock.wait(self._wake, self._backoff.next_s(found=found))
                found = False

    def _take(self) -> int:
        # one page, so that no message is hidden longer than needed before its function starts
        pages = self._queue.receive_messages(
            messages_per_page=self._at_once, max_messages=self._at_once, visibility_timeout=LOCK_S
        ).by_page()
        messages = list(next(pages, ()))
        for message in messages:
            held = self._held[message.id] = _Held(message, self._clock.monotonic())
            self._pool.submit(self._run, held)
        return len(messages)

    def _run(self, held: _Held) -> None:
        message = held.message
        try:
            if message.dequeue_count > self._tries:
                self._finish(held, self._to_poison)
                return
            try:
                self._handle(message)
            except Exception:  # any exception is a failed try, as in the real host
                log.exception("%s failed, try %d of %d", self.name, message.dequeue_count, self._tries)
                if message.dequeue_count >= self._tries and self._poison is not None:
                    self._finish(held, self._to_poison)
                else:
                    self._finish(held, self._release, self._retry_s)
                return
            self._finish(held, self._delete)
        finally:
            self._held.pop(message.id, None)
            if len(self._held) <= self._parallel - self._at_once:
                self._room.set()
            if self._stop.is_set() and not self._held:
                self._idle.set()

    def _finish(self, held: _Held, how: Callable[..., None], *arguments: Any) -> None:
        with held.lock:
            if held.finished:
                return
            held.finished = True
            try:
                how(held.message, *arguments)
            except AzureError as exc:  # it becomes visible again by itself, and is delivered once more
                log.warning("%s: message %s could not be finished: %s", self.name, held.message.id, exc)

    def _renew(self) -> None:
        for held in list(self._held.values()):
            with held.lock:
                if held.finished or self._clock.monotonic() - held.renewed_at < RENEW_S:
                    continue
                held.message = self._queue.update_message(held.message, visibility_timeout=LOCK_S)
                held.renewed_at = self._clock.monotonic()

    def _to_poison(self, message: Any) -> None:
        if self._poison is None:
            self._release(message, self._retry_s)
            return
        with suppress(ResourceExistsError):
            self._poison.create_queue()
        self._poison.send_message(message.content, time_to_live=-1)
        self._delete(message)
        log.error("%s: message %s was moved to %s", self.name, message.id, self._poison.queue_name)

    def _release(self, message: Any, after_s: float) -> None:
        self._queue.update_message(message, visibility_timeout=int(after_s))

    def _delete(self, message: Any) -> None:
        try:
            self._queue.delete_message(message)
        except HttpResponseError as exc:
            if exc.status_code not in (400, 404):  # another receiver has it, or it is gone: the host ignores both
                raise
