"""Twins with a fault plan: what shows of a busy service, of lost answers, of slow copies and of wrong clocks."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from scenejobs.adapters.memory import ManualClock, MemoryBlobStore, MemoryCompute, MemoryQueue
from scenejobs.errors import Busy, ComputeError, Conflict, NotFound, StartUnknown, StorageError
from tests.doubles.faults import (
    Fault,
    FaultPlan,
    FaultyBlobStore,
    FaultyCompute,
    FaultyQueue,
    Killed,
    Meanwhile,
    Rule,
    skewed,
)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def plan(clock: ManualClock) -> FaultPlan:
    return FaultPlan(clock)


@pytest.fixture
def store(clock: ManualClock, plan: FaultPlan) -> FaultyBlobStore:
    store = FaultyBlobStore(MemoryBlobStore("state", clock), plan)
    store.store.write("there", b"old")
    return store


@pytest.fixture
def queue(clock: ManualClock, plan: FaultPlan) -> FaultyQueue:
    return FaultyQueue(MemoryQueue("jobs", clock), plan)


CHANGES: dict[str, Callable[[FaultyBlobStore, Path], object]] = {
    "write": lambda store, _: store.write("new", b"1", if_absent=True),
    "upload": lambda store, path: store.upload(path, "new"),
    "copy": lambda store, _: store.copy_from(store, "there", "new", source_etag=None, if_absent=True),
    "delete": lambda store, _: store.delete("there"),
}


@pytest.mark.parametrize("verb", CHANGES)
@pytest.mark.parametrize("fault", Fault)
def test_a_change_happens_as_its_fault_says(
    store: FaultyBlobStore, plan: FaultPlan, tmp_path: Path, verb: str, fault: Fault
) -> None:
    """Busy: nothing happened. Unanswered: it happened, nobody knows. A lost answer: it happened once, and is known.
    Killed: no code of ours goes on, and it happened or not."""
    (tmp_path / "file").write_bytes(b"1")
    plan.rules = [Rule(fault, verb)]
    change = CHANGES[verb]
    if fault is Fault.LOST_ANSWER:
        change(store, tmp_path / "file")
    else:
        with pytest.raises(Killed if fault in (Fault.KILLED_BEFORE, Fault.KILLED_AFTER) else Busy):
            change(store, tmp_path / "file")
    nothing_happened = fault in (Fault.BUSY, Fault.KILLED_BEFORE)
    expected = {"delete": set(), "write": {"there", "new"}}.get(verb, {"there", "new"})
    assert {blob.name for blob in store.store.list()} == ({"there"} if nothing_happened else expected)
    if nothing_happened:
        change(store, tmp_path / "file")  # the next try meets nothing in its way


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_others_act_just_before_a_call_or_just_after_it(store: FaultyBlobStore, plan: FaultPlan, after: bool) -> None:
    rival = Meanwhile(lambda: store.store.write("there", b"rival"), "write", "there", after=after)
    plan.meanwhile = [rival]
    store.write("there", b"new")
    assert store.read("there")[0] == (b"rival" if after else b"new")
    store.write("there", b"newer")
    assert store.read("there")[0] == b"newer", "once"
    assert plan.calls == ["write state/there", "read state/there"] * 2, "their calls are not counted"


def test_a_compare_and_swap_whose_answer_is_lost_is_settled_by_reading_back(
    store: FaultyBlobStore, plan: FaultPlan
) -> None:
    """The retry is refused, for the version is new by now: its own. A rival's write in between is a conflict."""
    plan.rules = [Rule(Fault.LOST_ANSWER, "write")]
    etag = store.write("there", b"new", if_match=store.head("there").etag)
    assert store.read("there") == (b"new", etag)
    plan.rules = [Rule(Fault.LOST_ANSWER, "write")]
    with pytest.raises(Conflict):
        store.write("there", b"late", if_match="never")


def test_a_lease_whose_answer_is_lost_is_ours(store: FaultyBlobStore, plan: FaultPlan, clock: ManualClock) -> None:
    plan.rules = [
        Rule(Fault.LOST_ANSWER, "lease"),
        Rule(Fault.LOST_ANSWER, "renew"),
        Rule(Fault.LOST_ANSWER, "release"),
    ]
    lease = store.lease("there", 15)
    with pytest.raises(Conflict):
        store.store.write("there", b"rival")
    lease.renew()
    store.write("there", b"new", lease=lease)
    lease.release()
    store.store.write("there", b"free")


