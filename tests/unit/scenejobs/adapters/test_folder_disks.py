"""A folder as a container: rights, volumes that go away, file systems without links, errors, and tidying."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from scenejobs.adapters.folder import FolderBlobStore, Places, open_containers, open_queues
from scenejobs.adapters.folder.cleanup import tidy
from scenejobs.adapters.folder.errors import os_errors
from scenejobs.adapters.folder.staging import give_name, staging
from scenejobs.errors import AccessDenied, Busy, Code, Conflict, NotFound, ResourceError, SceneJobError, StorageError
from tests.folders import calls, put


def test_what_is_written_others_may_read(store: FolderBlobStore) -> None:
    """Results are for people, by the rights that the process gives its files; the private folder is not."""
    old = os.umask(0o022)
    try:
        store.write("lobby/a", b"1")
    finally:
        os.umask(old)
    assert stat.S_IMODE((store.folder / "lobby/a").stat().st_mode) == 0o644
    assert stat.S_IMODE((store.folder / ".scenejobs").stat().st_mode) == 0o700


def test_an_upload_folder_stays_and_others_go_with_their_last_blob(tmp_path: Path) -> None:
    """The folder a camera uploads into must be there tomorrow; empty ones of results are litter."""
    containers = open_containers(Places.below(tmp_path))
    for store in (containers.input, containers.state):
        store.write("cam1/day/a", b"1")
        store.write("cam1/b", b"1")
        store.delete("cam1/day/a")
        store.delete("cam1/b")
    assert (tmp_path / "input/cam1/day").is_dir()
    assert not (tmp_path / "state/cam1").exists()


def test_opening_twice_keeps_everything(tmp_path: Path) -> None:
    open_containers(Places.below(tmp_path)).state.write("a", b"1", metadata={"phase": "idle"})
    open_queues(Places.below(tmp_path)).jobs.send("work")
    assert open_containers(Places.below(tmp_path)).state.head("a").metadata == {"phase": "idle"}
    message = open_queues(Places.below(tmp_path)).jobs.receive(60)
    assert message is not None
    assert message.text == "work"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["error", "input", "output", "processed", "state"]


def test_a_volume_that_is_gone_is_not_an_empty_container(store: FolderBlobStore, tmp_path: Path) -> None:
    """Unmounted, its mount point is an empty folder: nothing is listed as empty, and nothing written beside it."""
    store.folder.rename(tmp_path / "elsewhere")
    (tmp_path / "evil").write_bytes(b"1")
    store.folder.mkdir()
    with pytest.raises(Busy, match="mounted"):
        list(store.list())
    for name, call in calls(store, "a", tmp_path).items():
        with pytest.raises((Busy, NotFound)):
            call()
        assert list(store.folder.iterdir()) == [], name
    with pytest.raises(Busy):
        store.now()


@pytest.mark.parametrize("number", [errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK])
def test_a_file_system_without_links_still_creates_only_once(
    store: FolderBlobStore, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """FAT and some network mounts: a check and a rename under the lock do it then."""

    def refuse(*args: object, **kwargs: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "link", refuse)
    etag = store.write("lobby/a", b"1", if_absent=True)
    with pytest.raises(Conflict):
        store.write("lobby/a", b"2", if_absent=True)
    assert store.read("lobby/a") == (b"1", etag)
    with staging(store.folder) as staged:  # a hand was faster than the last look
        staged.file.write(b"2")
        with pytest.raises(FileExistsError):
            give_name(store.folder, staged, "lobby/a", replace=False)


@pytest.mark.parametrize(
    ("number", "kind", "looking"),
    [
        (errno.ENOENT, NotFound, False), (errno.EEXIST, Conflict, False), (errno.EISDIR, Conflict, False),
        (errno.ENOTDIR, Conflict, False), (errno.ELOOP, Conflict, False), (errno.ENOTDIR, NotFound, True),
        (errno.ELOOP, NotFound, True), (errno.ENAMETOOLONG, NotFound, True), (errno.ENAMETOOLONG, StorageError, False),
        (errno.EACCES, AccessDenied, False), (errno.EPERM, AccessDenied, True), (errno.EROFS, AccessDenied, False),
        (errno.ENOSPC, ResourceError, False), (errno.EDQUOT, ResourceError, False), (errno.ESTALE, Busy, False),
        (errno.EIO, Busy, True), (errno.ETIMEDOUT, Busy, False), (errno.EHOSTDOWN, Busy, False),
        (errno.EMFILE, Busy, False), (errno.ENOLCK, Busy, False), (errno.EFBIG, StorageError, False),
    ],
)  # fmt: skip
def test_errors_of_the_system_become_ours(number: int, kind: type[SceneJobError], looking: bool) -> None:
    """With what was being done, and none that a caller could take for another."""
    with (
        pytest.raises(SceneJobError, match=r"writing input/a: ") as error,
        os_errors("writing input/a", looking=looking),
    ):
        raise OSError(number, os.strerror(number), "/somewhere")
    assert type(error.value) is kind
    assert (error.value.code is Code.DISK_FULL) == (kind is ResourceError)
    assert isinstance(error.value.__cause__, OSError)


def test_a_full_disk_leaves_the_old_version(store: FolderBlobStore) -> None:
    """/dev/full answers as a full disk does, to the one step that needs space."""
    old = store.write("a", b"old")
    with pytest.raises(ResourceError), os_errors("writing"), Path("/dev/full").open("wb", buffering=0) as full:
        full.write(b"1")
    assert store.read("a") == (b"old", old)


def test_tidying_removes_what_has_no_owner_and_nothing_else(store: FolderBlobStore) -> None:
    """A file half written, the version of a file that a hand removed, one cut off in the middle."""
    store.write("kept", b"1", metadata={"one": "1"})
    store.write("replaced", b"1")
    (store.folder / "replaced").write_bytes(b"by hand")
    store.write("lobby/removed", b"1")
    (store.folder / "lobby/removed").unlink()
    put(store.folder / ".scenejobs/staging/half", b"1")
    put(store.folder / ".scenejobs/blobs/aa/torn", b'{"name": "ke')
    assert tidy(store.folder) == 0  # too young: it may be somebody's at this moment
    assert tidy(store.folder, age_s=-60) == 4
    assert tidy(store.folder, age_s=-60) == 0
    assert store.head("kept").metadata == {"one": "1"}
    assert [blob.name for blob in store.list()] == ["kept", "replaced"]
