"""What the twins have beyond the ports: a clock that is handed in, and executions that end when told to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from scenejobs.adapters.memory import ManualClock, MemoryBlobStore, MemoryCompute, MemoryQueue, system_clock
from scenejobs.errors import ComputeError, Conflict, LeaseLost, StorageError


def test_blobs_are_as_old_as_the_clock_says_in_whole_seconds() -> None:
    clock = ManualClock(datetime(2026, 1, 1, 12, 0, 0, 900_000, tzinfo=UTC))
    store = MemoryBlobStore(clock=clock)
    store.write("a", b"")
    assert store.head("a").modified == datetime(2026, 1, 1, 12, tzinfo=UTC) == store.now()
    clock.advance(90)
    store.write("b", b"")
    assert store.head("b").modified - store.head("a").modified == timedelta(seconds=90)


def test_a_lease_ends_with_the_clock() -> None:
    clock = ManualClock()
    store = MemoryBlobStore(clock=clock)
    store.write("a", b"1")
    lease = store.lease("a", 60)
    clock.advance(59)
    with pytest.raises(Conflict):
        store.lease("a", 60)
    lease.renew()
    clock.advance(59)
    store.write("a", b"2", lease=lease)
    clock.advance(2)
    rival = store.lease("a", 60)
    with pytest.raises(LeaseLost):
        lease.renew()
    lease.release()  # quiet, and the rival keeps it
    rival.renew()


def copying(seconds: float, *, succeeds: bool = True) -> tuple[ManualClock, MemoryBlobStore, MemoryBlobStore]:
    """A source with one blob, and a destination whose copies take so long; waiting moves the clock."""
    clock = ManualClock()
    source = MemoryBlobStore("from", clock)
    source.write("a", b"bytes")
    return clock, source, MemoryBlobStore("to", clock, copy_plan=lambda: (seconds, succeeds), pause=clock.advance)


def test_a_copy_that_takes_time_is_told_apart_until_it_is_whole() -> None:
    clock, source, target = copying(60)
    target.begin_copy(source, "a", "b", source_etag=None, if_absent=True)
    assert (target.head("b").copy, target.head("b").whole, target.read("b")[0]) == ("pending", False, bytes(5))
    with pytest.raises(Conflict):
        target.write("b", b"other")
    clock.advance(60)
    assert (target.read("b")[0], target.head("b").whole) == (b"bytes", True)


def test_asking_for_a_copy_waits_until_it_is_whole_whoever_began_it() -> None:
    clock, source, target = copying(60)
    began = clock()
    target.begin_copy(source, "a", "b", source_etag=None, if_absent=True)
    assert target.copy_from(source, "a", "b", source_etag=None, if_absent=True).whole
    assert clock() - began == timedelta(seconds=60)


@pytest.mark.parametrize("how", ["delete", "replace", "fail"])
def test_a_copy_whose_source_vanishes_or_that_fails_leaves_nothing_and_says_so(how: str) -> None:
    clock, source, target = copying(60, succeeds=how != "fail")
    target.begin_copy(source, "a", "b", source_etag=None, if_absent=True)
    if how == "delete":
        source.delete("a")
        source.write("a", b"bytes")
    if how == "replace":
        source.write("a", b"newer")
    clock.advance(60)
    assert target.head("b").copy == "failed"
    if how == "fail":
        with pytest.raises(StorageError):
            target.copy_from(source, "a", "b", source_etag=None, if_absent=True)
        assert list(target.list()) == []


def test_a_message_comes_back_with_the_clock() -> None:
    clock = ManualClock()
    queue = MemoryQueue(clock=clock)
    queue.send("a", delay_s=60)
    clock.advance(59)
    assert queue.receive(300) is None
    clock.advance(1)
    first = queue.receive(300)
    clock.advance(299)
    assert queue.receive(300) is None
    clock.advance(1)
    second = queue.receive(300)
    assert first is not None
    assert second is not None
    assert (first.dequeue_count, second.dequeue_count) == (1, 2)


def test_executions_live_until_they_are_finished_or_stopped() -> None:
    compute = MemoryCompute(ManualClock())
    one, two = compute.start(), compute.start()
    assert [execution.name for execution in compute.live()] == [one, two]
    assert {execution.status for execution in compute.live()} == {"Running"}
    compute.finish(one)
    compute.stop(two)
    compute.stop("nobody")
    assert compute.live() == ()
    assert compute.starts == 2


def test_starts_fail_as_told() -> None:
    compute = MemoryCompute(fail_with=[ComputeError("throttled", retry_after_s=5)])
    with pytest.raises(ComputeError):
        compute.start()
    assert compute.starts == 0
    assert compute.start() == "execution-1"


def test_the_default_clock_is_the_systems() -> None:
    assert abs(system_clock() - datetime.now(UTC)) < timedelta(seconds=5)
