"""A queue trigger with the rules of the Functions host: batches, dequeue counts, retries, the poison queue.

The rules are those of the host's queue listener. A message is hidden for 10 minutes, renewed at half of that, while its
function runs. After a failure it is visible again after `visibilityTimeout`. When its last try failed it is copied to
`<queue>-poison` and then deleted, so it may be there twice but is never lost. A poison queue has none of its own.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from azure.core.exceptions import AzureError, HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.storage.queue import QueueClient

log = logging.getLogger(__name__)

LOCK_S = 600
RENEW_S = LOCK_S / 2
POISON = "-poison"


@dataclass
class _Held:
    """A message whose function is running."""

    message: Any
    renewed_at: float = field(default_factory=time.monotonic)
    lock: threading.Lock = field(default_factory=threading.Lock)  # delete and release use the newest receipt
    finished: bool = False


class QueueListener:
    """Delivers the messages of one queue to one handler.

    handle: gets a message of the storage SDK; an exception is a failed try. tries: after so many, poison.
    parallel: how many run at once. at_once: how many are fetched when at most `parallel - at_once` run.
    """

    def __init__(
        self,
        name: str,
        queue: QueueClient,
        poison: QueueClient,
        handle: Callable[[Any], None],
        *,
        tries: int,
        parallel: int,
        at_once: int,
        retry_s: float,
        poll_s: float = 0.3,
    ) -> None:
        self.name = name
        self._queue = queue
        self._poison = None if str(queue.queue_name).endswith(POISON) else poison
        self._handle = handle
        self._tries = tries
        self._parallel, self._at_once = parallel, at_once
        self._retry_s = retry_s
        self._poll_s = poll_s
        self._stop = threading.Event()
        self._held: dict[str, _Held] = {}
        self._pool = ThreadPoolExecutor(parallel, f"{name}-")
        self._thread = threading.Thread(target=self._listen, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, wait_s: float) -> None:
        """Receives no more, waits for running functions, and releases the messages of those that do not end in time."""
        self._stop.set()
        self._pool.shutdown(wait=False, cancel_futures=True)
        deadline = time.monotonic() + wait_s
        while self._held and time.monotonic() < deadline:
            time.sleep(0.02)
        for held in list(self._held.values()):
            self._finish(held, self._release, 0)

    def _listen(self) -> None:
        while not self._stop.is_set():
            taken = 0
            try:
                if len(self._held) <= self._parallel - self._at_once:
                    taken = self._take()
                self._renew()
            except ResourceNotFoundError:
                log.debug("queue %s does not exist yet", self._queue.queue_name)
            except AzureError as exc:
                log.warning("queue %s: %s", self._queue.queue_name, exc)
            if not taken:
                self._stop.wait(self._poll_s)

    def _take(self) -> int:
        # one page, so that no message is hidden longer than needed before its function starts
        pages = self._queue.receive_messages(
            messages_per_page=self._at_once, max_messages=self._at_once, visibility_timeout=LOCK_S
        ).by_page()
        messages = list(next(pages, ()))
        for message in messages:
            held = self._held[message.id] = _Held(message)
            with suppress(RuntimeError):  # the pool was shut down since: `stop` releases the message
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
                if held.finished or time.monotonic() - held.renewed_at < RENEW_S:
                    continue
                held.message = self._queue.update_message(held.message, visibility_timeout=LOCK_S)
                held.renewed_at = time.monotonic()

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
            if exc.status_code not in (
                400,
                404,
            ):  # another receiver has it, or it is gone: the host ignores both
                raise
