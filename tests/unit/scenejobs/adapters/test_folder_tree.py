"""A folder as a container: links, pipes and other traps in its tree, and names that no blob can have."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from scenejobs.adapters.folder import FolderBlobStore, openat
from scenejobs.errors import Conflict, NotFound
from scenejobs.state.incoming.uploads import sort_uploads
from tests.folders import calls, put


@pytest.mark.parametrize("call", calls(None, "", Path()))  # type: ignore[arg-type]  # only the names are asked for
@pytest.mark.parametrize("name", ["file", "dangling", "folder", "folder/victim", "up/victim", "loop", "loop/x"])
def test_a_link_is_never_followed(store: FolderBlobStore, tmp_path: Path, name: str, call: str) -> None:
    """Links to a file, to nothing, to a folder outside, to the folder above, to themselves."""
    victim = put(tmp_path / "victim", b"precious")
    put(tmp_path / "evil", b"evil")
    store.write("good", b"good")
    os.symlink(victim, store.folder / "file")
    os.symlink(tmp_path / "elsewhere", store.folder / "dangling")
    os.symlink(tmp_path, store.folder / "folder")
    os.symlink("..", store.folder / "up")
    os.symlink("loop", store.folder / "loop")
    with pytest.raises((NotFound, Conflict)):
        calls(store, name, tmp_path)[call]()
    assert victim.read_bytes() == b"precious"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["evil", "input", "victim"]
    assert [blob.name for blob in store.list()] == ["good"]
    assert list(store.list("folder/")) == list(store.list("up/")) == list(store.list("loop/")) == []


def test_a_link_in_place_of_the_private_folder_is_not_followed(folder: Path, tmp_path: Path) -> None:
    """Whoever may write to the input could plant it before the first start."""
    (tmp_path / "outside").mkdir()
    os.symlink(tmp_path / "outside", folder / ".scenejobs")
    store = FolderBlobStore(folder)
    with pytest.raises(Conflict):
        store.write("a", b"1")
    assert list((tmp_path / "outside").iterdir()) == []


def test_the_folder_itself_may_be_a_link(tmp_path: Path) -> None:
    """Its owner chose it: a larger disk."""
    (tmp_path / "disk").mkdir()
    os.symlink(tmp_path / "disk", tmp_path / "input")
    FolderBlobStore(tmp_path / "input").write("lobby/a", b"1")
    assert (tmp_path / "disk/lobby/a").read_bytes() == b"1"


def test_pipes_sockets_and_devices_are_no_blobs(store: FolderBlobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing waits for a writer of a pipe that nobody opens."""
    os.mkfifo(store.folder / "pipe")
    monkeypatch.chdir(store.folder)
    with socket.socket(socket.AF_UNIX) as planted:
        planted.bind("socket")
        assert list(store.list()) == []
        for name in ("pipe", "socket"):
            for call in (store.head, store.read, store.delete):
                with pytest.raises(NotFound):
                    call(name)
            with pytest.raises(Conflict):
                store.write(name, b"1")


def test_private_files_are_no_blobs(store: FolderBlobStore) -> None:
    """In no spelling that some disk takes for the same name."""
    store.write("lobby/a", b"1", metadata={"one": "1"})
    store.lease("lobby/a", 15)
    put(store.folder / ".SceneJobs/x", b"1")
    assert [blob.name for blob in store.list()] == ["lobby/a"]
    assert [blob.name for blob in store.list(".s")] == []
    for name in (".scenejobs/clock", ".SCENEJOBS/clock", ".scenejobs"):
        with pytest.raises(ValueError, match="reserved"):
            store.read(name)


def test_a_name_that_is_no_text_is_listed_and_refused(store: FolderBlobStore) -> None:
    """Disks keep any bytes: what is not UTF-8 cannot be a blob's name, and is reported as such."""
    put(store.folder / "lobby/a.mp4", b"1")
    put(Path(os.fsdecode(os.fsencode(store.folder) + b"/lobby/\xff\xfe.mp4")), b"1")
    put(store.folder / "lobby/line\nbreak.mp4", b"1")
    put(store.folder / "lobby/back\\slash.mp4", b"1")
    uploads = sort_uploads(store.list(), 1)
    assert [blob.name for blob in uploads.scenes["lobby"]] == ["lobby/a.mp4"]
    assert sorted(item.reason for item in uploads.refused) == [
        "the name holds a backslash", "the name holds a control character", "the name holds a control character",
    ]  # fmt: skip


def test_a_tree_deeper_than_names_may_be_is_refused_not_followed(store: FolderBlobStore) -> None:
    """Hundreds of folders in each other exhaust neither the stack nor the descriptors."""
    put(store.folder / "a", b"1")
    here = os.open(store.folder, os.O_RDONLY)
    for depth in range(1, 401):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
        if depth in (200, 254, 400):
            os.close(os.open("deep.mp4", os.O_CREAT | os.O_WRONLY, dir_fd=here))
    os.close(here)
    uploads = sort_uploads(store.list(), 1)
    assert [blob.name.count("/") for blob in uploads.scenes["d"]] == [200]
    assert [item.name.count("/") for item in uploads.refused] == [254]


def test_walking_asks_only_for_folders_that_can_hold_the_prefix(store: FolderBlobStore) -> None:
    """A thousand other scenes cost nothing: one that may not even be entered is no obstacle."""
    put(store.folder / "lobby/cam/a", b"1")
    put(store.folder / "other/b", b"1")
    assert [name for name, _, _ in openat.walk(store.folder, "lobby/c")] == ["lobby/cam/a"]
    assert [name for name, _, _ in openat.walk(store.folder, "o")] == ["other/b"]


def test_a_link_in_place_of_the_locks_is_not_followed(store: FolderBlobStore, tmp_path: Path) -> None:
    """Decision 147: a lock opened by its path would be made outside the container."""
    (tmp_path / "outside").mkdir()
    os.symlink(tmp_path / "outside", store.folder / ".scenejobs/locks")
    with pytest.raises(Conflict):
        store.write("a", b"1")
    assert list((tmp_path / "outside").iterdir()) == []
