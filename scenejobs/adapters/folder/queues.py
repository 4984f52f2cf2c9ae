"""A folder as a JobQueue: one file per message, whose name is its state and whose content never changes.

    <visible at, ns>-<times received>-<id>-<receipt>

Receiving, renewing and releasing are renames, completing is a removal. Of several processes that rename the same file
one succeeds, so no lock is needed, and killed at any point a message has its old name or its new one.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from scenejobs.adapters.folder import openat
from scenejobs.adapters.folder.clock import FolderClock
from scenejobs.adapters.folder.errors import os_errors
from scenejobs.errors import Conflict, NotFound
from scenejobs.ports import QueueMessage

MAX_MESSAGE_BYTES = 65_536
MAX_PEEK = 32
_NAME = re.compile(r"(\d{20})-(\d{9})-([0-9a-f]{32})-([0-9a-f]{16})")


@dataclass(frozen=True)
class _State:
    """What the name of a message's file says."""

    visible_ns: int
    dequeue_count: int
    id: str
    receipt: str

    @property
    def leaf(self) -> str:
        return f"{self.visible_ns:020}-{self.dequeue_count:09}-{self.id}-{self.receipt}"

    @staticmethod
    def parse(leaf: str) -> _State | None:
        match = _NAME.fullmatch(leaf)
        return _State(int(match[1]), int(match[2]), match[3], match[4]) if match else None


class FolderQueue:
    """See scenejobs.ports.JobQueue. Made where it is missing. Files with other names in the folder are no messages."""

    def __init__(self, folder: Path, name: str = "", *, clock: Callable[[], datetime] | None = None) -> None:
        self.folder = folder
        self.name = name or folder.name
        self._clock = clock or FolderClock(folder)
        with os_errors(f"making the queue {folder}"):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            openat.prepare(folder)

    def send(self, text: str, *, delay_s: float = 0) -> None:
        data = text.encode()
        if len(data) > MAX_MESSAGE_BYTES:
            raise ValueError(f"a message has at most {MAX_MESSAGE_BYTES} bytes")
        state = _State(self._ns(delay_s), 0, secrets.token_hex(16), _receipt())
        with os_errors(f"sending to queue {self.name}"), openat.private(self.folder) as aside:
            openat.write_file(aside, state.leaf, data)
            with openat.folder(self.folder) as here:
                os.rename(state.leaf, state.leaf, src_dir_fd=aside, dst_dir_fd=here)
                os.fsync(here)

    def receive(self, visibility_s: float) -> QueueMessage | None:
        with os_errors(f"receiving from queue {self.name}"), openat.folder(self.folder) as here:
            now_ns = self._ns(0)
            for state in self._states(here):
                if state.visible_ns > now_ns:
                    return None  # they are sorted by the time they become visible
                taken = self._hidden(replace(state, dequeue_count=state.dequeue_count + 1), visibility_s)
                if not _renamed(here, state, taken):
                    continue  # somebody else was faster
                data = openat.read_file(here, taken.leaf, MAX_MESSAGE_BYTES + 1)
                if data is not None:
                    return QueueMessage(taken.id, taken.receipt, data.decode("utf-8", "replace"), taken.dequeue_count)
        return None

    def renew(self, message: QueueMessage, visibility_s: float) -> QueueMessage:
        with os_errors(f"renewing message {message.id} of queue {self.name}"):
            return self._hide(message, visibility_s)

    def _hide(self, message: QueueMessage, seconds: float) -> QueueMessage:
        with openat.folder(self.folder) as here:
            state = self._found(here, message)
            hidden = self._hidden(state, seconds)
            if not _renamed(here, state, hidden):
                raise Conflict(f"message {message.id} of queue {self.name} is somebody else's now")
            return replace(message, receipt=hidden.receipt)

    def release(self, message: QueueMessage, *, delay_s: float = 0) -> None:
        with suppress(NotFound, Conflict), os_errors(f"releasing message {message.id} of queue {self.name}"):
            self._hide(message, delay_s)

    def complete(self, message: QueueMessage) -> None:
        with (
            suppress(NotFound, Conflict),
            os_errors(f"removing message {message.id} of queue {self.name}"),
            openat.folder(self.folder) as here,
        ):
            os.unlink(self._found(here, message).leaf, dir_fd=here)

    def _found(self, here: int, message: QueueMessage) -> _State:
        state = next((state for state in self._states(here) if state.id == message.id), None)
        if state is None:
            raise NotFound(f"message {message.id} of queue {self.name} is gone")
        if state.receipt != message.receipt:
            raise Conflict(f"message {message.id} of queue {self.name} is somebody else's now")
        return state

    def waiting(self) -> int:
        with os_errors(f"looking at queue {self.name}"), openat.folder(self.folder) as here:
            now_ns = self._ns(0)
            return min(MAX_PEEK, sum(state.visible_ns <= now_ns for state in self._states(here)))

    def peek(self) -> tuple[str, ...]:
        with os_errors(f"looking at queue {self.name}"), openat.folder(self.folder) as here:
            now_ns = self._ns(0)
            visible = [state.leaf for state in self._states(here) if state.visible_ns <= now_ns]
            found = (openat.read_file(here, leaf, MAX_MESSAGE_BYTES + 1) for leaf in visible[:MAX_PEEK])
            return tuple(data.decode("utf-8", "replace") for data in found if data is not None)  # None: received since

    def total(self) -> int:
        with os_errors(f"counting queue {self.name}"), openat.folder(self.folder) as here:
            return sum(1 for _ in self._states(here))

    def _states(self, here: int) -> Iterator[_State]:
        """The messages, those first that become visible first."""
        with os.scandir(here) as entries:
            leaves = sorted(entry.name for entry in entries if entry.is_file(follow_symlinks=False))
        return (state for leaf in leaves if (state := _State.parse(leaf)) is not None)

    def _hidden(self, state: _State, seconds: float) -> _State:
        return replace(state, visible_ns=self._ns(seconds), receipt=_receipt())

    def _ns(self, delay_s: float) -> int:
        since = self._clock() - datetime(1970, 1, 1, tzinfo=UTC)
        return (since.days * 86_400 + since.seconds) * 10**9 + since.microseconds * 1000 + int(delay_s * 1e9)


def _renamed(here: int, old: _State, new: _State) -> bool:
    """False when the old name is gone: somebody else received the message, or it was removed."""
    try:
        os.rename(old.leaf, new.leaf, src_dir_fd=here, dst_dir_fd=here)
    except FileNotFoundError:
        return openat.is_file(here, new.leaf)  # NFS repeats requests, and refuses the second one
    return True


def _receipt() -> str:
    return secrets.token_hex(8)
