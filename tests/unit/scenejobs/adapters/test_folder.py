"""A folder as a container: files that hands put there, links and other traps in the tree, and a disk that goes away."""

from __future__ import annotations

import errno
import os
import socket
import stat
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from scenejobs.adapters.folder import FolderBlobStore, FolderQueue, Places, open_containers, open_queues, openat
from scenejobs.adapters.folder.cleanup import tidy
from scenejobs.adapters.folder.errors import os_errors
from scenejobs.adapters.folder.staging import place, staging
from scenejobs.errors import AccessDenied, Busy, Code, Conflict, NotFound, ResourceError, SceneJobError, StorageError
from scenejobs.state.uploads import sort_uploads


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "input").mkdir()
    return tmp_path / "input"


@pytest.fixture
def store(folder: Path) -> FolderBlobStore:
    return FolderBlobStore(folder)


def put(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


# ---- files that somebody simply copies there ----


def test_a_file_copied_by_hand_is_a_blob(store: FolderBlobStore, folder: Path, tmp_path: Path) -> None:
    """Listed, read, downloaded, copied, leased and deleted like any other, with one ETag for all who look."""
    put(folder / "lobby/a.mp4", b"video")
    (blob,) = store.list()
    assert (blob.name, blob.size_bytes, blob.metadata, blob.whole) == ("lobby/a.mp4", 5, {}, True)
    assert FolderBlobStore(folder).head("lobby/a.mp4") == blob
    assert store.read("lobby/a.mp4") == (b"video", blob.etag)
    assert store.download("lobby/a.mp4", tmp_path / "copy", if_match=blob.etag) == blob
    (tmp_path / "processed").mkdir()
    processed = FolderBlobStore(tmp_path / "processed")
    copied = processed.copy_from(store, "lobby/a.mp4", "lobby/a.mp4", source_etag=blob.etag, if_absent=True)
    assert copied.metadata == {"source_etag": blob.etag}
    store.lease("lobby/a.mp4", 15).release()
    store.delete("lobby/a.mp4", if_match=blob.etag)
    assert (list(store.list()), processed.read("lobby/a.mp4")[0]) == ([], b"video")


def overwrite(path: Path) -> None:
    path.write_bytes(b"other")


def move_over(path: Path) -> None:
    put(path.with_name("new"), b"other").rename(path)


def append(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"!")


def copy_with_time(path: Path) -> None:
    """`cp -p`: the new content bears the old modification time."""
    other = put(path.with_name("new"), b"other")
    status = path.stat()
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    other.rename(path)


@pytest.mark.parametrize("by_hand", [overwrite, move_over, append, copy_with_time])
@pytest.mark.parametrize("written_by_us", [False, True])
def test_a_file_changed_by_hand_is_another_version(
    store: FolderBlobStore, folder: Path, by_hand: Callable[[Path], None], written_by_us: bool
) -> None:
    """Whatever way it is replaced: who holds the old ETag is refused, and no metadata of the old version stays."""
    if written_by_us:
        store.write("a", b"video", metadata={"source_etag": "1"})
    else:
        put(folder / "a", b"video")
    old = store.head("a").etag
    by_hand(folder / "a")
    found = store.head("a")
    assert found.etag != old
    assert found.metadata == {}
    for attempt in (lambda: store.write("a", b"1", if_match=old), lambda: store.delete("a", if_match=old)):
        with pytest.raises(Conflict):
            attempt()
    assert (folder / "a").read_bytes() in (b"other", b"video!")


def test_what_changes_no_content_changes_no_version(store: FolderBlobStore, folder: Path, tmp_path: Path) -> None:
    """Rights, a new name for the folder above, a restart: the job that works on this upload goes on."""
    put(folder / "lobby/a.mp4", b"video")
    written = store.write("lobby/b.mp4", b"video")
    before = [(blob.name, blob.etag) for blob in store.list()]
    (folder / "lobby/a.mp4").chmod(0o600)
    os.link(folder / "lobby/b.mp4", tmp_path / "backup")
    folder.rename(tmp_path / "renamed")
    again = FolderBlobStore(tmp_path / "renamed")
    assert [(blob.name, blob.etag) for blob in again.list()] == before
    assert again.head("lobby/b.mp4").etag == written


def test_a_file_is_as_old_as_its_arrival(store: FolderBlobStore, folder: Path) -> None:
    """`cp -p`, `rsync -t` and cameras keep a modification time of last year; the quiet time starts now."""
    path = put(folder / "a", b"video")
    os.utime(path, (1_000_000_000, 1_000_000_000))
    assert abs(store.head("a").modified - datetime.now(UTC)) < timedelta(seconds=60)
    assert store.head("a").modified <= store.now()


def test_a_file_that_is_still_being_copied_is_no_version_anybody_gets(
    store: FolderBlobStore, folder: Path, tmp_path: Path
) -> None:
    """Every look finds another version, and a download that overlaps with the copying ends without a file."""
    with (folder / "a").open("wb") as copying:
        copying.write(b"first half")
        copying.flush()
        half = store.head("a")
        with pytest.raises(Conflict, match="changed while it was read"):
            _read_while(store, lambda: copying.write(b"second half") and copying.flush())
    with pytest.raises(Conflict):
        store.download("a", tmp_path / "a", if_match=half.etag)
    assert not (tmp_path / "a").exists()
    assert store.head("a").size_bytes == 21


def _read_while(store: FolderBlobStore, change: Callable[[], object]) -> None:
    with store.reading("a") as (_, file):
        file.read(1)
        change()


def test_writing_never_touches_a_file_that_has_another_name_too(store: FolderBlobStore, tmp_path: Path) -> None:
    """A hard link planted for somebody else's file: the link is replaced, the file is not changed."""
    victim = put(tmp_path / "victim", b"precious")
    os.link(victim, store.folder / "a")
    store.write("a", b"evil")
    (tmp_path / "new").write_bytes(b"evil")
    store.upload(tmp_path / "new", "a")
    store.delete("a")
    assert victim.read_bytes() == b"precious"


# ---- traps in the tree ----


def calls(store: FolderBlobStore, name: str, tmp_path: Path) -> dict[str, Callable[[], object]]:
    return {
        "head": lambda: store.head(name),
        "read": lambda: store.read(name),
        "download": lambda: store.download(name, tmp_path / "stolen"),
        "delete": lambda: store.delete(name),
        "lease": lambda: store.lease(name, 15),
        "copy from": lambda: store.copy_from(store, name, "stolen", source_etag=None, if_absent=True),
        "write": lambda: store.write(name, b"evil"),
        "create": lambda: store.write(name, b"evil", if_absent=True),
        "upload": lambda: store.upload(tmp_path / "evil", name),
        "copy to": lambda: store.copy_from(store, "good", name, source_etag=None, if_absent=False),
    }


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


# ---- folders and disks ----


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
            place(store.folder, staged, "lobby/a", replace=False)


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


# ---- queues ----


def test_files_that_are_no_messages_are_left_alone(tmp_path: Path) -> None:
    queue = FolderQueue(tmp_path / "jobs")
    put(tmp_path / "jobs/README", b"what is this?")
    os.symlink("/etc/passwd", tmp_path / f"jobs/{0:020}-{0:09}-{'a' * 32}-{'b' * 16}")
    assert queue.receive(30) is None
    assert (queue.waiting(), queue.total()) == (0, 0)
    assert (tmp_path / "jobs/README").exists()


@pytest.mark.parametrize("data", [b"", b"\xff\xfe", b"x" * 200_000, b"[" * 30_000])
def test_a_message_planted_by_hand_is_received_whatever_it_holds(tmp_path: Path, data: bytes) -> None:
    """So that it can be refused and removed; of a huge one no more is read than a message may have, and a byte."""
    queue = FolderQueue(tmp_path / "jobs")
    put(tmp_path / f"jobs/{0:020}-{0:09}-{'a' * 32}-{'b' * 16}", data)
    message = queue.receive(30)
    assert message is not None
    assert len(message.text) <= 65_537
    queue.complete(message)
    assert queue.total() == 0


def test_the_first_to_become_visible_comes_first(tmp_path: Path) -> None:
    queue = FolderQueue(tmp_path / "jobs")
    for text in ("one", "two", "three"):
        queue.send(text)
    received = [queue.receive(60) for _ in range(3)]
    assert [message.text for message in received if message] == ["one", "two", "three"]


def test_who_is_overtaken_between_looking_and_renaming_is_told(tmp_path: Path) -> None:
    """The clock is asked in between: a rival renews at that moment, and the late one gets no receipt."""
    rival, at_that_moment = FolderQueue(tmp_path / "jobs"), []

    def clock() -> datetime:
        if at_that_moment:
            at_that_moment.pop()()
        return datetime.now(UTC)

    late = FolderQueue(tmp_path / "jobs", clock=clock)
    rival.send("work")
    message = rival.receive(300)
    assert message is not None
    at_that_moment.append(lambda: rival.renew(message, 300))
    with pytest.raises(Conflict):
        late.renew(message, 300)


def test_walking_asks_only_for_folders_that_can_hold_the_prefix(store: FolderBlobStore) -> None:
    """A thousand other scenes cost nothing: one that may not even be entered is no obstacle."""
    put(store.folder / "lobby/cam/a", b"1")
    put(store.folder / "other/b", b"1")
    assert [name for name, _, _ in openat.walk(store.folder, "lobby/c")] == ["lobby/cam/a"]
    assert [name for name, _, _ in openat.walk(store.folder, "o")] == ["other/b"]
