"""Records change by compare-and-swap under a lease, and a lost answer is not a lost lease."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from scenejobs.adapters.memory import ManualClock, MemoryBlobStore
from scenejobs.errors import Conflict, Failure, LeaseLost, StorageError
from scenejobs.state import records
from scenejobs.state.blobs import InputBlob
from scenejobs.state.layout import record_name
from scenejobs.state.record import Phase, SceneRecord
from tests.doubles.faults import FaultPlan, Meanwhile

NOW = datetime(2026, 1, 1, tzinfo=UTC)
BLOBS = (InputBlob("lobby/a.mp4", "0x1", 5),)
FAILURE = Failure("training", "DISK_FULL", "no space left", "a larger disk")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def state(clock: ManualClock) -> MemoryBlobStore:
    return MemoryBlobStore("state", clock)


def owned(state: MemoryBlobStore, scene: str = "lobby"):  # (record as stored, lease)
    records.ensure(state, scene)
    lease = state.lease(record_name(scene), 60)
    stored = records.load(state, scene)
    assert stored is not None
    return stored, lease


def test_there_is_no_record_before_the_first(state: MemoryBlobStore) -> None:
    assert records.load(state, "lobby") is None


def test_ensuring_creates_an_idle_record_once(state: MemoryBlobStore) -> None:
    records.ensure(state, "Lobby / 2")
    first = records.load(state, "Lobby / 2")
    records.ensure(state, "Lobby / 2")
    assert records.load(state, "Lobby / 2") == first
    assert first is not None
    assert first.record == SceneRecord("Lobby / 2")


def test_saving_replaces_the_version_that_was_read(state: MemoryBlobStore) -> None:
    stored, lease = owned(state)
    running = records.save(state, stored, stored.record.attempted("run", BLOBS, NOW), lease)
    assert records.load(state, "lobby") == running
    assert running.record.phase is Phase.RUNNING
    committed = records.save(state, running, running.record.committed(()), lease)
    assert records.load(state, "lobby") == committed


def many(count: int) -> tuple[InputBlob, ...]:
    return tuple(
        InputBlob(f"lobby/frames of the second floor/{number:06d}.jpg", f"0x{number:X}", 5) for number in range(count)
    )


def test_the_record_of_ten_thousand_uploads_stays_small(state: MemoryBlobStore) -> None:
    """Below 1 MiB in every phase, and read back whole."""
    blobs = many(10_000)
    stored, lease = owned(state)
    record = stored.record
    steps = [lambda r: r.attempted("run", blobs, NOW), lambda r: r.failed_for_now(FAILURE, NOW),
             lambda r: r.attempted("run2", blobs, NOW), lambda r: r.committed(()),
             lambda r: r.closed({blob.name: f"processed/{blob.name}" for blob in blobs}, NOW)]  # fmt: skip
    for step in steps:
        record = step(record)
        stored = records.save(state, stored, record, lease)
        assert state.head(record_name("lobby")).size_bytes < 64 * 1024
        assert records.load(state, "lobby") == stored
    assert len(list(state.list("parts/"))) == 3, "the manifest, where it was archived, and what is part of it no more"


def test_a_part_is_written_once_for_all_versions_that_name_it(state: MemoryBlobStore) -> None:
    stored, lease = owned(state)
    stored = records.save(state, stored, stored.record.attempted("run", many(3000), NOW), lease)
    (part,) = state.list("parts/")
    stored = records.save(state, stored, stored.record.committed(()), lease)
    assert [info.etag for info in state.list("parts/")] == [part.etag]
    assert records.parts_in(state.head(record_name("lobby")).metadata) == stored.parts


def test_a_small_record_can_be_read_by_older_programs_and_a_large_one_is_refused_by_them(
    state: MemoryBlobStore,
) -> None:
    stored, lease = owned(state)
    stored = records.save(state, stored, stored.record.attempted("run", many(2), NOW), lease)
    assert SceneRecord.from_json(json.loads(state.read(record_name("lobby"))[0])) == stored.record
    records.save(state, stored, stored.record.attempted("run", many(3000), NOW), lease)
    with pytest.raises(ValueError, match="record version 2"):
        SceneRecord.from_json(json.loads(state.read(record_name("lobby"))[0]))


@pytest.mark.parametrize(
    ("damage", "expected"), [(b"[]", "is damaged"), (None, "is gone")], ids=["other content", "missing"]
)
def test_a_record_whose_part_is_lost_is_an_error(state: MemoryBlobStore, damage: bytes | None, expected: str) -> None:
    stored, lease = owned(state)
    records.save(state, stored, stored.record.attempted("run", many(3000), NOW), lease)
    (part,) = state.list("parts/")
    if damage is None:
        state.delete(part.name)
    else:
        state.write(part.name, damage)
    with pytest.raises(StorageError, match=expected):
        records.load(state, "lobby")


def test_a_reader_that_is_overtaken_by_the_tidying_reads_again(state: MemoryBlobStore) -> None:
    stored, lease = owned(state)
    stored = records.save(state, stored, stored.record.attempted("run", many(3000), NOW), lease)
    (part,) = state.list("parts/")

    def overtake() -> None:
        state.blobs.pop(part.name)
        records.save(state, stored, stored.record.failed_for_now(FAILURE, NOW).attempted("r", BLOBS, NOW), lease)

    meanwhile = Meanwhile(overtake, "read", record_name("lobby"), after=True)
    found = records.load(FaultPlan(state.clock, meanwhile=[meanwhile]).store(state), "lobby")
    assert found is not None
    assert found.record.manifest == BLOBS


def test_saving_over_another_version_is_a_lost_lease(state: MemoryBlobStore) -> None:
    stored, lease = owned(state)
    records.save(state, stored, stored.record.attempted("run", BLOBS, NOW), lease)
    with pytest.raises(LeaseLost):
        records.save(state, stored, stored.record.attempted("zombie", BLOBS, NOW), lease)
    now = records.load(state, "lobby")
    assert now is not None
    assert now.record.run == "run"


def test_saving_after_somebody_else_took_over_is_a_lost_lease(state: MemoryBlobStore, clock: ManualClock) -> None:
    stored, lease = owned(state)
    clock.advance(61)
    state.lease(record_name("lobby"), 60)
    with pytest.raises(LeaseLost):
        records.save(state, stored, stored.record.attempted("zombie", BLOBS, NOW), lease)
    assert records.load(state, "lobby") == stored


def test_a_lost_answer_is_settled_by_reading_back(state: MemoryBlobStore) -> None:
    """The store wrote, the answer was lost, the retry was refused: the record is ours."""

    class Deaf(MemoryBlobStore):
        def write(self, *args, **kwargs):
            super().write(*args, **kwargs)
            raise Conflict("the retry met our own write")

    stored, lease = owned(state)
    deaf = Deaf("state", state.clock)
    deaf.blobs = state.blobs
    lease = type(lease)(deaf, record_name("lobby"), lease.id)
    running = records.save(deaf, stored, stored.record.attempted("run", BLOBS, NOW), lease)
    assert records.load(state, "lobby") == running


@pytest.mark.parametrize(
    "content", [b"", b"no json", b"[]", b"null", b"\xff\xfe", b"{}", json.dumps({"schema_version": 99}).encode()]
)
def test_a_record_that_cannot_be_understood_is_an_error_not_a_new_record(
    state: MemoryBlobStore, content: bytes
) -> None:
    state.write(record_name("lobby"), content)
    with pytest.raises(StorageError, match="cannot be read"):
        records.load(state, "lobby")
    records.ensure(state, "lobby")
    assert state.read(record_name("lobby"))[0] == content
