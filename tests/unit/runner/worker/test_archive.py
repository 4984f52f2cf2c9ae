"""Moving inputs to the archive: nothing lost, nothing overwritten, every step repeatable."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from runner.worker.ending.archive import AT_ONCE, archive
from scenejobs.adapters.memory import ManualClock, MemoryBlobStore
from scenejobs.errors import Busy, Code, Conflict, Interrupted, LeaseLost, StorageError
from scenejobs.state.blobs import InputBlob
from scenejobs.state.moves import SUPERSEDED
from scenejobs.state.record import Phase, SceneRecord
from tests.doubles.faults import Fault, FaultPlan, Killed, Rule


def nothing() -> None: ...


class Stores:
    """An input and a processed container, and the record of a committed run."""

    def __init__(self) -> None:
        self.input = MemoryBlobStore("input")
        self.processed = MemoryBlobStore("processed")
        self.blobs: list[InputBlob] = []

    def upload(self, name: str, data: bytes) -> InputBlob:
        blob = InputBlob(name, self.input.write(name, data), len(data))
        self.blobs.append(blob)
        return blob

    def archive(self, generation: int = 1) -> dict[str, str]:
        record = SceneRecord("lobby", Phase.COMMITTED, generation, run="run", manifest=tuple(self.blobs))
        return archive(record, self.input, self.processed, "processed", nothing)

    def lies(self, name: str) -> bytes:
        return self.processed.read(name)[0]


def test_inputs_move_to_their_plain_names() -> None:
    stores = Stores()
    stores.upload("lobby/a.mp4", b"a")
    stores.upload("lobby/cam/b.mp4", b"b")
    places = stores.archive()
    assert places == {"lobby/a.mp4": "processed/lobby/a.mp4", "lobby/cam/b.mp4": "processed/lobby/cam/b.mp4"}
    assert (stores.lies("lobby/a.mp4"), stores.lies("lobby/cam/b.mp4")) == (b"a", b"b")
    assert list(stores.input.list()) == []


def test_archiving_again_changes_nothing_and_says_the_same() -> None:
    stores = Stores()
    stores.upload("lobby/a.mp4", b"a")
    assert stores.archive() == stores.archive()
    assert [blob.name for blob in stores.processed.list()] == ["lobby/a.mp4"]


def test_a_root_video_is_archived_in_the_folder_of_its_scene() -> None:
    stores = Stores()
    stores.upload("lobby.mp4", b"a")
    assert stores.archive() == {"lobby.mp4": "processed/lobby/lobby.mp4"}


def test_a_taken_name_sends_the_input_to_the_folder_of_its_generation() -> None:
    stores = Stores()
    stores.processed.write("lobby/a.mp4", b"older")
    stores.upload("lobby/a.mp4", b"a")
    assert stores.archive(generation=7) == {"lobby/a.mp4": "processed/lobby/generation~7/a.mp4"}
    assert stores.lies("lobby/a.mp4") == b"older"
    assert stores.archive(generation=7) == {"lobby/a.mp4": "processed/lobby/generation~7/a.mp4"}


def test_an_upload_named_like_a_generation_folder_does_not_get_lost() -> None:
    stores = Stores()
    stores.processed.write("lobby/a.mp4", b"older")
    stores.upload("lobby/generation~7/a.mp4", b"in a folder called like ours")
    stores.upload("lobby/a.mp4", b"a")
    places = stores.archive(generation=7)
    assert {stores.lies(place.removeprefix("processed/")) for place in places.values()} == {
        b"a", b"in a folder called like ours",
    }  # fmt: skip
    assert stores.lies("lobby/a.mp4") == b"older"


def test_a_version_the_user_deleted_is_noted_as_superseded() -> None:
    stores = Stores()
    stores.upload("lobby/a.mp4", b"a")
    stores.input.delete("lobby/a.mp4")
    assert stores.archive() == {"lobby/a.mp4": SUPERSEDED}


def test_an_input_that_somebody_leases_is_not_called_archived() -> None:
    stores = Stores()
    stores.upload("lobby/a.mp4", b"a")
    lease = stores.input.lease("lobby/a.mp4", 60)
    with pytest.raises(Conflict):
        stores.archive()
    lease.release()
    assert stores.archive() == {"lobby/a.mp4": "processed/lobby/a.mp4"}


def test_who_lost_the_scene_moves_nothing() -> None:
    stores = Stores()
    stores.upload("lobby/a.mp4", b"a")

    def lost() -> None:
        raise LeaseLost("somebody else's")

    with pytest.raises(LeaseLost):
        archive(
            SceneRecord("lobby", Phase.COMMITTED, manifest=tuple(stores.blobs)),
            stores.input, stores.processed, "processed", lost,
        )  # fmt: skip
    assert list(stores.processed.list()) == []
    assert len(list(stores.input.list())) == 1


def test_a_move_that_an_earlier_program_began_is_finished_where_it_began() -> None:
    """It called the folder of generation 7 `7`."""
    stores = Stores()
    stores.processed.write("lobby/a.mp4", b"older")
    blob = stores.upload("lobby/a.mp4", b"a")
    stores.processed.copy_from(stores.input, blob.name, "lobby/7/a.mp4", source_etag=blob.etag, if_absent=True)
    assert stores.archive(generation=7) == {"lobby/a.mp4": "processed/lobby/7/a.mp4"}
    assert [info.name for info in stores.processed.list()] == ["lobby/7/a.mp4", "lobby/a.mp4"]
    assert list(stores.input.list()) == []


# ---- many inputs ----------------------------------------------------------------------------------------------------

MANY = 400
ANSWER_S = 0.015  # of a call
MOST_S = 40.0 * MANY / 10_000  # of virtual time


def many(stores: Stores) -> None:
    for number in range(MANY):
        stores.upload(f"lobby/{number:04}.jpg", str(number).encode())


class Meeting:
    """Stands between the archive and a store: counts calls, and how many are under way at once."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.most = self._now = 0
        self._lock = threading.Lock()

    def wrapped(self, store: MemoryBlobStore) -> Any:
        meeting = self

        class Met(MemoryBlobStore):
            def copy_from(self, *arguments: Any, **options: Any) -> Any:
                with meeting.call("copy"):
                    return super().copy_from(*arguments, **options)

            def delete(self, *arguments: Any, **options: Any) -> None:
                with meeting.call("delete"):
                    super().delete(*arguments, **options)

        store.__class__ = Met
        return store

    @contextmanager
    def call(self, verb: str) -> Iterator[None]:
        with self._lock:
            self.calls[verb] += 1
            self._now += 1
            self.most = max(self.most, self._now)
        time.sleep(0.001)  # so that others are under way as well
        yield
        with self._lock:
            self._now -= 1