def test_a_download_whose_answer_is_lost_is_one_whole_file(
    store: FaultyBlobStore, plan: FaultPlan, tmp_path: Path
) -> None:
    plan.rules = [Rule(Fault.LOST_ANSWER, "download")]
    store.download("there", tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == b"old"
    plan.rules = [Rule(Fault.UNANSWERED, "download")]
    with pytest.raises(Busy):
        store.download("there", tmp_path / "b")
    assert not (tmp_path / "b").exists()


def test_lost_answers_of_a_queue(queue: FaultyQueue, plan: FaultPlan) -> None:
    """As measured: sending is doubled, receiving hides a message from all, renewing outdates its own receipt."""
    plan.rules = [Rule(Fault.LOST_ANSWER, "send")]
    queue.send("work")
    assert queue.total() == 2
    plan.rules = [Rule(Fault.LOST_ANSWER, "receive")]
    message = queue.receive(60)
    assert message is not None
    assert (queue.waiting(), queue.total()) == (0, 2)
    plan.rules = [Rule(Fault.LOST_ANSWER, "renew")]
    with pytest.raises(Conflict):
        queue.renew(message, 60)
    queue.complete(message)
    assert queue.total() == 2


def test_a_lost_answer_to_completing_is_harmless(queue: FaultyQueue, plan: FaultPlan) -> None:
    queue.send("work")
    message = queue.receive(60)
    assert message is not None
    plan.rules = [Rule(Fault.LOST_ANSWER, "complete"), Rule(Fault.UNANSWERED, "release")]
    queue.complete(message)
    with pytest.raises(Busy):
        queue.release(message)
    assert queue.total() == 0


def test_a_throttled_service_is_busy_until_the_time_it_named(
    store: FaultyBlobStore, plan: FaultPlan, clock: ManualClock
) -> None:
    """Every call that the rule means, of every client, and no other."""
    plan.rules = [Rule(Fault.BUSY, "head", retry_after_s=10)]
    for _ in range(3):
        with pytest.raises(Busy, match="wait 10 s"):
            store.head("there")
        clock.advance(3)
    store.read("there")
    clock.advance(1)
    assert store.head("there").size_bytes == 3


def test_rules_choose_by_verb_name_and_count(store: FaultyBlobStore, plan: FaultPlan) -> None:
    plan.rules = [Rule(Fault.BUSY, "write", "b", skip=1, times=2)]
    store.write("a", b"")
    store.write("b", b"")
    for _ in range(2):
        with pytest.raises(Busy):
            store.write("b", b"")
    store.write("b", b"")
    assert [call for call in plan.calls if call.startswith("write")] == ["write state/a"] + ["write state/b"] * 4


def test_a_copy_takes_its_time_whether_or_not_anybody_waits(clock: ManualClock, plan: FaultPlan) -> None:
    """Its asker hears nothing, comes back, and finds the same copy under way: it is waited for, never made twice."""
    memory = MemoryBlobStore("processed", clock, copy_plan=lambda: (60.0, True), pause=clock.advance)
    store, source = FaultyBlobStore(memory, plan), FaultyBlobStore(MemoryBlobStore("input", clock), plan)
    etag = source.store.write("a", b"video")
    plan.rules = [Rule(Fault.UNANSWERED, "copy")]
    with pytest.raises(Busy):
        store.copy_from(source, "a", "a", source_etag=etag, if_absent=True)
    pending = store.head("a")
    assert (pending.copy, pending.whole) == ("pending", False)
    began = clock()
    info = store.copy_from(source, "a", "a", source_etag=etag, if_absent=True)
    assert info.whole
    assert store.read("a")[0] == b"video"
    assert timedelta(seconds=55) <= clock() - began <= timedelta(seconds=65)


def test_a_copy_that_fails_is_cleared_away(clock: ManualClock, plan: FaultPlan) -> None:
    fates = [(30.0, False), (0.0, True)]
    memory = MemoryBlobStore("processed", clock, copy_plan=lambda: fates.pop(0), pause=clock.advance)
    store, source = FaultyBlobStore(memory, plan), FaultyBlobStore(MemoryBlobStore("input", clock), plan)
    source.store.write("a", b"video")
    with pytest.raises(StorageError, match="failed"):
        store.copy_from(source, "a", "a", source_etag=None, if_absent=True)
    with pytest.raises(NotFound):
        store.head("a")
    assert store.copy_from(source, "a", "a", source_etag=None, if_absent=True).whole


def test_clocks_that_disagree(clock: ManualClock) -> None:
    """Ages and leases go by the service's clock, however wrong the client's is."""
    store = MemoryBlobStore("state", skewed(clock, -3 * 3600))
    store.write("a", b"")
    assert store.now() - store.head("a").modified == timedelta(0)
    assert clock() - store.now() == timedelta(hours=3)
    lease = store.lease("a", 15)
    clock.advance(14)
    lease.renew()
    with pytest.raises(Conflict):
        store.write("a", b"1")


# ---- the compute service ----


@pytest.mark.parametrize(
    ("fault", "error", "starts"),
    [(Fault.BUSY, ComputeError, 0), (Fault.LOST_ANSWER, StartUnknown, 1), (Fault.UNANSWERED, StartUnknown, 1)],
)
def test_a_start_is_refused_or_not_known_and_never_made_twice(
    clock: ManualClock, plan: FaultPlan, fault: Fault, error: type[Exception], starts: int
) -> None:
    """The real adapter is held to the same by `tests/contract/test_compute.py`."""
    compute = MemoryCompute(clock)
    service = FaultyCompute(compute, plan)
    plan.rules = [Rule(fault, "start")]
    with pytest.raises(error) as caught:
        service.start()
    assert type(caught.value) is error
    assert compute.starts == starts
    assert service.start() == f"execution-{starts + 1}"


def test_an_execution_is_listed_as_late_as_the_service_lists_it(clock: ManualClock, plan: FaultPlan) -> None:
    service = FaultyCompute(MemoryCompute(clock), plan, listed_after_s=60, names_starts=False)
    assert service.start() == ""
    clock.advance(59)
    assert service.live() == ()
    clock.advance(1)
    assert [execution.name for execution in service.live()] == ["execution-1"]
    plan.rules = [Rule(Fault.BUSY, "live")]
    with pytest.raises(ComputeError):
        service.live()
    service.stop("execution-1")
    assert service.live() == ()
