"""One world of containers and queues per implementation: every test of the port runs in each."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from scenejobs.memory import ManualClock, MemoryBlobStore, MemoryQueue
from scenejobs.ports import BlobStore, Containers, JobQueue, Queues


@dataclass(frozen=True)
class World:
    """What the tests see of an implementation."""

    kind: str
    containers: Containers
    queues: Queues
    advance: Callable[[float], None]  # lets time pass: a clock is moved, or the test waits


@pytest.fixture(params=["memory", pytest.param("azurite", marks=pytest.mark.azurite)])
def world(request: pytest.FixtureRequest) -> World:
    if request.param == "azurite":
        containers, queues = request.getfixturevalue("containers"), request.getfixturevalue("queues")
        return World("azurite", containers, queues, time.sleep)
    clock = ManualClock()
    names = ("input", "output", "processed", "error", "state")
    containers = Containers(*(MemoryBlobStore(name, clock) for name in names))
    queues = Queues(*(MemoryQueue(name, clock) for name in ("debounce", "jobs", "jobs-poison")))
    return World("memory", containers, queues, clock.advance)


@pytest.fixture
def store(world: World) -> BlobStore:
    return world.containers.input


@pytest.fixture
def queue(world: World) -> JobQueue:
    return world.queues.jobs