def test_many_inputs_are_moved_some_at_a_time_with_few_calls_for_each() -> None:
    stores, meeting = Stores(), Meeting()
    many(stores)
    meeting.wrapped(stores.input)
    meeting.wrapped(stores.processed)
    places = stores.archive()
    assert list(places) == [blob.name for blob in stores.blobs]
    assert {name: stores.lies(place.partition("/")[2]) for name, place in places.items()} == {
        blob.name: str(number).encode() for number, blob in enumerate(stores.blobs)
    }
    assert list(stores.input.list()) == []
    assert meeting.calls == {"copy": MANY, "delete": MANY}
    assert 2 < meeting.most <= AT_ONCE
    # on the service a copy is two calls: it is asked for, and looked at
    assert (2 * meeting.calls["copy"] + meeting.calls["delete"]) * ANSWER_S / AT_ONCE <= MOST_S


@pytest.mark.parametrize("error", [LeaseLost("somebody else's"), Interrupted("told to stop"), Busy("503")])
def test_what_ends_one_move_ends_all(error: Exception) -> None:
    """No thread changes anything once the scene may be another runner's."""
    stores, moved, lock = Stores(), 0, threading.Lock()
    many(stores)

    def check() -> None:
        nonlocal moved
        with lock:
            moved += 1
            if moved == 100:
                raise error

    record = SceneRecord("lobby", Phase.COMMITTED, run="run", manifest=tuple(stores.blobs))
    with pytest.raises(type(error)):
        archive(record, stores.input, stores.processed, "processed", check)
    assert moved <= 100 + 2 * AT_ONCE, "the other threads went on"
    assert len(list(stores.input.list())) > MANY - 100
    assert len(stores.archive()) == MANY
    assert list(stores.input.list()) == []


def test_what_cannot_be_moved_keeps_no_other_from_it() -> None:
    stores = Stores()
    many(stores)
    for number in (0, 7, MANY - 1):
        stores.input.guards(stores.blobs[number].name).tier = "Archive"
    with pytest.raises(StorageError, match=f"3 of {MANY} inputs") as caught:
        stores.archive()
    assert caught.value.code == Code.ARCHIVE_TIER
    assert len(list(stores.input.list())) == 3


def test_a_runner_killed_in_one_thread_is_followed_by_one_that_goes_on() -> None:
    stores = Stores()
    many(stores)
    plan = FaultPlan(ManualClock(), [Rule(Fault.KILLED_AFTER, "copy", skip=150), Rule(Fault.KILLED_BEFORE, "delete")])
    record = SceneRecord("lobby", Phase.COMMITTED, run="run", manifest=tuple(stores.blobs))
    with pytest.raises(Killed):
        archive(record, plan.store(stores.input), plan.store(stores.processed), "processed", nothing)
    assert len(stores.archive()) == MANY
    assert [blob.data for blob in stores.processed.blobs.values()].count(b"7") == 1
    assert list(stores.input.list()) == []
