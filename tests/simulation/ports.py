"""The ports over the in-memory adapters. Every call passes the scheduler.

They behave as the Azure adapters do: where the service's answer is lost, its client asks again, meets the effect of the
first try, and settles the refusal by reading back. What it then shows is written here, call by call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from scenejobs.adapters.memory import MemoryBlobStore, MemoryLease, MemoryQueue
from scenejobs.errors import AccessDenied, Busy, ComputeError, Conflict, LeaseLost, NotFound, StartUnknown, StorageError
from scenejobs.ports import MAX_CONTROL_BYTES, BlobInfo, BlobStore, Execution, Lease, Listing, QueueMessage
from tests.simulation.hub import Hub, Process

COPY_WAIT_S = 900.0
COPY_POLL_S = 4.0

T = TypeVar("T")
Watch = Callable[[str, str, str], None]  # container, verb, name: called after every change


class SimLease:
    """See scenejobs.ports.Lease."""

    def __init__(self, hub: Hub, lease: MemoryLease, what: str, holder: Process) -> None:
        self._hub, self._lease, self._what = hub, lease, what
        self.holder = holder

    @property
    def id(self) -> str:
        return self._lease.id

    def renew(self) -> None:
        self._hub.call(f"renew lease {self._what}", self._lease.renew)

    def release(self) -> None:
        self._hub.call(f"release lease {self._what}", self._lease.release)


class SimBlobs:
    """See scenejobs.ports.BlobStore."""

    def __init__(
        self, hub: Hub, store: MemoryBlobStore, watch: Watch, listed: Callable[[str, str], None] = lambda *_: None
    ) -> None:
        self._hub, self.store, self._watch, self._listed = hub, store, watch, listed
        self.name = store.name
        self.holders: dict[str, Process] = {}  # lease id -> who took it
        self.counted: Callable[[str], None] = lambda _: None  # told whenever the blocks of an upload are counted
        self.denied: set[tuple[str, str]] = set()  # verb, prefix of names: the identity lost the right to it

    def _changes(self, verb: str, name: str, effect: Callable[[], T]) -> Callable[[], T]:
        def changed() -> T:
            if any(verb == denied and name.startswith(prefix) for denied, prefix in self.denied):
                raise AccessDenied(f"simulated: no right to {verb} {self.name}/{name}")
            result = effect()
            self._watch(self.name, verb, name)
            return result

        return changed

    # ---- looking ----

    def list(self, prefix: str = "") -> Iterator[BlobInfo]:
        def effect() -> list[BlobInfo]:
            self._listed(self.name, prefix)
            return list(self.store.list(prefix))

        return iter(self._hub.call(f"list {self.name}/{prefix}", effect))

    def list_all(self, prefix: str = "") -> Listing:
        def effect() -> Listing:
            self._listed(self.name, prefix)
            return self.store.list_all(prefix)

        return self._hub.call(f"list {self.name}/{prefix}", effect)

    def sent_bytes(self, name: str) -> int:
        def effect() -> int:
            self.counted(name)
            return self.store.sent_bytes(name)

        return self._hub.call(f"blocks {self.name}/{name}", effect)

    def now(self) -> datetime:
        return self._hub.call(f"time {self.name}", self.store.now)

    def head(self, name: str) -> BlobInfo:
        return self._hub.call(f"head {self.name}/{name}", lambda: self.store.head(name))

    def read_part(self, name: str, begin: int, count: int) -> bytes:
        return self._hub.call(f"read {self.name}/{name}", lambda: self.store.read_part(name, begin, count))

    def read(self, name: str, *, limit_bytes: int = MAX_CONTROL_BYTES) -> tuple[bytes, str]:
        return self._hub.call(f"read {self.name}/{name}", lambda: self.store.read(name, limit_bytes=limit_bytes))

    def download(self, name: str, path: Path, *, if_match: str | None = None) -> BlobInfo:
        def effect() -> BlobInfo:
            path.unlink(missing_ok=True)  # the client's retry goes on with its own file
            return self.store.download(name, path, if_match=if_match)

        return self._hub.call(f"download {self.name}/{name}", effect)

    # ---- changing ----

    def write(
        self,
        name: str,
        data: bytes,
        *,
        if_match: str | None = None,
        if_absent: bool = False,
        lease: Lease | None = None,
        metadata: dict[str, str] | None = None,
    ) -> str:
        effect = self._changes(
            "write",
            name,
            lambda: self.store.write(
                name, data, if_match=if_match, if_absent=if_absent, lease=lease, metadata=metadata
            ),
        )

        def again(etag: str) -> str:
            try:
                return effect()
            except Conflict:
                if name in self.store.blobs and self.store.blobs[name].etag == etag:
                    return etag  # read back: the write id is ours
                raise

        return self._hub.call(f"write {self.name}/{name}", effect, again)

    def upload(self, path: Path, name: str, *, content_type: str | None = None) -> str:
        return self._hub.call(
            f"upload {self.name}/{name}", self._changes("write", name, lambda: self.store.upload(path, name))
        )

    def delete(self, name: str, *, if_match: str | None = None) -> None:
        effect = self._changes("delete", name, lambda: self.store.delete(name, if_match=if_match))

        def again(_: None) -> None:
            try:
                effect()
            except (NotFound, Conflict):
                if name in self.store.blobs:
                    raise

        self._hub.call(f"delete {self.name}/{name}", effect, again)

    def delete_refused(self, name: str, *, if_match: str) -> None:
        raise NotImplementedError("operators do this, and there are none here")

    def copy_from(
        self, source: BlobStore, source_name: str, name: str, *, source_etag: str | None, if_absent: bool
    ) -> BlobInfo:
        """In the steps of `scenejobs.adapters.azure.copy`: look, begin, and look until it is whole."""
        assert isinstance(source, SimBlobs)
        original = self._hub.call(f"head {source.name}/{source_name}", lambda: source.store.head(source_name))
        if source_etag is not None and original.etag != source_etag:
            raise Conflict(f"{source_name} is another version now")
        what = f"copy {source.name}/{source_name} to {self.name}/{name}"
        begin = self._changes(
            "write",
            name,
            lambda: self.store.begin_copy(
                source.store, source_name, name, source_etag=original.etag, if_absent=if_absent
            ),
        )

        def again(_: None) -> None:
            with suppress(NotFound):  # the source went meanwhile; what the first try began is there
                begin()

        self._hub.call(what, begin, again)
        waited_s = 0.0
        while True:
            found = self._hub.call(f"head {self.name}/{name}", lambda: self.store.head(name))
            if found.copy == "failed":
                self.delete(name, if_match=found.etag)
                raise StorageError(f"{what}: the copy failed")
            if found.whole:
                if found.size_bytes != original.size_bytes:
                    raise StorageError(f"{what}: {found.size_bytes} of {original.size_bytes} bytes")
                return found
            if waited_s >= COPY_WAIT_S:
                raise Busy(f"{what}: not finished")
            self._hub.sleep(COPY_POLL_S)
            waited_s += COPY_POLL_S

    def lease(self, name: str, seconds: int) -> SimLease:
        process = self._hub.process

        def effect() -> SimLease:
            lease = self.store.lease(name, seconds)
            self.holders[lease.id] = process
            return SimLease(self._hub, lease, f"{self.name}/{name}", process)

        def again(lease: SimLease) -> SimLease:
            with suppress(LeaseLost):  # the client names the lease: asking again renews it where nobody else came
                lease._lease.renew()
                return lease
            return effect()

        return self._hub.call(f"lease {self.name}/{name}", effect, again)


class SimQueue:
    """See scenejobs.ports.JobQueue. `on_complete` is told of every message that leaves the queue."""

    def __init__(
        self,
        hub: Hub,
        queue: MemoryQueue,
        on_complete: Callable[[QueueMessage], None] | None = None,
        on_receive: Callable[[QueueMessage], None] | None = None,
    ) -> None:
        self._hub, self.queue = hub, queue
        self._on_complete, self._on_receive = on_complete, on_receive
        self.sent = 0

    def send(self, text: str, *, delay_s: float = 0) -> None:
        def effect() -> None:
            self.sent += 1
            self.queue.send(text, delay_s=delay_s)

        self._hub.call(f"send {self.queue.name}", effect)  # again: a second message

    def receive(self, visibility_s: float) -> QueueMessage | None:
        def effect() -> QueueMessage | None:
            messages = self.queue.messages
            if len(messages) > 1:  # the service promises no order
                messages.append(messages.pop(self._hub.random.randrange(len(messages))))
            message = self.queue.receive(visibility_s)
            if message is not None and self._on_receive is not None:
                self._on_receive(message)
            return message

        return self._hub.call(f"receive {self.queue.name}", effect)  # again: another one; the first stays hidden

    def renew(self, message: QueueMessage, visibility_s: float) -> QueueMessage:
        # again: the receipt it was asked with is outdated by its own first try
        return self._hub.call(f"renew {self.queue.name}", lambda: self.queue.renew(message, visibility_s))

    def release(self, message: QueueMessage, *, delay_s: float = 0) -> None:
        self._hub.call(f"release {self.queue.name}", lambda: self.queue.release(message, delay_s=delay_s))

    def complete(self, message: QueueMessage) -> None:
        def effect() -> None:
            before = len(self.queue.messages)
            self.queue.complete(message)
            if self._on_complete is not None and len(self.queue.messages) < before:
                self._on_complete(message)

        self._hub.call(f"complete {self.queue.name}", effect)

    def waiting(self) -> int:
        return self._hub.call(f"count visible {self.queue.name}", self.queue.waiting)

    def peek(self) -> tuple[str, ...]:
        return self._hub.call(f"peek {self.queue.name}", self.queue.peek)

    def total(self) -> int:
        return self._hub.call(f"count {self.queue.name}", self.queue.total)


class SimCompute:
    """See scenejobs.ports.Compute. `launch` makes an execution run in the world, `end` is told that it should stop."""

    def __init__(self, hub: Hub, launch: Callable[[str], None], end: Callable[[str], None], letter: str = "x") -> None:
        self._hub, self._launch, self._end, self._letter = hub, launch, end, letter
        self.starting: Callable[[], None] = lambda: None  # told before every start
        self.executions: dict[str, Execution] = {}  # that the service calls live
        self.starts = 0
        self.most = 0  # live at once

    def start(self) -> str:
        def effect() -> str:
            if self._hub.random.random() < self._hub.profile.start_fails:
                self._hub.note("start failed", "")
                raise ComputeError("simulated: no capacity", retry_after_s=self._hub.random.choice((None, 5.0)))
            self.starting()
            self.starts += 1
            name = f"{self._letter}{self.starts}"
            self.executions[name] = Execution(name, "Running", self._hub.clock())
            self.most = max(self.most, len(self.executions))
            self._launch(name)
            return name

        def lost(name: str) -> str:
            raise StartUnknown(f"simulated: the answer was lost, {name} was started")

        begun = self.starts
        try:
            return self._hub.call("start", effect, lost)
        except Busy as exc:
            if self.starts > begun:
                raise StartUnknown(str(exc)) from exc
            raise ComputeError(str(exc)) from exc

    def live(self) -> tuple[Execution, ...]:
        return self._hub.call("executions", lambda: tuple(self.executions.values()))

    def stop(self, name: str) -> None:
        def effect() -> None:
            if name in self.executions:
                self._hub.note("stopped", name)
                self._end(name)

        try:
            self._hub.call(f"stop {name}", effect)
        except Busy as exc:
            raise ComputeError(str(exc)) from exc
