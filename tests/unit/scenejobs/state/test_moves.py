"""The move of one version of a blob: nothing lost, nothing overwritten, every step repeatable."""

from __future__ import annotations

import pytest

from scenejobs.adapters.memory import ManualClock, MemoryBlobStore
from scenejobs.errors import Conflict, LeaseLost, StorageError
from scenejobs.state.blobs import InputBlob
from scenejobs.state.moves import SUPERSEDED, move
from tests.doubles.faults import Fault, FaultPlan, Meanwhile, Rule

NAMES = ("lobby/a.mp4", "lobby/7/a.mp4")


def nothing() -> None: ...


class Stores:
    """Two containers, and one upload in the first."""

    def __init__(self, data: bytes = b"a", copy_s: float = 0.0) -> None:
        self.clock = ManualClock()
        self.source = MemoryBlobStore("input", self.clock)
        self.destination = MemoryBlobStore(
            "processed", self.clock, copy_plan=lambda: (copy_s, True), pause=self.clock.advance
        )
        self.blob = InputBlob("lobby/a.mp4", self.source.write("lobby/a.mp4", data), len(data))

    def move(self, plan: FaultPlan | None = None) -> str:
        plan = plan or FaultPlan(self.clock)
        return move(self.blob, plan.store(self.source), plan.store(self.destination), NAMES, nothing)

    def lies(self, name: str) -> bytes:
        return self.destination.read(name)[0]


def test_a_version_moves_to_the_first_name() -> None:
    stores = Stores()
    assert stores.move() == "lobby/a.mp4"
    assert stores.lies("lobby/a.mp4") == b"a"
    assert list(stores.source.list()) == []


def test_moving_again_changes_nothing_and_says_the_same_where_the_copy_is_known() -> None:
    stores = Stores()
    stores.move()
    existing = {info.name: info for info in stores.destination.list()}
    assert move(stores.blob, stores.source, stores.destination, NAMES, nothing, existing) == "lobby/a.mp4"


def test_a_taken_name_sends_it_to_the_next() -> None:
    stores = Stores()
    stores.destination.write("lobby/a.mp4", b"older")
    assert stores.move() == "lobby/7/a.mp4"
    assert (stores.lies("lobby/a.mp4"), stores.lies("lobby/7/a.mp4")) == (b"older", b"a")


def test_where_every_name_is_taken_nothing_is_deleted() -> None:
    stores = Stores()
    for name in NAMES:
        stores.destination.write(name, b"older")
    with pytest.raises(StorageError, match="every name"):
        stores.move()
    assert stores.source.read("lobby/a.mp4")[0] == b"a"


def test_a_version_replaced_before_the_move_stays_where_it_is() -> None:
    stores = Stores()
    stores.source.write("lobby/a.mp4", b"newer")
    assert stores.move() == SUPERSEDED
    assert stores.source.read("lobby/a.mp4")[0] == b"newer"
    assert list(stores.destination.list()) == []


def test_a_version_replaced_between_copy_and_delete_stays_where_it_is() -> None:
    stores = Stores()
    replaced = Meanwhile(lambda: stores.source.write("lobby/a.mp4", b"newer"), "delete")
    assert stores.move(FaultPlan(stores.clock, meanwhile=[replaced])) == "lobby/a.mp4"
    assert stores.source.read("lobby/a.mp4")[0] == b"newer"
    assert stores.lies("lobby/a.mp4") == b"a"


def test_a_version_the_user_deleted_is_superseded() -> None:
    stores = Stores()
    stores.source.delete("lobby/a.mp4")
    assert stores.move() == SUPERSEDED


def test_a_version_that_somebody_leases_is_not_called_moved() -> None:
    stores = Stores()
    lease = stores.source.lease("lobby/a.mp4", 60)
    with pytest.raises(Conflict):
        stores.move()
    lease.release()
    assert stores.move() == "lobby/a.mp4"


def test_a_copy_whose_answer_was_lost_is_recognised() -> None:
    """The adapter promises it; here it is relied on."""
    stores = Stores()
    assert stores.move(FaultPlan(stores.clock, [Rule(Fault.LOST_ANSWER, "copy")])) == "lobby/a.mp4"
    assert [blob.name for blob in stores.destination.list()] == ["lobby/a.mp4"]


def test_a_copy_that_is_not_whole_does_not_cost_the_original() -> None:
    stores = Stores(b"whole")
    cut = Meanwhile(
        lambda: stores.destination.write("lobby/a.mp4", b"who", metadata={"source_etag": stores.blob.etag}),
        "copy",
        after=True,
    )
    with pytest.raises(StorageError, match="3 bytes, the original has 5"):
        stores.move(FaultPlan(stores.clock, meanwhile=[cut]))
    assert stores.source.read("lobby/a.mp4")[0] == b"whole"


def test_a_copy_that_a_killed_caller_left_under_way_keeps_its_source_until_it_is_whole() -> None:
    stores = Stores(b"whole", copy_s=100)
    stores.destination.begin_copy(
        stores.source, stores.blob.name, "lobby/a.mp4", source_etag=stores.blob.etag, if_absent=True
    )
    assert stores.move() == "lobby/a.mp4"
    assert stores.lies("lobby/a.mp4") == b"whole"
    assert list(stores.source.list()) == []


@pytest.mark.parametrize("checks", [0, 1])
def test_who_lost_the_move_changes_nothing_more(checks: int) -> None:
    stores = Stores()
    left = iter(range(checks))

    def check() -> None:
        if next(left, None) is None:
            raise LeaseLost("somebody else's")

    with pytest.raises(LeaseLost):
        move(stores.blob, stores.source, stores.destination, NAMES, check)
    assert len(list(stores.destination.list())) == checks
    assert len(list(stores.source.list())) == 1
