"""In-memory twins of the storage adapters, for tests: the same rules as the service, and a clock that is passed in.

They really keep bytes, ETags, leases, visibility and pop receipts, so that code under test meets the same refusals as
on the emulator. One conformance suite runs on both. Threads may share them.
"""

from __future__ import annotations

from scenejobs.adapters.memory.blobs import CopyPlan, MemoryBlobStore, MemoryLease
from scenejobs.adapters.memory.clock import Clock, ManualClock, system_clock
from scenejobs.adapters.memory.compute import MemoryCompute
from scenejobs.adapters.memory.guards import Guards
from scenejobs.adapters.memory.links import MemoryLinks
from scenejobs.adapters.memory.queues import MemoryQueue

__all__ = [
    "Clock", "CopyPlan", "Guards", "ManualClock", "MemoryBlobStore", "MemoryCompute", "MemoryLease", "MemoryLinks",
    "MemoryQueue",
    "system_clock",
]  # fmt: skip
