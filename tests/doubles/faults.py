"""Twins that fail as a service fails and an emulator never does: throttled, unreachable, and with lost answers.

A plan says which call fails how, where its caller is killed, and what others do just before or after it. The twins
behave as the Azure adapters do: where an answer is lost, its client asks again, meets the effect of the first try, and
resolves the refusal by reading back; what then shows is written here, call by call. `tests/contract/test_faults.py`
holds the real adapter to the same results.

Copies that take their time or fail are in `MemoryBlobStore` itself (`copy_plan`): there the service is slow, not the
answer. Clocks that disagree need no fault either: the twin is given one clock, its caller another (`skewed`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

from scenejobs.adapters.memory import Clock, MemoryBlobStore, MemoryCompute, MemoryLease, MemoryQueue
from scenejobs.errors import Busy, ComputeError, Conflict, LeaseLost, NotFound, StartUnknown
from scenejobs.ports import MAX_CONTROL_BYTES, BlobInfo, BlobStore, Execution, Lease, Listing, QueueMessage

T = TypeVar("T")


class Killed(BaseException):
    """SIGKILL of the caller: no code of ours catches it."""


class Fault(StrEnum):
    """What happens to a call."""

    BUSY = "busy"  # 429 or 503, or no connection, for longer than the adapter's patience: nothing happened, Busy
    LOST_ANSWER = "lost answer"  # it happened, the answer was lost, and the adapter's retry meets its effect
    UNANSWERED = "unanswered"  # it happened, and the adapter gave up waiting for an answer: Busy
    KILLED_BEFORE = "killed before"  # the caller was killed before it: nothing happened, Killed
    KILLED_AFTER = "killed after"  # it happened or was refused, and the caller was killed before it knew: Killed


class _Match:
    """Takes some calls. `verb`: of the port, "" for each; `name`: a part of the blob's or queue's name.

    skip: so many matching calls are let pass first; times: then so many are taken.
    """

    verb: str
    name: str
    skip: int
    times: int

    def matches(self, verb: str, name: str) -> bool:
        return self.verb in ("", verb) and self.name in name

    def takes(self, verb: str, name: str, now: datetime) -> bool:
        del now
        if not self.matches(verb, name):
            return False
        if self.skip:
            self.skip -= 1
            return False
        if not self.times:
            return False
        self.times -= 1
        return True


@dataclass
class Rule(_Match):
    """Lets the calls that it takes fail. A busy service that names a time (`retry_after_s`) refuses every matching call
    until it is over."""

    fault: Fault
    verb: str = ""
    name: str = ""
    skip: int = 0
    times: int = 1
    retry_after_s: float | None = None
    busy_until: datetime | None = field(default=None, init=False)

    def takes(self, verb: str, name: str, now: datetime) -> bool:
        if self.busy_until is not None and now < self.busy_until and self.matches(verb, name):
            return True
        taken = super().takes(verb, name, now)
        if taken and self.fault is Fault.BUSY and self.retry_after_s is not None:
            self.busy_until = now + timedelta(seconds=self.retry_after_s)
        return taken


@dataclass
class Meanwhile(_Match):
    """What others do just before a call, or just after it had its effect and before its caller goes on.

    They act on the stores themselves, so that no rule takes their calls.
    """

    act: Callable[[], object]
    verb: str = ""
    name: str = ""
    skip: int = 0
    times: int = 1
    after: bool = False


@dataclass
class FaultPlan:
    """Rules, tried in their order; the first that takes a call decides. `calls` remembers all, for counting."""

    clock: Clock
    rules: list[Rule] = field(default_factory=list)
    meanwhile: list[Meanwhile] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)  # "write state/scenes/a.json"
    lock: Any = field(default_factory=threading.RLock, repr=False)

    def call(self, verb: str, name: str, effect: Callable[[], T], again: Callable[[T], T] | None = None) -> T:
        """Makes the call, or lets it fail. `again`: what the adapter does when the first answer was lost."""
        with self.lock:
            self.calls.append(f"{verb} {name}")
            rule = next((rule for rule in self.rules if rule.takes(verb, name, self.clock())), None)
            others = [other for other in self.meanwhile if other.takes(verb, name, self.clock())]
        for other in others:
            if not other.after:
                other.act()
        result = self._ruled(rule, f"{verb} {name}", effect, again)
        for other in others:
            if other.after:
                other.act()
        return result

    @staticmethod
    def _ruled(rule: Rule | None, what: str, effect: Callable[[], T], again: Callable[[T], T] | None) -> T:
        if rule is None:
            return effect()
        if rule.fault is Fault.BUSY:
            wait = "" if rule.retry_after_s is None else f"; it asks to wait {rule.retry_after_s:g} s"
            raise Busy(f"{what}: the service is busy{wait}")
        if rule.fault is Fault.KILLED_BEFORE:
            raise Killed
        if rule.fault is Fault.KILLED_AFTER:
            with suppress(Exception):  # whatever the answer was: it never arrived
                effect()
            raise Killed
        result = effect()
        if rule.fault is Fault.UNANSWERED:
            raise Busy(f"{what}: no answer came")
        return again(result) if again is not None else effect()

    def store(self, store: MemoryBlobStore) -> FaultyBlobStore:
        return FaultyBlobStore(store, self)

    def queue(self, queue: MemoryQueue) -> FaultyQueue:
        return FaultyQueue(queue, self)

    def count(self, verb: str = "") -> int:
        """The calls of this verb so far ("list"), or of a verb on some names ("lease state/scenes/")."""
        start = verb if not verb or " " in verb else f"{verb} "
        return sum(call.startswith(start) for call in self.calls)


def nth_call(number: int, fault: Fault) -> Rule:
    """A plan's rule for the call of this number, counted from 1, whatever it is."""
    return Rule(fault, skip=number - 1)


