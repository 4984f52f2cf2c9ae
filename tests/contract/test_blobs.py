"""What every BlobStore promises: names, listings, conditions, leases."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from scenejobs.errors import Conflict, LeaseLost, NotFound
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
]  # fmt: skip


@pytest.mark.parametrize("name", ODD_NAMES)
def test_a_blob_keeps_its_odd_name(store: BlobStore, world: World, name: str) -> None:
    """A name with spaces, percent signs, emoji and the like is written, listed, read, copied and deleted as it is."""
    etag = store.write(name, b"content")
    assert [blob.name for blob in store.list("lobby/")] == [name]
    assert store.read(name) == (b"content", etag)
    assert store.head(name).name == name
    assert world.containers.processed.copy_from(store, name, name, source_etag=etag, if_absent=True).name == name
    assert [blob.name for blob in world.containers.processed.list()] == [name]
    store.delete(name, if_match=etag)
    assert list(store.list()) == []


CALLS: dict[str, Callable[[Containers, str], object]] = {
    "head": lambda c, name: c.input.head(name),
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
    for name in ("lobby/b", "lobby/a", "lobby2/a", "Lobby/a", "lobby", "lobby/é", "lobby/z", "other"):
        store.write(name, b"")
    assert [blob.name for blob in store.list("lobby")] == [
        "lobby",
        "lobby/a",
        "lobby/b",
        "lobby/z",
        "lobby/é",
        "lobby2/a",
    ]
    assert [blob.name for blob in store.list("lobby/")] == ["lobby/a", "lobby/b", "lobby/z", "lobby/é"]
    assert [blob.name for blob in store.list("lobby/a%")] == []
    assert len(list(store.list())) == 8
    assert list(store.list("nothing")) == []


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


def test_of_many_creators_one_wins(store: BlobStore) -> None:
    """Eight threads create the same blob: one is let in, and the content is that one's."""
    winners: list[int] = []

    def create(number: int) -> None:
        try:
            store.write("a", str(number).encode(), if_absent=True)
        except Conflict:
            return
        winners.append(number)

    _in_threads(create, 8)
    assert len(winners) == 1
    assert store.read("a")[0] == str(winners[0]).encode()


def test_compare_and_swap_loses_no_update(store: BlobStore) -> None:
    """Five threads add one to a counter ten times each; it ends at fifty."""
    store.write("counter", b"0")

    def count(_: int) -> None:
        for _ in range(10):
            while True:
                data, etag = store.read("counter")
                try:
                    store.write("counter", str(json.loads(data) + 1).encode(), if_match=etag)
                except Conflict:
                    continue
                break

    _in_threads(count, 5)
    assert store.read("counter")[0] == b"50"


def _in_threads(work: Callable[[int], None], count: int) -> None:
    errors: list[BaseException] = []

    def run(number: int) -> None:
        try:
            work(number)
        except BaseException as exc:  # noqa: BLE001  # reported by the test's own thread
            errors.append(exc)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert errors == []


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


# ---- leases ----


def test_a_lease_keeps_others_from_writing_but_not_from_reading(store: BlobStore) -> None:
    etag = store.write("a", b"1")
    lease = store.lease("a", 15)
    for attempt in (
        lambda: store.write("a", b"2"),
        lambda: store.write("a", b"2", if_match=etag),
        lambda: store.delete("a"),
        lambda: store.lease("a", 15),
    ):
        with pytest.raises(Conflict):
            attempt()
    assert store.read("a") == (b"1", etag)
    assert [blob.name for blob in store.list()] == ["a"]
    assert store.write("a", b"2", lease=lease) != etag
    assert store.read("a")[0] == b"2"


def test_a_lease_and_a_condition_must_both_hold(store: BlobStore) -> None:
    old = store.write("a", b"1")
    lease = store.lease("a", 15)
    new = store.write("a", b"2", if_match=old, lease=lease)
    with pytest.raises(Conflict):
        store.write("a", b"3", if_match=old, lease=lease)
    assert store.read("a") == (b"2", new)


def test_listings_and_looks_tell_whether_a_lease_is_held(store: BlobStore) -> None:
    store.write("lobby/record.json", b"1")
    store.write("lobby/other.json", b"1")
    lease = store.lease("lobby/record.json", 15)
    assert {info.name: info.leased for info in store.list()} == {"lobby/record.json": True, "lobby/other.json": False}
    assert store.head("lobby/record.json").leased
    lease.release()
    assert not any(info.leased for info in store.list())
    assert not store.head("lobby/record.json").leased


def test_a_released_lease_is_free_at_once_and_writes_no_more(store: BlobStore) -> None:
    store.write("a", b"1")
    lease = store.lease("a", 60)
    lease.renew()
    lease.release()
    lease.release()
    with pytest.raises(Conflict):
        store.write("a", b"2", lease=lease)
    with pytest.raises(LeaseLost):
        lease.renew()
    store.write("a", b"3")
    store.lease("a", 15)


def test_a_lease_of_another_blob_opens_nothing(store: BlobStore) -> None:
    store.write("a", b"1")
    store.write("b", b"1")
    store.lease("a", 15)
    with pytest.raises(Conflict):
        store.write("a", b"2", lease=store.lease("b", 15))


def test_a_write_with_a_lease_creates_nothing(store: BlobStore) -> None:
    """The leased blob was deleted by force: the late writer is refused instead of bringing it back."""
    store.write("a", b"1")
    lease = store.lease("a", 15)
    with pytest.raises(Conflict):
        store.write("never/there", b"2", lease=lease)
    assert [blob.name for blob in store.list()] == ["a"]


@pytest.mark.parametrize("seconds", [0, 14, 61, -1])
def test_a_lease_lasts_15_to_60_seconds(store: BlobStore, seconds: int) -> None:
    store.write("a", b"1")
    with pytest.raises(ValueError, match="15 to 60"):
        store.lease("a", seconds)


def test_of_many_who_want_a_lease_one_gets_it(store: BlobStore) -> None:
    store.write("a", b"1")
    granted: list[int] = []

    def take(number: int) -> None:
        try:
            store.lease("a", 30)
        except Conflict:
            return
        granted.append(number)

    _in_threads(take, 8)
    assert len(granted) == 1


@pytest.mark.slow
def test_an_expired_lease_is_free_and_lost_for_its_holder(world: World) -> None:
    """After its time another takes it; the old holder can neither renew nor write. Renewed in time, it goes on."""
    store = world.containers.state
    for name in ("lost", "idle", "kept", "touched"):
        store.write(name, b"1")
    leases = {name: store.lease(name, 15) for name in ("lost", "idle", "kept", "touched")}
    world.advance(8)
    leases["kept"].renew()
    world.advance(8)

    rival = store.lease("lost", 15)
    with pytest.raises(LeaseLost):
        leases["lost"].renew()
    with pytest.raises(Conflict):
        store.write("lost", b"2", lease=leases["lost"])
    store.write("lost", b"rival", lease=rival)

    with pytest.raises(Conflict):
        store.write("idle", b"2", lease=leases["idle"])
    leases["idle"].renew()  # nobody else came and nothing changed: it is ours again
    store.write("idle", b"2", lease=leases["idle"])

    with pytest.raises(Conflict):
        store.lease("kept", 15)
    store.write("kept", b"2", lease=leases["kept"])

    store.write("touched", b"other")
    with pytest.raises(LeaseLost):
        leases["touched"].renew()
