"""What the storage says of a blob's content: shown by listings, carried by copies, believed by nobody."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from scenejobs.ports import BlobStore
from tests.contract.conftest import World
from tests.contract.strangers import put

FALSE_MD5 = "00" * 16


def md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def test_a_listing_shows_the_md5_of_what_came_in_one_request(store: BlobStore, world: World) -> None:
    store.write("a", b"12345")
    expected = "" if world.differs("files have no MD5 and no content encoding") else md5(b"12345")
    (blob,) = store.list()
    assert blob.content_md5 == store.head("a").content_md5 == expected
    assert blob.content_encoding == ""


@pytest.mark.parametrize("size", [0, 5_000, 40 * 2**20])
def test_a_file_that_we_upload_has_its_md5_also_in_blocks(
    store: BlobStore, world: World, tmp_path: Path, size: int
) -> None:
    path = tmp_path / "a.ply"
    path.write_bytes(b"x" * size)
    store.upload(path, "a.ply")
    expected = "" if world.differs("files have no MD5 and no content encoding") else md5(path.read_bytes())
    assert next(iter(store.list())).content_md5 == store.head("a.ply").content_md5 == expected
    assert store.download("a.ply", tmp_path / "back").content_md5 == expected


@pytest.mark.parametrize(("given", "shown"), [(FALSE_MD5, FALSE_MD5), ("", ""), (None, md5(b"12345"))])
def test_what_a_stranger_says_of_a_blob_is_shown_as_it_is(
    store: BlobStore, world: World, given: str | None, shown: str
) -> None:
    put(store, "a.mp4", b"12345", content_md5=given, content_encoding="gzip")
    none = world.differs("files have no MD5 and no content encoding")
    expected = ("", "") if none else (shown, "gzip")
    (blob,) = store.list()
    assert (blob.content_md5, blob.content_encoding) == expected
    assert store.head("a.mp4") == blob


def test_a_copy_has_the_properties_of_its_source(world: World) -> None:
    source, target = world.containers.input, world.containers.processed
    put(source, "a.mp4", b"12345", content_md5=FALSE_MD5, content_encoding="gzip")
    original = source.head("a.mp4")
    copied = target.copy_from(source, "a.mp4", "a.mp4", source_etag=original.etag, if_absent=True)
    (listed,) = target.list()
    for blob in (copied, listed):
        assert (blob.content_md5, blob.content_encoding) == (original.content_md5, original.content_encoding)


def test_a_new_version_has_properties_of_its_own(store: BlobStore, world: World) -> None:
    put(store, "a", b"old", content_md5=FALSE_MD5, content_encoding="br")
    store.write("a", b"new")
    expected = "" if world.differs("files have no MD5 and no content encoding") else md5(b"new")
    assert (store.head("a").content_md5, store.head("a").content_encoding) == (expected, "")
