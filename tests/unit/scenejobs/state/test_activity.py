"""A marker is there before its record is active and goes after it is idle; killed in between, it is one too many."""

from __future__ import annotations

import pytest

from scenejobs.adapters.memory import ManualClock, MemoryBlobStore
from scenejobs.errors import Failure
from scenejobs.ports import Lease
from scenejobs.state import activity, layout, records
from scenejobs.state.record import SceneRecord
from scenejobs.state.records import Stored
from tests.doubles.faults import Fault, FaultPlan, Killed, Rule

MARKER = layout.marker_name("lobby")
RECORD = layout.record_name("lobby")
FAILURE = Failure("training", "DISK_FULL", "no space left", "a larger disk")


@pytest.fixture
def state() -> MemoryBlobStore:
    return MemoryBlobStore("state", ManualClock())


def owned(state: MemoryBlobStore) -> tuple[Stored, Lease]:
    records.ensure(state, "lobby")
    lease = state.lease(RECORD, 60)
    stored = records.load(state, "lobby")
    assert stored is not None
    return stored, lease


def running(record: SceneRecord, now: ManualClock) -> SceneRecord:
    return record.attempted("run-1", (), now())


def test_a_scene_is_marked_from_its_attempt_to_its_end(state: MemoryBlobStore) -> None:
    stored, lease = owned(state)
    assert MARKER not in state.blobs, "a record alone is no work"
    stored = records.save(state, stored, running(stored.record, state.clock), lease)
    assert MARKER in state.blobs
    stored = records.save(state, stored, stored.record.committed(()), lease)
    assert MARKER in state.blobs
    records.save(state, stored, stored.record.closed({}, state.clock()), lease)
    assert MARKER not in state.blobs


def test_a_runner_that_took_over_removes_the_marker_of_the_one_before(state: MemoryBlobStore) -> None:
    stored, lease = owned(state)
    stored = records.save(state, stored, running(stored.record, state.clock), lease)
    records.save(state, stored, stored.record.committed(()), lease)
    later = records.load(state, "lobby")
    assert later is not None
    records.save(state, later, later.record.closed({}, state.clock()), lease)
    assert MARKER not in state.blobs


def test_a_held_scene_is_marked(state: MemoryBlobStore) -> None:
    stored, lease = owned(state)
    stored = records.save(state, stored, stored.record.holding("inputs are brought back"), lease)
    assert MARKER in state.blobs
    records.save(state, stored, stored.record.holding(""), lease)
    assert MARKER not in state.blobs


@pytest.mark.parametrize("fault", [Fault.KILLED_BEFORE, Fault.KILLED_AFTER])
@pytest.mark.parametrize("skip", range(4))
def test_killed_at_any_call_an_active_record_has_its_marker(state: MemoryBlobStore, fault: Fault, skip: int) -> None:
    stored, lease = owned(state)
    store = FaultPlan(state.clock, [Rule(fault, skip=skip)]).store(state)

    def attempt() -> None:
        saved = records.save(store, stored, running(stored.record, state.clock), lease)
        records.save(store, saved, saved.record.failed_for_now(FAILURE, state.clock()), lease)

    with pytest.raises(Killed):
        attempt()
    assert MARKER in state.blobs or not activity.is_active(state.head(RECORD).metadata)


def test_one_who_was_paused_does_not_remove_the_marker_of_who_came_after(state: MemoryBlobStore) -> None:
    stored, lease = owned(state)
    first = records.save(state, stored, running(stored.record, state.clock), lease)
    activity.mark(state, "lobby")  # somebody else makes it active again
    activity.clear(state, "lobby", first.marker)
    assert MARKER in state.blobs
