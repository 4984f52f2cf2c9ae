"""The state written to disk by a thread, while training goes on: a state of a large scene has 0.7 to 1.4 GB.

What is written is a snapshot of one step in host memory, so the steps that follow change nothing of it. At most one is
written at a time; a save that falls due meanwhile is made when the one before is on the disk. Beside the Gaussians
themselves a training therefore holds three snapshots at most: one to roll back to, one that is written, and one that is
being taken. The file itself is replaced in one go, so a kill at any moment leaves the older state whole.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self

Snapshot = dict[str, Any]  # of state.state_dict: never changed once it is taken


class StateWriter:
    """Writes snapshots one after the other in a thread of its own. Leaving the block waits for the last one."""

    def __init__(self, write: Callable[[Snapshot], None]) -> None:
        """write: all or nothing, to the disk; what it raises is raised by the next call here."""
        self._write = write
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="training state")
        self._writing: Future[None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(wait=True)
        if error is None:  # else that one is told
            self.wait()

    @property
    def busy(self) -> bool:
        """Whether a snapshot is being written. Raises what the last write raised (ResourceError: disk full)."""
        if self._writing is not None and self._writing.done():
            self.wait()
        return self._writing is not None

    def begin(self, snapshot: Snapshot) -> None:
        """Starts to write; waits first for one that is being written. Raises what that one raised."""
        self.wait()
        self._writing = self._pool.submit(self._write, snapshot)

    def wait(self) -> None:
        """Until all that was begun is on the disk. Raises what the last write raised."""
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.result()
