"""What every BlobStore promises about files and copies: whole, the version asked for, and never over something else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from scenejobs.errors import Conflict, NotFound
from scenejobs.ports import BlobStore
from tests.contract.conftest import World

BLOCKS = 40 * 2**20 + 12_345  # more than two blocks of 16 MiB


@pytest.mark.parametrize("size", [0, 1, 5_000, BLOCKS])
def test_a_file_travels_unchanged(store: BlobStore, tmp_path: Path, size: int) -> None:
    """Also one of several blocks, and an empty one."""
    path, back = tmp_path / "a.ply", tmp_path / "back.ply"
    path.write_bytes(os.urandom(size))
    etag = store.upload(path, "lobby/a.ply", content_type="application/octet-stream")
    info = store.download("lobby/a.ply", back, if_match=etag)
    assert (info.name, info.etag, info.size_bytes) == ("lobby/a.ply", etag, size)
    assert back.read_bytes() == path.read_bytes()


def test_an_upload_replaces_what_was_there(store: BlobStore, tmp_path: Path) -> None:
    path = tmp_path / "a"
    store.write("a", b"old")
    path.write_bytes(b"new")
    etag = store.upload(path, "a")
    assert store.read("a") == (b"new", etag)


def test_an_upload_respects_a_lease(store: BlobStore, tmp_path: Path) -> None:
    store.write("a", b"old")
    store.lease("a", 15)
    (tmp_path / "a").write_bytes(b"new")
    with pytest.raises(Conflict):
        store.upload(tmp_path / "a", "a")
    assert store.read("a")[0] == b"old"


def test_a_download_of_another_version_is_refused_and_leaves_no_file(store: BlobStore, tmp_path: Path) -> None:
    old = store.write("a", b"1")
    store.write("a", b"2")
    with pytest.raises(Conflict):
        store.download("a", tmp_path / "a", if_match=old)
    assert list(tmp_path.iterdir()) == []


def test_a_download_of_nothing_leaves_no_file(store: BlobStore, tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        store.download("nothing", tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


def test_a_download_overwrites_no_file_and_follows_no_link(store: BlobStore, tmp_path: Path) -> None:
    store.write("a", b"evil")
    (tmp_path / "precious").write_bytes(b"precious")
    (tmp_path / "link").symlink_to(tmp_path / "precious")
    (tmp_path / "dangling").symlink_to(tmp_path / "elsewhere")
    for name in ("precious", "link", "dangling"):
        with pytest.raises(FileExistsError):
            store.download("a", tmp_path / name)
    assert (tmp_path / "precious").read_bytes() == b"precious"
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("name", ["../victim", "a/../../victim", "a\\b"])
def test_files_of_hostile_names_do_not_travel(store: BlobStore, tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_bytes(b"evil")
    with pytest.raises(ValueError, match="must not be used"):
        store.upload(tmp_path / "file", name)
    with pytest.raises(ValueError, match="must not be used"):
        store.download(name, tmp_path / "new")
    assert list(store.list()) == []


def test_a_copy_is_whole_and_says_of_which_version(world: World) -> None:
    etag = world.containers.input.write("lobby/a.mp4", b"video", metadata={"phone": "x"})
    info = world.containers.processed.copy_from(
        world.containers.input, "lobby/a.mp4", "lobby/1/a.mp4", source_etag=etag, if_absent=True
    )
    assert (info.name, info.size_bytes) == ("lobby/1/a.mp4", 5)
    assert info.metadata == {"source_etag": etag}
    assert world.containers.processed.read("lobby/1/a.mp4") == (b"video", info.etag)
    assert world.containers.input.read("lobby/a.mp4") == (b"video", etag)


def test_a_copy_of_another_version_is_refused_and_makes_nothing(world: World) -> None:
    old = world.containers.input.write("a", b"1")
    world.containers.input.write("a", b"2")
    with pytest.raises(Conflict):
        world.containers.processed.copy_from(world.containers.input, "a", "a", source_etag=old, if_absent=True)
    assert list(world.containers.processed.list()) == []


def test_a_copy_of_nothing_is_not_found(world: World) -> None:
    with pytest.raises(NotFound):
        world.containers.processed.copy_from(world.containers.input, "a", "a", source_etag=None, if_absent=True)
    assert list(world.containers.processed.list()) == []


def test_a_copy_never_replaces_what_it_must_not(world: World) -> None:
    """The destination holds something else: it stays as it is."""
    etag = world.containers.input.write("a", b"new")
    there = world.containers.processed.write("a", b"older generation")
    with pytest.raises(Conflict):
        world.containers.processed.copy_from(world.containers.input, "a", "a", source_etag=etag, if_absent=True)
    assert world.containers.processed.read("a") == (b"older generation", there)


def test_a_copy_replaces_where_it_may(world: World) -> None:
    world.containers.input.write("a", b"new")
    world.containers.processed.write("a", b"old")
    world.containers.processed.copy_from(world.containers.input, "a", "a", source_etag=None, if_absent=False)
    assert world.containers.processed.read("a")[0] == b"new"


def test_a_copy_made_twice_is_one_copy(world: World) -> None:
    """A runner killed between copying and deleting repeats the copy: the one that is there counts."""
    etag = world.containers.input.write("a", b"video")
    first = world.containers.processed.copy_from(world.containers.input, "a", "a", source_etag=etag, if_absent=True)
    again = world.containers.processed.copy_from(world.containers.input, "a", "a", source_etag=etag, if_absent=True)
    assert again == first


def test_a_copy_of_a_newer_version_is_another_copy(world: World) -> None:
    world.containers.input.write("a", b"video")
    world.containers.processed.copy_from(world.containers.input, "a", "a", source_etag=None, if_absent=True)
    world.containers.input.write("a", b"again")
    with pytest.raises(Conflict):
        world.containers.processed.copy_from(world.containers.input, "a", "a", source_etag=None, if_absent=True)
    assert world.containers.processed.read("a")[0] == b"video"


def test_a_leased_blob_can_be_copied_but_not_copied_over(world: World) -> None:
    world.containers.input.write("a", b"1")
    world.containers.input.lease("a", 15)
    world.containers.processed.copy_from(world.containers.input, "a", "b", source_etag=None, if_absent=True)
    with pytest.raises(Conflict):
        world.containers.input.copy_from(world.containers.processed, "b", "a", source_etag=None, if_absent=False)
    assert world.containers.input.read("a")[0] == b"1"


def test_a_move_is_copy_then_delete_of_that_version(world: World) -> None:
    """A re-upload in between stays in the input container."""
    etag = world.containers.input.write("a", b"first")
    world.containers.processed.copy_from(world.containers.input, "a", "a", source_etag=etag, if_absent=True)
    world.containers.input.write("a", b"second")
    with pytest.raises(Conflict):
        world.containers.input.delete("a", if_match=etag)
    assert world.containers.input.read("a")[0] == b"second"
    assert world.containers.processed.read("a")[0] == b"first"


def test_an_upload_makes_its_folders_and_leaves_no_metadata(store: BlobStore, tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"new")
    store.upload(path, "lobby/runs/1/a")
    store.write("b", b"old", metadata={"one": "1"})
    store.upload(path, "b")
    assert [(blob.name, blob.metadata) for blob in store.list()] == [("b", {}), ("lobby/runs/1/a", {})]


def test_an_upload_of_nothing_changes_nothing(store: BlobStore, tmp_path: Path) -> None:
    store.write("a", b"old")
    with pytest.raises(FileNotFoundError):
        store.upload(tmp_path / "missing", "a")
    assert store.read("a")[0] == b"old"


def test_a_download_says_what_it_got(store: BlobStore, tmp_path: Path) -> None:
    etag = store.write("lobby/a", b"12345", metadata={"one": "1"})
    assert store.download("lobby/a", tmp_path / "a") == store.head("lobby/a")
    assert store.head("lobby/a").etag == etag


def test_a_downloaded_file_is_for_its_owner_only(store: BlobStore, tmp_path: Path) -> None:
    store.write("a", b"1")
    store.download("a", tmp_path / "a")
    assert (tmp_path / "a").stat().st_mode & 0o077 == 0


def test_a_file_changes_no_blob_after_its_upload(store: BlobStore, tmp_path: Path) -> None:
    """They are two: neither follows the other."""
    path = tmp_path / "a"
    path.write_bytes(b"first")
    etag = store.upload(path, "a")
    path.write_bytes(b"other")
    assert store.read("a") == (b"first", etag)
    store.download("a", tmp_path / "b")
    (tmp_path / "b").write_bytes(b"changed")
    assert store.read("a") == (b"first", etag)


def test_a_copy_within_a_container(store: BlobStore) -> None:
    etag = store.write("lobby/runs/1/a", b"result")
    info = store.copy_from(store, "lobby/runs/1/a", "lobby/a", source_etag=etag, if_absent=True)
    assert store.read("lobby/a") == (b"result", info.etag)
    assert info.etag != etag
    assert info.whole


def test_a_copy_outlives_its_source(world: World) -> None:
    etag = world.containers.input.write("a", b"video")
    world.containers.processed.copy_from(world.containers.input, "a", "a", source_etag=etag, if_absent=True)
    world.containers.input.delete("a", if_match=etag)
    assert world.containers.processed.read("a")[0] == b"video"
    with pytest.raises(NotFound):
        world.containers.processed.copy_from(world.containers.input, "a", "b", source_etag=etag, if_absent=True)


def test_the_same_bytes_that_are_no_copy_do_not_count_as_one(world: World) -> None:
    """Somebody else's blob with the same content: it says of no version that it is its copy."""
    etag = world.containers.input.write("a", b"video")
    world.containers.processed.write("a", b"video")
    with pytest.raises(Conflict):
        world.containers.processed.copy_from(world.containers.input, "a", "a", source_etag=etag, if_absent=True)


def test_a_copy_over_a_copy_of_another_version_is_refused_or_replaces(world: World) -> None:
    old = world.containers.input.write("a", b"1")
    world.containers.processed.copy_from(world.containers.input, "a", "a", source_etag=old, if_absent=True)
    new = world.containers.input.write("a", b"22")
    with pytest.raises(Conflict):
        world.containers.processed.copy_from(world.containers.input, "a", "a", source_etag=new, if_absent=True)
    info = world.containers.processed.copy_from(world.containers.input, "a", "a", source_etag=new, if_absent=False)
    assert (info.size_bytes, info.metadata) == (2, {"source_etag": new})


def test_a_large_copy_is_whole(world: World, tmp_path: Path) -> None:
    path = tmp_path / "video"
    path.write_bytes(os.urandom(20 * 2**20 + 7))
    etag = world.containers.input.upload(path, "a")
    world.containers.processed.copy_from(world.containers.input, "a", "a", source_etag=etag, if_absent=True)
    world.containers.processed.download("a", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == path.read_bytes()
