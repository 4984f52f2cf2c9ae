"""Moving inputs to the archive: nothing lost, nothing overwritten, every step repeatable."""

from __future__ import annotations

import pytest

from runner.worker.archive import archive
from scenejobs.adapters.memory import MemoryBlobStore
from scenejobs.errors import Conflict, LeaseLost
from scenejobs.state.blobs import InputBlob
from scenejobs.state.moves import SUPERSEDED
from scenejobs.state.record import Phase, SceneRecord


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
