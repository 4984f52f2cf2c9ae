"""What the project needs of storage, queues and compute, as a few verbs. Adapters: azure, folder, memory (tests).

All errors are of `scenejobs.errors`: NotFound, Conflict, Busy, AccessDenied, StorageError, ComputeError. ETags are
plain text without quotes. Times are aware and UTC. Every operation may be repeated after an error.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal, Protocol

MAX_CONTROL_BYTES = 256 * 2**20  # of a blob that is read whole; a list of 20,000 uploads with the longest names fits
SMALL_BYTES = 4 * 2**20  # the same of one that holds no list


@dataclass(frozen=True)
class BlobInfo:
    """One committed blob, as a listing shows it."""

    name: str
    etag: str
    size_bytes: int
    modified: datetime  # resolution of one second
    metadata: dict[str, str]
    copy: Literal["", "pending", "failed"] = ""  # of a copy that is under way, or that ended before it was whole
    leased: bool = False  # somebody holds its lease at this moment
    content_md5: str = ""  # as the storage has it, in lowercase hex; "" where it has none. Nobody has checked it
    content_encoding: str = ""  # what the uploader said, as "gzip"; it need not be true
    copied_bytes: int = 0  # of a copy that is under way
    unusable: str = ""  # why it can never be an upload, where that shows from outside: "it is a named pipe"
    archived: bool = False  # it lies in the archive tier, where its bytes cannot be read or copied ...
    rehydrating: bool = False  # ... and is on its way out of it, which takes hours; the ETag stays the same

    @property
    def whole(self) -> bool:
        """Whether the bytes are there. A copy that is not whole may bear the size of its source already."""
        return not self.copy


@dataclass(frozen=True)
class Listing:
    """All that a look at a container shows."""

    blobs: tuple[BlobInfo, ...]  # as `BlobStore.list` gives them
    sending: tuple[str, ...] = ()  # names of which blocks are there and never were committed, in the order of names


class Lease(Protocol):
    """The exclusive right to write one blob, until it expires. Reading needs no lease."""

    @property
    def id(self) -> str: ...

    def renew(self) -> None:
        """The heartbeat. Raises LeaseLost when somebody else holds it, Busy or StorageError without an answer."""

    def release(self) -> None:
        """Ends it at once; does nothing when it is over already."""


class BlobStore(Protocol):
    """One container. Every name passed in has passed `names.refusal`; another is a bug and raises ValueError."""

    @property
    def name(self) -> str:
        """Of the container, for messages."""

    def list(self, prefix: str = "") -> Iterator[BlobInfo]:
        """Every blob whose name starts with `prefix` (plain text, not a folder), in the order of names.

        The directories that accounts with a hierarchical namespace list are no blobs, here and in `head`.
        """

    def list_all(self, prefix: str = "") -> Listing:
        """As `list`, and the names whose first upload is under way, or was given up in the last week.

        Names are as they come: `names.refusal` was not asked. A name that is sent again, over a blob that is there,
        is none of them. One listing, and a second one where an empty blob leaves open which of the two it is.
        """

    def sent_bytes(self, name: str) -> int:
        """How many bytes of blocks lie there for a name since its last commit; 0 when none do, or it is unknown."""

    def now(self) -> datetime:
        """The service's clock. Ages of blobs are measured with it, never with the local one."""

    def head(self, name: str) -> BlobInfo:
        """Raises NotFound."""

    def read(self, name: str, *, limit_bytes: int = MAX_CONTROL_BYTES) -> tuple[bytes, str]:
        """Content and ETag of a small blob, as it is stored: nothing is unpacked, whatever its Content-Encoding says.

        Raises NotFound, WrongChecksum, StorageError for more than `limit_bytes`, before there is memory for them.
        """

    def read_part(self, name: str, begin: int, count: int) -> bytes:
        """Stored bytes from `begin` on, `count` at most and fewer at the end; nobody has checked them.

        `begin` lies in the blob. Raises NotFound, StorageError.
        """

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
        """Writes a small blob and returns its ETag. Raises Conflict when the condition or the lease does not hold."""

    def download(self, name: str, path: Path, *, if_match: str | None = None) -> BlobInfo:
        """Streams the stored bytes, never unpacked, into a new local file; checks their length, and their MD5 if known.

        Raises NotFound, Conflict when the version is another one, WrongChecksum.
        """

    def upload(self, path: Path, name: str, *, content_type: str | None = None) -> str:
        """Streams a local file into a blob, replacing it; returns the ETag."""

    def copy_from(
        self, source: BlobStore, source_name: str, name: str, *, source_etag: str | None, if_absent: bool
    ) -> BlobInfo:
        """Copies one version of a blob into this container, server-side where that works, and waits until it is whole.

        The copy carries metadata `source_etag`; one of the same version that is there already counts as made.

        Raises NotFound (no source), Conflict (the source is another version now, or the destination exists and
        `if_absent`).
        """

    def delete(self, name: str, *, if_match: str | None = None) -> None:
        """Raises NotFound, Conflict."""

    def delete_refused(self, name: str, *, if_match: str) -> None:
        """Removes a listed blob whose name `names.refusal` refuses, and nothing else. For operators.

        Raises NotFound, Conflict, ValueError for a name that is not refused.
        """

    def lease(self, name: str, seconds: int) -> Lease:
        """Takes the lease of an existing blob (15 to 60 s). Raises Conflict when it is taken, NotFound."""


