"""One world of containers and queues per implementation: every test of the port runs in each.

    memory    a clock that is moved by hand
    azurite   the real adapter on the emulator; time passes by waiting
    folder    a directory; time passes by setting its clock forward

Where the implementations really differ, a test names the difference (`DIFFERENCES`) instead of leaving it out.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from scenejobs.adapters.folder import FolderBlobStore, FolderClock, FolderQueue
from scenejobs.adapters.memory import ManualClock, MemoryBlobStore, MemoryQueue
from scenejobs.ports import BlobStore, Containers, JobQueue, Queues

KINDS = ("input", "output", "processed", "error", "state")
QUEUES = ("debounce", "jobs", "jobs-poison")

# What is different for a reason, and who has it. docs/protocol.md holds the same table; a test compares them.
DIFFERENCES: dict[str, tuple[str, ...]] = {
    "a file and a folder of one name cannot both be there": ("folder",),
    "a segment of a name has at most 255 bytes": ("folder",),
    "a file is there from its first byte: nothing is sent in blocks": ("folder",),
    "names over 1024 characters are stored when the guard is passed by": ("azurite",),
    "times of blobs come from the service, not from the test's clock": ("azurite", "folder"),
    "visibility and delays are rounded up to whole seconds": ("azurite",),
    "leases end by waiting; 15 s is the shortest": ("azurite",),
    "a copy is whole at once, never under way": ("azurite", "folder"),
    "deleting a version of what is not there is a conflict": ("azurite",),
    "a copy over a blob leaves an ended lease renewable": ("azurite",),
    "files have no MD5 and no content encoding": ("folder",),
    "a message with a control character is an error for whoever receives it": ("azurite",),
}


@dataclass(frozen=True)
class World:
    """What the tests see of an implementation."""

    kind: str
    containers: Containers
    queues: Queues
    advance: Callable[[float], None]  # lets time pass: a clock is moved, or the test waits

    def differs(self, how: str) -> bool:
        """Whether this implementation has one of the listed differences."""
        return self.kind in DIFFERENCES[how]


@dataclass
class _Ahead:
    """The clock of a folder, set forward."""

    clock: FolderClock
    seconds: float = 0

    def __call__(self) -> datetime:
        return self.clock() + timedelta(seconds=self.seconds)

    def advance(self, seconds: float) -> None:
        self.seconds += seconds


@pytest.fixture(params=["memory", pytest.param("azurite", marks=pytest.mark.azurite), "folder"])
def world(request: pytest.FixtureRequest) -> World:
    if request.param == "azurite":
        containers, queues = request.getfixturevalue("containers"), request.getfixturevalue("queues")
        return World("azurite", containers, queues, time.sleep)
    if request.param == "folder":
        return folder_world(request.getfixturevalue("quick_disk") / "containers")
    clock = ManualClock()
    containers = Containers(*(MemoryBlobStore(name, clock) for name in KINDS))
    queues = Queues(*(MemoryQueue(name, clock) for name in QUEUES))
    return World("memory", containers, queues, clock.advance)


def folder_world(root: Path) -> World:
    for kind in KINDS:
        (root / kind).mkdir(parents=True)
    FolderBlobStore(root / "state")
    clock = _Ahead(FolderClock(root / "state"))
    containers = Containers(*(FolderBlobStore(root / kind, clock=clock) for kind in KINDS))
    queues = Queues(*(FolderQueue(root / "queues" / name, clock=clock) for name in QUEUES))
    return World("folder", containers, queues, clock.advance)


@pytest.fixture
def store(world: World) -> BlobStore:
    return world.containers.input


@pytest.fixture
def queue(world: World) -> JobQueue:
    return world.queues.jobs