def killed_at(number: int, *, after: bool) -> Rule:
    """The caller is killed before the call of this number, or after it."""
    return nth_call(number, Fault.KILLED_AFTER if after else Fault.KILLED_BEFORE)


def skewed(clock: Clock, seconds: float) -> Clock:
    """A clock that is wrong by so much. Positive: ahead."""
    return lambda: clock() + timedelta(seconds=seconds)


class FaultyLease:
    """See scenejobs.ports.Lease."""

    def __init__(self, lease: MemoryLease, plan: FaultPlan, what: str) -> None:
        self._lease, self._plan, self._what = lease, plan, what

    @property
    def id(self) -> str:
        return self._lease.id

    def renew(self) -> None:
        self._plan.call("renew", self._what, self._lease.renew)

    def release(self) -> None:
        self._plan.call("release", self._what, self._lease.release)

    def regained(self) -> bool:
        """The client names the lease: asked for again, the service grants it where nobody else came."""
        with suppress(LeaseLost):
            self._lease.renew()
            return True
        return False


class FaultyBlobStore:
    """See scenejobs.ports.BlobStore."""

    def __init__(self, store: MemoryBlobStore, plan: FaultPlan) -> None:
        self.store = store
        self._plan = plan
        self.name = store.name

    def list(self, prefix: str = "") -> Iterator[BlobInfo]:
        yield from self._call("list", prefix, lambda: tuple(self.store.list(prefix)))

    def list_all(self, prefix: str = "") -> Listing:
        return self._call("list", prefix, lambda: self.store.list_all(prefix))

    def sent_bytes(self, name: str) -> int:
        return self._call("blocks", name, lambda: self.store.sent_bytes(name))

    def now(self) -> datetime:
        return self._call("now", "", self.store.now)

    def head(self, name: str) -> BlobInfo:
        return self._call("head", name, lambda: self.store.head(name))

    def read_part(self, name: str, begin: int, count: int) -> bytes:
        return self._call("read", name, lambda: self.store.read_part(name, begin, count))

    def read(self, name: str, *, limit_bytes: int = MAX_CONTROL_BYTES) -> tuple[bytes, str]:
        return self._call("read", name, lambda: self.store.read(name, limit_bytes=limit_bytes))

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
        def effect() -> str:
            return self.store.write(name, data, if_match=if_match, if_absent=if_absent, lease=lease, metadata=metadata)

        def again(etag: str) -> str:
            try:
                return effect()
            except Conflict:
                if self._etag_of(name) == etag:
                    return etag  # read back: the write id is ours
                raise

        return self._call("write", name, effect, again)

    def download(self, name: str, path: Path, *, if_match: str | None = None) -> BlobInfo:
        def again(_: BlobInfo) -> BlobInfo:
            path.unlink(missing_ok=True)  # the client's retry goes on with its own file
            return self.store.download(name, path, if_match=if_match)

        try:
            return self._call("download", name, lambda: self.store.download(name, path, if_match=if_match), again)
        except Busy:
            path.unlink(missing_ok=True)
            raise

    def upload(self, path: Path, name: str, *, content_type: str | None = None) -> str:
        return self._call("upload", name, lambda: self.store.upload(path, name, content_type=content_type))

    def copy_from(
        self, source: BlobStore, source_name: str, name: str, *, source_etag: str | None, if_absent: bool
    ) -> BlobInfo:
        """Begun and waited for, as two calls: the copy goes on where its asker does not."""
        if not isinstance(source, FaultyBlobStore):
            raise ValueError("the source of a copy is a container of the same kind")
        there = source.store

        def begin() -> None:
            self.store.begin_copy(there, source_name, name, source_etag=source_etag, if_absent=if_absent)

        def again(_: None) -> None:
            with suppress(NotFound):  # the source went meanwhile; what the first try began is there
                begin()

        self._call("copy", name, begin, again)
        return self._call("await copy", name, lambda: self.store.finish_copy(name))

    def delete(self, name: str, *, if_match: str | None = None) -> None:
        def again(_: None) -> None:
            try:
                self.store.delete(name, if_match=if_match)
            except (NotFound, Conflict):
                if self._etag_of(name) is not None:
                    raise

        self._call("delete", name, lambda: self.store.delete(name, if_match=if_match), again)

    def delete_refused(self, name: str, *, if_match: str) -> None:
        self._call("delete refused", name, lambda: self.store.delete_refused(name, if_match=if_match))

    def lease(self, name: str, seconds: int) -> FaultyLease:
        def effect() -> FaultyLease:
            return FaultyLease(self.store.lease(name, seconds), self._plan, f"{self.name}/{name}")

        def again(lease: FaultyLease) -> FaultyLease:
            return lease if lease.regained() else effect()

        return self._call("lease", name, effect, again)

    def _call(self, verb: str, name: str, effect: Callable[[], T], again: Callable[[T], T] | None = None) -> T:
        return self._plan.call(verb, f"{self.name}/{name}", effect, again)

    def _etag_of(self, name: str) -> str | None:
        try:
            return self.store.head(name).etag
        except NotFound:
            return None


