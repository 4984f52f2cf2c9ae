"""A storage queue as a JobQueue.

Messages are plain text, and the SDK decodes nothing: one message that is not what its decoder expects makes receiving
fail without naming the message, so that it could never be removed (azure-storage-queue 12.18).
"""

from __future__ import annotations

import contextlib
import math

from azure.core.exceptions import HttpResponseError
from azure.storage.queue import QueueClient

from scenejobs.adapters.azure.errors import error_code, status_of, storage_errors
from scenejobs.errors import Conflict, NotFound
from scenejobs.ports import QueueMessage

NEVER = -1  # time to live; the service's default of 7 days removes even a message that is held and renewed
MAX_PEEK = 32


class AzureJobQueue:
    """See scenejobs.ports.JobQueue. Times have a resolution of one second and are rounded up."""

    def __init__(self, client: QueueClient) -> None:
        self._queue = client
        self.name = str(client.queue_name)

    def send(self, text: str, *, delay_s: float = 0) -> None:
        if len(text.encode()) > 65_536:
            raise ValueError("a message has at most 65536 bytes")
        with storage_errors(f"sending to queue {self.name}"):
            self._queue.send_message(text, visibility_timeout=_seconds(delay_s), time_to_live=NEVER)

    def receive(self, visibility_s: float) -> QueueMessage | None:
        with storage_errors(f"receiving from queue {self.name}"):
            message = self._queue.receive_message(visibility_timeout=max(1, _seconds(visibility_s)))
        if message is None:
            return None
        return QueueMessage(
            str(message.id), str(message.pop_receipt), str(message.content or ""), int(message.dequeue_count or 0)
        )

    def renew(self, message: QueueMessage, visibility_s: float) -> QueueMessage:
        return self._hide(message, visibility_s, "renewing")

    def _hide(self, message: QueueMessage, seconds: float, doing: str) -> QueueMessage:
        with storage_errors(f"{doing} message {message.id} of queue {self.name}"):
            try:
                # without content: the message keeps its own
                updated = self._queue.update_message(message.id, message.receipt, visibility_timeout=_seconds(seconds))
            except HttpResponseError as exc:
                self._raise_if_not_ours(exc, message)
                raise
        return QueueMessage(message.id, str(updated.pop_receipt), message.text, message.dequeue_count)

    def release(self, message: QueueMessage, *, delay_s: float = 0) -> None:
        with contextlib.suppress(NotFound, Conflict):
            self._hide(message, delay_s, "releasing")

    def complete(self, message: QueueMessage) -> None:
        with (
            contextlib.suppress(NotFound, Conflict),
            storage_errors(f"removing message {message.id} of queue {self.name}"),
        ):
            try:
                self._queue.delete_message(message.id, message.receipt)
            except HttpResponseError as exc:
                self._raise_if_not_ours(exc, message)
                raise

    def _raise_if_not_ours(self, exc: HttpResponseError, message: QueueMessage) -> None:
        code = error_code(exc)
        if code == "MessageNotFound":
            raise NotFound(f"message {message.id} of queue {self.name} is gone") from exc
        if status_of(exc) == 400 and code == "PopReceiptMismatch":
            raise Conflict(f"message {message.id} of queue {self.name} is somebody else's now") from exc

    def waiting(self) -> int:
        return len(self.peek())

    def peek(self) -> tuple[str, ...]:
        with storage_errors(f"looking at queue {self.name}"):
            return tuple(str(message.content or "") for message in self._queue.peek_messages(max_messages=MAX_PEEK))

    def total(self) -> int:
        with storage_errors(f"counting queue {self.name}"):
            return int(self._queue.get_queue_properties().approximate_message_count or 0)


def _seconds(value: float) -> int:
    return max(0, math.ceil(value))
