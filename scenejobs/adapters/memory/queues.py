"""A JobQueue in memory."""

from __future__ import annotations

import itertools
import threading
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from scenejobs.adapters.memory.clock import Clock, system_clock
from scenejobs.errors import Conflict, NotFound
from scenejobs.ports import QueueMessage

MAX_MESSAGE_BYTES = 65_536
MAX_PEEK = 32


@dataclass
class _Message:
    id: str
    text: str
    visible_at: datetime
    receipt: str = ""
    dequeue_count: int = 0


@dataclass
class MemoryQueue:
    """See scenejobs.ports.JobQueue."""

    name: str = "queue"
    clock: Clock = system_clock
    messages: list[_Message] = field(default_factory=list)
    lock: Any = field(default_factory=threading.RLock, repr=False)

    def send(self, text: str, *, delay_s: float = 0) -> None:
        if len(text.encode()) > MAX_MESSAGE_BYTES:
            raise ValueError(f"a message has at most {MAX_MESSAGE_BYTES} bytes")
        self.messages.append(_Message(uuid.uuid4().hex, text, self.clock() + timedelta(seconds=delay_s)))

    def receive(self, visibility_s: float) -> QueueMessage | None:
        with self.lock:
            for message in self.messages:
                if message.visible_at <= self.clock():
                    message.dequeue_count += 1
                    self._hide(message, visibility_s)
                    return QueueMessage(message.id, message.receipt, message.text, message.dequeue_count)
            return None

    def renew(self, message: QueueMessage, visibility_s: float) -> QueueMessage:
        with self.lock:
            stored = self._find(message)
            if stored is None:
                raise NotFound(f"message {message.id} is gone")
            if stored.receipt != message.receipt:
                raise Conflict(f"message {message.id} is somebody else's now")
            self._hide(stored, visibility_s)
            return QueueMessage(stored.id, stored.receipt, stored.text, stored.dequeue_count)

    def release(self, message: QueueMessage, *, delay_s: float = 0) -> None:
        with self.lock:
            stored = self._find(message)
            if stored is not None and stored.receipt == message.receipt:
                self._hide(stored, delay_s)

    def complete(self, message: QueueMessage) -> None:
        with self.lock:
            stored = self._find(message)
            if stored is not None and stored.receipt == message.receipt:
                self.messages.remove(stored)

    def waiting(self) -> int:
        return len(self.peek())

    def peek(self) -> tuple[str, ...]:
        now = self.clock()
        visible = (message.text for message in self.messages if message.visible_at <= now)
        return tuple(itertools.islice(visible, MAX_PEEK))

    def total(self) -> int:
        return len(self.messages)

    def _find(self, message: QueueMessage) -> _Message | None:
        return next((stored for stored in self.messages if stored.id == message.id), None)

    def _hide(self, message: _Message, seconds: float) -> None:
        message.visible_at = self.clock() + timedelta(seconds=seconds)
        message.receipt = uuid.uuid4().hex
