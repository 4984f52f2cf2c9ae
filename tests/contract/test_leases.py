"""What every BlobStore promises about leases: one holder, for a while, and nobody who lost it changes anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from scenejobs.errors import Conflict, LeaseLost, NotFound
from scenejobs.ports import BlobStore
from tests.contract.conftest import World


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


def test_a_lease_survives_the_writes_of_its_holder(store: BlobStore) -> None:
    store.write("a", b"0")
    lease = store.lease("a", 15)
    for number in range(1, 4):
        store.write("a", str(number).encode(), lease=lease)
    lease.renew()
    with pytest.raises(Conflict):
        store.write("a", b"rival")
    assert store.read("a")[0] == b"3"


def test_a_lease_does_not_create_over_what_is_there(store: BlobStore) -> None:
    store.write("a", b"1")
    lease = store.lease("a", 15)
    with pytest.raises(Conflict):
        store.write("a", b"2", if_absent=True, lease=lease)
    with pytest.raises(Conflict):  # nor a blob that is not there
        store.write("b", b"2", if_absent=True, lease=lease)
    assert [(blob.name, store.read(blob.name)[0]) for blob in store.list()] == [("a", b"1")]


def test_leases_have_ids_of_their_own(store: BlobStore) -> None:
    for name in ("a", "b"):
        store.write(name, b"")
    first = store.lease("a", 15)
    other = store.lease("b", 15)
    first.release()
    second = store.lease("a", 15)
    assert len({first.id, second.id, other.id}) == 3


def test_a_lease_of_one_blob_leaves_its_neighbours_free(store: BlobStore) -> None:
    for name in ("lobby/a", "lobby/b"):
        store.write(name, b"1")
    store.lease("lobby/a", 15)
    store.write("lobby/b", b"2")
    store.lease("lobby/b", 15).release()
    store.delete("lobby/b")
    store.write("lobby/c", b"3", if_absent=True)


def test_a_stranger_cannot_release_the_next_holder(store: BlobStore) -> None:
    """Released late, by one whose lease is over: the next holder keeps its own."""
    store.write("a", b"1")
    old = store.lease("a", 15)
    old.release()
    new = store.lease("a", 15)
    old.release()
    with pytest.raises(LeaseLost):
        old.renew()
    with pytest.raises(Conflict):
        store.write("a", b"2", lease=old)
    new.renew()
    store.write("a", b"2", lease=new)


def test_a_leased_blob_can_be_read_in_every_way(store: BlobStore, tmp_path: Path) -> None:
    etag = store.write("a", b"1", metadata={"one": "1"})
    store.lease("a", 15)
    assert store.head("a").etag == etag
    assert store.download("a", tmp_path / "a", if_match=etag).metadata == {"one": "1"}


def test_renewing_changes_no_version(store: BlobStore) -> None:
    etag = store.write("a", b"1")
    lease = store.lease("a", 15)
    lease.renew()
    lease.renew()
    assert store.head("a").etag == etag
    store.write("a", b"2", if_match=etag, lease=lease)


def test_a_lease_of_nothing_is_not_found(store: BlobStore) -> None:
    with pytest.raises(NotFound):
        store.lease("lobby/nothing", 15)
    assert list(store.list()) == []


def test_a_deleted_blob_takes_its_lease_along(store: BlobStore) -> None:
    """A new blob of the name is free, and the old holder is nobody to it."""
    store.write("a", b"1")
    lease = store.lease("a", 15)
    lease.release()
    store.delete("a")
    store.write("a", b"2")
    with pytest.raises(LeaseLost):
        lease.renew()
    store.lease("a", 15)


EXPIRING = ("lost", "idle", "kept", "touched", "deleted", "released", "copied over", "conditional")


@pytest.mark.slow
def test_an_expired_lease_is_free_and_lost_for_its_holder(world: World) -> None:
    """After its time another takes it; the old holder can neither renew nor write. Renewed in time, it goes on."""
    store = world.containers.state
    for name in EXPIRING:
        store.write(name, b"1")
    leases = {name: store.lease(name, 15) for name in EXPIRING}
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

    store.delete("deleted")  # whoever comes may
    store.write("deleted", b"new")
    with pytest.raises(LeaseLost):
        leases["deleted"].renew()

    leases["released"].release()  # quiet
    store.write("released", b"2")

    world.containers.input.write("source", b"2")
    store.copy_from(world.containers.input, "source", "copied over", source_etag=None, if_absent=False)
    if not world.differs("a copy over a blob leaves an ended lease renewable"):
        with pytest.raises(LeaseLost):
            leases["copied over"].renew()

    etag = store.head("conditional").etag
    with pytest.raises(Conflict):  # the version is right, the lease is over
        store.write("conditional", b"2", if_match=etag, lease=leases["conditional"])

    store.write("touched", b"other")
    with pytest.raises(LeaseLost):
        leases["touched"].renew()


def test_listings_and_looks_tell_whether_a_lease_is_held(store: BlobStore) -> None:
    store.write("lobby/record.json", b"1")
    store.write("lobby/other.json", b"1")
    lease = store.lease("lobby/record.json", 15)
    assert {info.name: info.leased for info in store.list()} == {"lobby/record.json": True, "lobby/other.json": False}
    assert store.head("lobby/record.json").leased
    lease.release()
    assert not any(info.leased for info in store.list())
    assert not store.head("lobby/record.json").leased
