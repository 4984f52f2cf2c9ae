"""What is being sent and is not whole yet: in no listing of blobs, and in the one that is asked for all."""

from __future__ import annotations

import pytest

from scenejobs.adapters.azure.blobs import AzureBlobStore
from scenejobs.errors import NotFound
from scenejobs.ports import BlobStore, Containers, Listing
from tests.blocks import commit, stage
from tests.contract.conftest import World

A_FILE = "a file is there from its first byte: nothing is sent in blocks"


@pytest.fixture
def sent(world: World, store: BlobStore) -> BlobStore:
    """A container into which a blob is being sent, beside whole ones."""
    if world.differs(A_FILE):
        store.write("lobby/a.mp4", b"whole")
        assert store.list_all() == Listing(tuple(store.list()))
        assert store.sent_bytes("lobby/a.mp4") == 0
        pytest.skip(A_FILE)
    store.write("lobby/a.mp4", b"whole")
    store.write("lobby/z.mp4", b"whole")
    stage(store, "lobby/m.mp4", 1, b"0" * 1000)
    return store


def test_blocks_are_in_no_listing_and_make_no_blob(sent: BlobStore) -> None:
    assert [info.name for info in sent.list()] == ["lobby/a.mp4", "lobby/z.mp4"]
    with pytest.raises(NotFound):
        sent.head("lobby/m.mp4")
    with pytest.raises(NotFound):
        sent.read("lobby/m.mp4")


def test_one_listing_shows_both_kinds(sent: BlobStore) -> None:
    assert sent.list_all("lobby/") == Listing(tuple(sent.list("lobby/")), ("lobby/m.mp4",))
    assert sent.list_all("lobby/a") == Listing(tuple(sent.list("lobby/a")), ())
    assert sent.list_all("lobby/m") == Listing((), ("lobby/m.mp4",))


def test_what_is_sent_can_be_seen_to_grow(sent: BlobStore) -> None:
    sizes = [sent.sent_bytes("lobby/m.mp4")]
    for number in (2, 3):
        stage(sent, "lobby/m.mp4", number, b"0" * 500)
        sizes.append(sent.sent_bytes("lobby/m.mp4"))
    stage(sent, "lobby/m.mp4", 3, b"0" * 700)  # a block that is sent again takes the place of the first
    assert [*sizes, sent.sent_bytes("lobby/m.mp4")] == [1000, 1500, 2000, 2200]


def test_once_committed_it_is_a_blob_and_nothing_is_being_sent(sent: BlobStore) -> None:
    stage(sent, "lobby/m.mp4", 2, b"1" * 10)
    commit(sent, "lobby/m.mp4", range(1, 3))
    assert sent.read("lobby/m.mp4")[0] == b"0" * 1000 + b"1" * 10
    assert sent.list_all() == Listing(tuple(sent.list()), ())
    assert sent.sent_bytes("lobby/m.mp4") == 0


def test_once_one_request_has_made_the_blob_nothing_is_being_sent(sent: BlobStore) -> None:
    sent.write("lobby/m.mp4", b"all at once")
    assert sent.list_all() == Listing(tuple(sent.list()), ())


def test_a_name_that_is_sent_again_looks_unchanged(sent: BlobStore) -> None:
    """The documents say so: only the commit shows."""
    before = sent.list_all("lobby/a")
    stage(sent, "lobby/a.mp4", 1, b"0" * 3000)
    assert sent.list_all("lobby/a") == before
    assert sent.sent_bytes("lobby/a.mp4") == 3000
    commit(sent, "lobby/a.mp4", range(1, 2))
    assert sent.head("lobby/a.mp4").size_bytes == 3000


def test_a_blob_that_is_deleted_takes_with_it_what_was_sent_for_its_next_version(sent: BlobStore) -> None:
    stage(sent, "lobby/a.mp4", 1, b"0" * 3000)
    sent.delete("lobby/a.mp4")
    assert sent.list_all("lobby/a") == Listing(())


@pytest.mark.parametrize("in_blocks", [False, True], ids=["one request", "no blocks"])
def test_an_empty_blob_is_not_taken_for_one_that_is_being_sent(sent: BlobStore, in_blocks: bool) -> None:
    if in_blocks:
        commit(sent, "lobby/empty.mp4", range(0))
    else:
        sent.write("lobby/empty.mp4", b"")
    listing = sent.list_all()
    assert listing.sending == ("lobby/m.mp4",)
    assert [(info.name, info.size_bytes) for info in listing.blobs][1] == ("lobby/empty.mp4", 0)


def test_nothing_was_sent_for_a_name_that_nobody_uses(store: BlobStore) -> None:
    assert store.sent_bytes("lobby/nobody.mp4") == 0
    assert store.list_all("nobody/") == Listing(())


@pytest.mark.azurite
def test_where_no_blob_is_empty_one_request_shows_both_kinds(containers: Containers) -> None:
    """And where one may be, a second."""
    store = containers.input
    assert isinstance(store, AzureBlobStore)
    requests: list[str] = []
    container = store._container
    real = container.list_blobs

    def counted(**options: object) -> object:
        requests.append(str(options["include"]))
        return real(**options)  # type: ignore[arg-type]

    container.list_blobs = counted  # type: ignore[assignment, method-assign]
    store.write("lobby/a.mp4", b"whole")
    store.write("lobby/_READY", b"")
    store.list_all()
    assert len(requests) == 1, "the service keeps the MD5 of an empty blob that came in one request"
    stage(store, "lobby/m.mp4", 1, b"0")
    store.list_all()
    assert len(requests) == 3
