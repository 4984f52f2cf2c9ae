"""A folder as a container: files that people put there by hand."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from scenejobs.adapters.folder import FolderBlobStore
from scenejobs.errors import Conflict
from tests.folders import put


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
            _read_while(store, lambda: copying.writelines([b"second half"]), copying.flush)
    with pytest.raises(Conflict):
        store.download("a", tmp_path / "a", if_match=half.etag)
    assert not (tmp_path / "a").exists()
    assert store.head("a").size_bytes == 21


def _read_while(store: FolderBlobStore, *changes: Callable[[], None]) -> None:
    with store.reading("a") as (_, file):
        file.read(1)
        for change in changes:
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