class FaultyQueue:
    """See scenejobs.ports.JobQueue. A lost answer to `send` is a second message, one to `receive` a hidden message, and
    one to `renew` a receipt that nobody knows."""

    def __init__(self, queue: MemoryQueue, plan: FaultPlan) -> None:
        self.queue = queue
        self._plan = plan
        self.name = queue.name

    def send(self, text: str, *, delay_s: float = 0) -> None:
        self._plan.call("send", self.name, lambda: self.queue.send(text, delay_s=delay_s))

    def receive(self, visibility_s: float) -> QueueMessage | None:
        return self._plan.call("receive", self.name, lambda: self.queue.receive(visibility_s))

    def renew(self, message: QueueMessage, visibility_s: float) -> QueueMessage:
        return self._plan.call("renew", self.name, lambda: self.queue.renew(message, visibility_s))

    def release(self, message: QueueMessage, *, delay_s: float = 0) -> None:
        self._plan.call("release", self.name, lambda: self.queue.release(message, delay_s=delay_s))

    def complete(self, message: QueueMessage) -> None:
        self._plan.call("complete", self.name, lambda: self.queue.complete(message))

    def waiting(self) -> int:
        return self._plan.call("waiting", self.name, self.queue.waiting)

    def peek(self) -> tuple[str, ...]:
        return self._plan.call("peek", self.name, self.queue.peek)

    def total(self) -> int:
        return self._plan.call("total", self.name, self.queue.total)


class FaultyCompute:
    """See scenejobs.ports.Compute. A start is never repeated by its adapter: when its answer is lost, it may have
    happened (StartUnknown). What is refused because the service is busy has not (ComputeError).

    listed_after_s: an execution is in the listing this long after its start. names_starts: whether the answer to a
    start names the execution.
    """

    JOB = "job"  # the name of every call: "start job", "live job", "stop job"

    def __init__(
        self, compute: MemoryCompute, plan: FaultPlan, *, listed_after_s: float = 0.0, names_starts: bool = True
    ) -> None:
        self.compute = compute
        self.listed_after_s, self.names_starts = listed_after_s, names_starts
        self.on_stop: Callable[[str], None] = compute.stop  # what comes of a request to stop
        self._plan = plan

    def start(self) -> str:
        started: list[str] = []

        def effect() -> str:
            started.append(self.compute.start())
            return started[-1] if self.names_starts else ""

        def again(_: str) -> str:
            raise StartUnknown(f"start {self.JOB}: the answer was lost")

        try:
            return self._plan.call("start", self.JOB, effect, again)
        except Busy as exc:
            raise (StartUnknown if started else ComputeError)(str(exc)) from exc

    def live(self) -> tuple[Execution, ...]:
        try:
            found = self._plan.call("live", self.JOB, self.compute.live)
        except Busy as exc:
            raise ComputeError(str(exc)) from exc
        since = self._plan.clock() - timedelta(seconds=self.listed_after_s)
        return tuple(item for item in found if item.started_at is None or item.started_at <= since)

    def stop(self, name: str) -> None:
        try:
            self._plan.call("stop", self.JOB, lambda: self.on_stop(name))
        except Busy as exc:
            raise ComputeError(str(exc)) from exc
