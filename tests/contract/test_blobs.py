"""What every BlobStore promises: names, listings, content, conditions."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from scenejobs.errors import Conflict, NotFound, StorageError
from scenejobs.ports import BlobStore, Containers
from tests.contract.conftest import World

ODD_NAMES = [
    "lobby/my video (1).mp4",
    "lobby/100%.mp4",
    "lobby/a%20b.mp4",
    "lobby/a+b&c=d.mp4",
    "lobby/what?.mp4",
    "lobby/#1.mp4",
    "lobby/видео.mp4",
    "lobby/e\u0301.mp4",
    "lobby/📱.mp4",
    'lobby/it\'s "quoted".mp4',
    "lobby/semi;colon,comma.mp4",
    "lobby/<b>&amp;.mp4",
    "lobby/[x]{y}|z^~.mp4",
    "lobby/...mp4",
    "lobby/ leading and trailing .mp4",
    "lobby/-rf",
    "lobby/" + "n" * 900,
]
HOSTILE_NAMES = [
    "", "..", "a/../victim", "a/..", "./victim", "a//b", "a\\..\\victim", "/victim", "a/%2e%2e/victim", "a\nb",
    ".scenejobs/clock", ".SceneJobs/x", "victim/", "a/\uff0e\uff0e/victim", "a\x00b",
]  # fmt: skip


@pytest.mark.parametrize("name", ODD_NAMES)
def test_a_blob_keeps_its_odd_name(store: BlobStore, world: World, name: str) -> None:
    """A name with spaces, percent signs, emoji and the like is written, listed, read, copied and deleted as it is."""
    if len(name) > 255 and world.differs("a segment of a name has at most 255 bytes"):
        with pytest.raises(StorageError, match="cannot hold a file of that name"):
            store.write(name, b"content")
        with pytest.raises(NotFound):
            store.head(name)
        assert list(store.list()) == []
        return
    etag = store.write(name, b"content")
    assert [blob.name for blob in store.list("lobby/")] == [name]
    assert store.read(name) == (b"content", etag)
    assert store.head(name).name == name
    assert world.containers.processed.copy_from(store, name, name, source_etag=etag, if_absent=True).name == name
    assert [blob.name for blob in world.containers.processed.list()] == [name]
    store.delete(name, if_match=etag)
    assert list(store.list()) == []


def test_a_part_of_a_blob_is_read_as_it_is_stored(store: BlobStore) -> None:
    store.write("lobby/a.mp4", bytes(range(200)))
    assert store.read_part("lobby/a.mp4", 0, 3) == bytes([0, 1, 2])
    assert store.read_part("lobby/a.mp4", 150, 20) == bytes(range(150, 170))
    assert store.read_part("lobby/a.mp4", 190, 64 * 1024) == bytes(range(190, 200)), "no more than there is"
    with pytest.raises(NotFound):
        store.read_part("lobby/b.mp4", 0, 3)


CALLS: dict[str, Callable[[Containers, str], object]] = {
    "head": lambda c, name: c.input.head(name),
    "read_part": lambda c, name: c.input.read_part(name, 0, 1),
    "read": lambda c, name: c.input.read(name),
    "write": lambda c, name: c.input.write(name, b"evil"),
    "delete": lambda c, name: c.input.delete(name),
    "lease": lambda c, name: c.input.lease(name, 15),
    "copy from": lambda c, name: c.output.copy_from(c.input, name, "stolen", source_etag=None, if_absent=False),
    "copy to": lambda c, name: c.input.copy_from(c.input, "evil", name, source_etag=None, if_absent=False),
}


@pytest.mark.parametrize("name", HOSTILE_NAMES)
@pytest.mark.parametrize("call", CALLS)
def test_a_hostile_name_harms_nobody(world: World, call: str, name: str) -> None:
    """A name that the HTTP library would resolve to another blob is refused before anything is sent."""
    store = world.containers.input
    store.write("victim", b"precious")
    store.write("evil", b"evil")
    with pytest.raises(ValueError, match="must not be used"):
        CALLS[call](world.containers, name)
    assert store.read("victim")[0] == b"precious"
    assert [blob.name for blob in store.list()] == ["evil", "victim"]
    assert list(world.containers.output.list()) == []


def test_a_listing_shows_name_version_size_time_and_metadata(store: BlobStore) -> None:
    before = store.now()
    etag = store.write("lobby/a.mp4", b"12345", metadata={"uploaded_by": "phone"})
    (blob,) = store.list()
    assert (blob.name, blob.etag, blob.size_bytes) == ("lobby/a.mp4", etag, 5)
    assert before <= blob.modified <= store.now()
    assert blob.metadata == {"uploaded_by": "phone"}
    assert store.head("lobby/a.mp4") == blob


def test_a_listing_is_by_plain_prefix_in_the_order_of_names(store: BlobStore) -> None:
    """`lobby` finds lobby2 too: a prefix is text, not a folder. The order is that of code points."""
    for name in ("lobby/b", "lobby/a", "lobby2/a", "Lobby/a", "lobby.mp4", "lobby-2/c", "lobby/é", "lobby/z", "other"):
        store.write(name, b"")
    lobby = ["lobby/a", "lobby/b", "lobby/z", "lobby/é"]
    assert [blob.name for blob in store.list("lobby")] == ["lobby-2/c", "lobby.mp4", *lobby, "lobby2/a"]
    assert [blob.name for blob in store.list("lobby/")] == lobby
    assert [blob.name for blob in store.list()] == ["Lobby/a", "lobby-2/c", "lobby.mp4", *lobby, "lobby2/a", "other"]


@pytest.mark.parametrize(
    ("prefix", "found"),
    [
        ("", 3), ("a/b", 2), ("a/b/", 1), ("a/b/c", 1), ("a/b/c/", 0), ("nothing", 0), ("nothing/at/all/", 0),
        ("A/", 0), ("a%", 0), ("a/%62", 0), ("a*", 0), ("[a]", 0),
        # no name has such segments, so nothing is found; least of all above or beside the container
        ("/", 0), ("./", 0), ("../", 0), ("..", 0), ("a/../", 0), ("a/b/../", 0), ("a//", 0), (".scenejobs/", 0),
    ],
)  # fmt: skip
def test_a_prefix_is_text_and_nothing_else(store: BlobStore, prefix: str, found: int) -> None:
    """No pattern, no percent code, no path is read into it."""
    for name in ("a/b/c", "a/bb", "d"):
        store.write(name, b"")
    assert len(list(store.list(prefix))) == found


def test_a_long_listing_shows_every_blob_once(store: BlobStore) -> None:
    names = [f"lobby/{number % 7}/{number:03}.mp4" for number in range(150)]
    for name in names:
        store.write(name, b"")
    assert [blob.name for blob in store.list("lobby/")] == sorted(names)


def test_a_listing_outlives_what_changes_meanwhile(store: BlobStore) -> None:
    """Blobs are removed and added while the listing is read: it ends, and shows what stayed."""
    for name in ("a", "b/1", "b/2", "c"):
        store.write(name, b"")
    listing = store.list()
    seen = [next(listing).name]
    store.delete("b/1")
    store.write("b/0", b"")
    seen += [blob.name for blob in listing]
    assert {"a", "b/2", "c"} <= set(seen)
    assert seen == sorted(seen)


def test_a_folder_is_no_blob(store: BlobStore) -> None:
    store.write("lobby/cam1/a.mp4", b"")
    for name in ("lobby", "lobby/cam1"):
        for call in (store.head, store.read, store.delete, lambda name: store.lease(name, 15)):
            with pytest.raises(NotFound):
                call(name)


def test_nothing_lies_below_a_blob(store: BlobStore) -> None:
    store.write("lobby", b"")
    assert list(store.list("lobby/")) == []
    for call in (store.head, store.read, store.delete, lambda name: store.lease(name, 15)):
        with pytest.raises(NotFound):
            call("lobby/a.mp4")


@pytest.mark.parametrize(("first", "second"), [("lobby", "lobby/a.mp4"), ("lobby/a.mp4", "lobby")])
def test_a_blob_may_bear_the_name_of_a_folder(world: World, first: str, second: str) -> None:
    store = world.containers.input
    store.write(first, b"1")
    if world.differs("a file and a folder of one name cannot both be there"):
        for if_absent in (False, True):
            with pytest.raises(Conflict):
                store.write(second, b"2", if_absent=if_absent)
        assert [blob.name for blob in store.list()] == [first]
        return
    store.write(second, b"2")
    assert [blob.name for blob in store.list()] == ["lobby", "lobby/a.mp4"]


def test_etags_bear_no_quotes_and_change_with_every_write(store: BlobStore) -> None:
    """Also when the content is the same and the second is the same."""
    etags = [store.write("a", b"same") for _ in range(10)]
    assert len(set(etags)) == 10
    assert not any('"' in etag for etag in etags)
    assert store.head("a").etag == etags[-1] == store.read("a")[1]


def test_what_is_not_there_is_not_found(store: BlobStore) -> None:
    for call in (store.head, store.read, store.delete, lambda name: store.lease(name, 15)):
        with pytest.raises(NotFound):
            call("nothing/here")


def test_what_was_deleted_is_gone(store: BlobStore) -> None:
    old = store.write("lobby/a", b"1", metadata={"one": "1"})
    store.delete("lobby/a")
    for call in (store.head, store.read, store.delete, lambda name: store.lease(name, 15)):
        with pytest.raises(NotFound):
            call("lobby/a")
    assert list(store.list()) == []
    new = store.write("lobby/a", b"1", if_absent=True)  # a name is free again, and its next blob another version
    assert new != old
    assert store.head("lobby/a").metadata == {}


def test_deleting_a_version_of_what_is_not_there_is_refused(world: World) -> None:
    store = world.containers.input
    etag = store.write("a", b"1")
    store.delete("a", if_match=etag)
    with pytest.raises(
        Conflict if world.differs("deleting a version of what is not there is a conflict") else NotFound
    ):
        store.delete("a", if_match=etag)


def test_a_version_that_was_deleted_does_not_come_back(store: BlobStore) -> None:
    """The same bytes under the same name are another version: who holds the old ETag is refused."""
    old = store.write("a", b"same")
    store.delete("a")
    new = store.write("a", b"same")
    for attempt in (lambda: store.write("a", b"2", if_match=old), lambda: store.delete("a", if_match=old)):
        with pytest.raises(Conflict):
            attempt()
    assert store.read("a") == (b"same", new)


def test_a_refused_write_leaves_everything_as_it_was(store: BlobStore) -> None:
    """Content, version, metadata and the listing."""
    store.write("a", b"1", metadata={"one": "1"})
    before = store.head("a")
    for condition in ({"if_absent": True}, {"if_match": "0xNEVER"}):
        with pytest.raises(Conflict):
            store.write("a", b"2", metadata={"two": "2"}, **condition)  # type: ignore[arg-type]
    assert store.head("a") == before
    assert store.read("a") == (b"1", before.etag)
    assert list(store.list()) == [before]


def test_a_new_version_is_not_older_than_the_last(store: BlobStore) -> None:
    store.write("a", b"1")
    first = store.head("a").modified
    store.write("a", b"2")
    assert first <= store.head("a").modified <= store.now()


def test_blobs_of_one_name_in_two_containers_are_two(world: World) -> None:
    world.containers.input.write("a", b"1")
    world.containers.output.write("a", b"2")
    world.containers.input.delete("a")
    assert world.containers.output.read("a")[0] == b"2"


def test_what_was_written_is_whole(store: BlobStore) -> None:
    """No copy is under way to it."""
    store.write("a", b"1")
    assert store.head("a").whole
    assert next(iter(store.list())).whole


def test_only_one_creates(store: BlobStore) -> None:
    store.write("a", b"first", if_absent=True)
    with pytest.raises(Conflict):
        store.write("a", b"second", if_absent=True)
    assert store.read("a")[0] == b"first"


@pytest.mark.parametrize("size", [0, 1, 100_000])
def test_content_comes_back_as_it_was(store: BlobStore, size: int) -> None:
    data = bytes(index * 7 % 251 for index in range(size))
    store.write("a", data)
    assert store.read("a")[0] == data
    assert store.head("a").size_bytes == size


def test_a_write_with_an_old_etag_is_refused(store: BlobStore) -> None:
    old = store.write("a", b"1")
    new = store.write("a", b"2", if_match=old)
    with pytest.raises(Conflict):
        store.write("a", b"3", if_match=old)
    assert store.read("a") == (b"2", new)


def test_a_write_to_a_version_that_is_gone_is_refused(store: BlobStore) -> None:
    etag = store.write("a", b"1")
    store.delete("a")
    with pytest.raises(Conflict):
        store.write("a", b"2", if_match=etag)
    with pytest.raises(NotFound):
        store.head("a")


def test_metadata_is_replaced_by_a_write(store: BlobStore) -> None:
    store.write("a", b"1", metadata={"one": "1"})
    store.write("a", b"2", metadata={"two": "2"})
    assert store.head("a").metadata == {"two": "2"}
    store.write("a", b"3")
    assert store.head("a").metadata == {}


def test_delete_spares_a_newer_version(store: BlobStore) -> None:
    """A re-upload between looking and deleting survives."""
    old = store.write("a", b"1")
    new = store.write("a", b"2")
    with pytest.raises(Conflict):
        store.delete("a", if_match=old)
    assert store.read("a") == (b"2", new)
    store.delete("a", if_match=new)
    with pytest.raises(NotFound):
        store.delete("a")


def test_the_clock_is_the_services_and_in_utc(world: World) -> None:
    now = world.containers.input.now()
    assert now.tzinfo == UTC
    assert now.microsecond == 0
    if world.kind == "azurite":
        assert abs(now - datetime.now(UTC)) < timedelta(seconds=5)
