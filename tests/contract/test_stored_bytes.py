"""Bytes come back as they are stored, whatever is said of them: nothing is unpacked, nothing is read without end."""

from __future__ import annotations

import gzip
import os
import zlib
from pathlib import Path

import pytest

from scenejobs.adapters.azure.blobs import AzureBlobStore
from scenejobs.errors import StorageError, WrongChecksum
from scenejobs.ports import BlobStore, Containers
from scenejobs.settings.storage import StorageSettings
from tests.contract.conftest import World
from tests.contract.faults import faulty_store, fine, instead
from tests.contract.strangers import put

FALSE_MD5 = "00" * 16
PLAIN = b"\0\0\0\x18ftypmp42" + bytes(range(256)) * 40
BLOCKS = 20 * 2**20  # more than one request
STORED = {
    "plain, said to be gzip": ("gzip", PLAIN),
    "plain, said to be deflate": ("deflate", PLAIN),
    "plain, said to be br": ("br", PLAIN),
    "plain, said to be two of them": ("gzip, br", PLAIN),
    "plain, said to be nothing known": ("x-nonsense", PLAIN),
    "gzip": ("gzip", gzip.compress(PLAIN)),
    "gzip, said to be nothing": ("", gzip.compress(PLAIN)),
    "gzip, cut off": ("gzip", gzip.compress(PLAIN)[:-9]),
    "gzip in gzip": ("gzip", gzip.compress(gzip.compress(PLAIN))),
    "two members": ("gzip", gzip.compress(PLAIN) + gzip.compress(PLAIN)),
    "a member and a tail": ("gzip", gzip.compress(PLAIN) + PLAIN),
    "deflate": ("deflate", zlib.compress(PLAIN)),
    "deflate without a header": ("deflate", zlib.compress(PLAIN, wbits=-15)),
    "empty": ("gzip", b""),
    "many zeros": ("gzip", gzip.compress(bytes(64 * 2**20))),
    "several blocks": ("gzip", gzip.compress(os.urandom(BLOCKS), 0)),
}


@pytest.mark.parametrize("case", STORED)
def test_bytes_come_back_as_they_are_stored(store: BlobStore, world: World, tmp_path: Path, case: str) -> None:
    """Read, downloaded, and from a copy: the same bytes and the same size, whatever they are said to be."""
    encoding, data = STORED[case]
    etag = put(store, "lobby/a.mp4", data, content_encoding=encoding)
    assert store.read("lobby/a.mp4") == (data, etag)
    info = store.download("lobby/a.mp4", tmp_path / "a", if_match=etag)
    assert (info.size_bytes, (tmp_path / "a").read_bytes()) == (len(data), data)
    copied = world.containers.processed.copy_from(store, "lobby/a.mp4", "a", source_etag=etag, if_absent=True)
    assert copied.size_bytes == len(data)
    assert world.containers.processed.read("a")[0] == data


@pytest.mark.azurite
@pytest.mark.parametrize("case", STORED)
def test_a_copy_through_this_process_unpacks_nothing(
    storage: StorageSettings, containers: Containers, case: str
) -> None:
    """Where the service may not read the source. The properties arrive as well, as with a copy on the server."""
    encoding, data = STORED[case]
    etag = put(containers.input, "a.mp4", data, content_encoding=encoding, content_md5=FALSE_MD5)
    source, _ = faulty_store(storage, storage.input)
    target, _ = faulty_store(storage, storage.processed, instead(403, x_ms_error_code="CannotVerifyCopySource"))
    copied = target.copy_from(source, "a.mp4", "b.mp4", source_etag=etag, if_absent=True)
    assert (copied.size_bytes, copied.metadata) == (len(data), {"source_etag": etag})
    assert (copied.content_encoding, copied.content_md5) == (encoding, FALSE_MD5)
    assert isinstance(containers.processed, AzureBlobStore)
    blob = containers.processed._container.get_blob_client("b.mp4")
    assert blob.download_blob(decompress=False).readall() == data


@pytest.mark.parametrize("size", [10, 100_000])
def test_a_control_blob_that_is_too_long_is_not_read(store: BlobStore, size: int) -> None:
    store.write("state.json", bytes(size))
    assert len(store.read("state.json", limit_bytes=size)[0]) == size
    with pytest.raises(StorageError, match=f"{size:,} bytes"):
        store.read("state.json", limit_bytes=size - 1)


@pytest.mark.azurite
def test_of_a_control_blob_that_is_too_long_one_block_is_asked_for(
    storage: StorageSettings, containers: Containers
) -> None:
    containers.state.write("state.json", bytes(40 * 2**20))
    store, transport = faulty_store(storage, storage.state)
    with pytest.raises(StorageError, match="at most 1,000"):
        store.read("state.json", limit_bytes=1000)
    assert transport.sent == ["GET"]


def test_a_false_md5_is_an_error_of_its_own_and_leaves_no_file(store: BlobStore, world: World, tmp_path: Path) -> None:
    etag = put(store, "lobby/a.mp4", PLAIN, content_md5=FALSE_MD5)
    if world.differs("files have no MD5 and no content encoding"):
        assert store.read("lobby/a.mp4")[0] == PLAIN
        return
    with pytest.raises(WrongChecksum, match=r"lobby/a\.mp4"):
        store.download("lobby/a.mp4", tmp_path / "a", if_match=etag)
    with pytest.raises(WrongChecksum, match=r"lobby/a\.mp4"):
        store.read("lobby/a.mp4")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.azurite
def test_a_false_md5_costs_one_download(storage: StorageSettings, containers: Containers, tmp_path: Path) -> None:
    put(containers.input, "a.mp4", PLAIN, content_md5=FALSE_MD5)
    store, transport = faulty_store(storage, storage.input, fine)
    with pytest.raises(WrongChecksum):
        store.download("a.mp4", tmp_path / "a")
    assert transport.sent == ["GET"]