@dataclass(frozen=True)
class QueueMessage:
    """A received message. `receipt` changes with every renewal; the queue adapter returns the message to use next."""

    id: str
    receipt: str
    text: str
    dequeue_count: int


class JobQueue(Protocol):
    """One storage queue: at least once, no order, messages never expire."""

    def send(self, text: str, *, delay_s: float = 0) -> None: ...

    def receive(self, visibility_s: float) -> QueueMessage | None:
        """One message with a visibility timeout of `visibility_s`; None when there is none."""

    def renew(self, message: QueueMessage, visibility_s: float) -> QueueMessage:
        """The heartbeat: a visibility timeout of `visibility_s` from now. Raises NotFound, Conflict (old receipt)."""

    def release(self, message: QueueMessage, *, delay_s: float = 0) -> None:
        """Requeues it; visible again after `delay_s`. Does nothing when it is gone or somebody else's."""

    def complete(self, message: QueueMessage) -> None:
        """Acknowledges it: removes it. Does nothing when it is gone or somebody else's."""

    def waiting(self) -> int:
        """Visible messages, counted up to 32."""

    def peek(self) -> tuple[str, ...]:
        """The texts of these, those first that would be received first, as far as the queue keeps an order."""

    def total(self) -> int:
        """Visible and hidden messages, approximately."""


@dataclass(frozen=True)
class Execution:
    """One execution of the job that has not ended."""

    name: str  # "" where the service gives none
    status: str  # "Running" | "Processing" | "Unknown"
    started_at: datetime | None


NAMED = "@"  # begins the key of a target that is told only of the scenes that name it


class NoticeTarget(Protocol):
    """Somebody who is told about scenes."""

    def send(self, id: str, event: str, /) -> None:
        """One event, as JSON. The same id again is the same event, byte for byte.

        Raises InfrastructureError where it was not taken, or nobody knows.
        """


class Compute(Protocol):
    """Where jobs run."""

    def start(self) -> str:
        """Asks for one execution; returns its name, "" when the service does not say. Accepted proves nothing.

        Raises StartUnknown when the request was sent and its answer lost, so that it may have started; ComputeError
        (with `retry_after_s` where the service names it), NotDeployed and AccessDenied when it has not.
        """

    def live(self) -> tuple[Execution, ...]:
        """Executions that are running or about to."""

    def stop(self, name: str) -> None:
        """Asks for the end of one execution; does nothing when it has ended. Accepted proves nothing.

        Raises ComputeError, AccessDenied.
        """


class Links(Protocol):
    """Signs URLs by which anybody reaches one blob, from `start` until `end`: seven days at most.

    Both raise AccessDenied, and Busy or StorageError where the service does not answer.
    """

    @property
    def origin(self) -> str:
        """Scheme, host and port of the URLs."""

    def read(
        self, name: str, start: datetime, end: datetime, *, as_file: bool = False,
        kind: Literal["output", "state"] = "output",
    ) -> str:  # fmt: skip
        """Of a blob of that container. as_file: a browser keeps it instead of showing it."""

    def write(self, name: str, start: datetime, end: datetime) -> str:
        """Of a blob of the input container: it may be made and written, and not be read, listed or deleted."""


@dataclass(frozen=True)
class Containers:
    """The five containers of the system."""

    input: BlobStore
    output: BlobStore
    processed: BlobStore
    error: BlobStore
    state: BlobStore


@dataclass(frozen=True)
class Queues:
    """The queues of the system."""

    debounce: JobQueue  # delayed "is it quiet now?" checks
    jobs: JobQueue  # work for the runner
    poison: JobQueue  # work messages that cannot be handled, with the reason
