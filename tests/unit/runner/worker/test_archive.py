"""Moving inputs to the archive: nothing lost, nothing overwritten, every step repeatable."""

from __future__ import annotations

import pytest

from runner.worker.archive import SUPERSEDED, archive
from scenejobs.adapters.memory import ManualClock, MemoryBlobStore
from scenejobs.errors import Conflict, LeaseLost, StorageError
from scenejobs.state.blobs import InputBlob
from scenejobs.state.record import Phase, SceneRecord
from tests.doubles.faults import Fault, FaultPlan, Meanwhile, Rule


def nothing() -> None: ...


class Stores:
    """An input and a processed container, and the record of a committed run."""

    def __init__(self, copy_s: float = 0.0) -> None:
        self.clock = ManualClock()
        self.input = MemoryBlobStore("input", self.clock)
        self.processed = MemoryBlobStore(
            "processed", self.clock, copy_plan=lambda: (copy_s, True), pause=self.clock.advance
        )
        self.blobs: list[InputBlob] = []

    def upload(self, name: str, data: bytes) -> InputBlob:
        blob = InputBlob(name, self.input.write(name, data), len(data))
        self.blobs.append(blob)
        return blob

    def archive(self, generation: int = 1, plan: FaultPlan | None = None) -> dict[str, str]:
        record = SceneRecord("lobby", Phase.COMMITTED, generation, run="run", manifest=tuple(self.blobs))
        plan = plan or FaultPlan(self.clock)
        return archive(record, plan.store(self.input), plan.store(self.processed), "processed", nothing)

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
    assert stores.archive(generation=7) == {"lobby/a.mp4": "processed/lobby/7/a.mp4"}
    assert stores.lies("lobby/a.mp4") == b"older"
    assert stores.archive(generation=7) == {"lobby/a.mp4": "processed/lobby/7/a.mp4"}


def test_an_upload_named_like_a_generation_folder_does_not_get_lost() -> None:
    stores = Stores()
    stores.processed.write("lobby/a.mp4", b"older")
    stores.upload("lobby/7/a.mp4", b"in a folder called 7")
    stores.upload("lobby/a.mp4", b"a")
    places = stores.archive(generation=7)
    assert {stores.lies(place.removeprefix("processed/")) for place in places.values()} == {
        b"a", b"in a folder called 7",
    }  # fmt: skip
    assert stores.lies("lobby/a.mp4") == b"older"


def test_a_version_replaced_before_the_move_stays_where_it_is() -> None:
    stores = Stores()
    stores.upload("lobby/a.mp4", b"a")
    stores.input.write("lobby/a.mp4", b"newer")
    assert stores.archive() == {"lobby/a.mp4": SUPERSEDED}
    assert stores.input.read("lobby/a.mp4")[0] == b"newer"
    assert list(stores.processed.list()) == []


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


def test_a_copy_whose_answer_was_lost_is_recognised() -> None:
    """The adapter promises it; here it is relied on."""
    stores = Stores()
    stores.upload("lobby/a.mp4", b"a")
    plan = FaultPlan(stores.clock, [Rule(Fault.LOST_ANSWER, "copy")])
    assert stores.archive(plan=plan) == {"lobby/a.mp4": "processed/lobby/a.mp4"}
    assert [blob.name for blob in stores.processed.list()] == ["lobby/a.mp4"]


def test_a_copy_that_is_not_whole_does_not_cost_the_upload() -> None:
    stores = Stores()
    blob = stores.upload("lobby/a.mp4", b"whole")

    cut = Meanwhile(
        lambda: stores.processed.write("lobby/a.mp4", b"who", metadata={"source_etag": blob.etag}), "copy", after=True
    )
    with pytest.raises(StorageError, match="3 bytes, the upload has 5"):
        stores.archive(plan=FaultPlan(stores.clock, meanwhile=[cut]))
    assert stores.input.read("lobby/a.mp4")[0] == b"whole"


def test_a_copy_that_a_killed_runner_left_under_way_keeps_its_source_until_it_is_whole() -> None:
    stores = Stores(copy_s=100)
    blob = stores.upload("lobby/a.mp4", b"whole")
    stores.processed.begin_copy(stores.input, blob.name, "lobby/a.mp4", source_etag=blob.etag, if_absent=True)
    assert stores.archive() == {"lobby/a.mp4": "processed/lobby/a.mp4"}
    assert stores.lies("lobby/a.mp4") == b"whole"
    assert list(stores.input.list()) == []


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
