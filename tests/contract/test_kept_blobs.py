"""What others put on a blob, as the emulator answers: the in-memory store must refuse the same calls the same way.

Legal holds and immutability policies are unknown to the emulator; their answers are the service's documented ones.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from azure.storage.blob import BlobClient, BlobServiceClient

from scenejobs.adapters.memory import Guards, ManualClock, MemoryBlobStore
from scenejobs.errors import AccessDenied, Code, Conflict, StorageError
from scenejobs.ports import BlobStore, Containers
from scenejobs.settings.storage import StorageSettings
from scenejobs.state.blobs import InputBlob
from scenejobs.state.moves import move, remove

NAME = "lobby/a.mp4"
GUARDS: list[tuple[Guards, str, type[StorageError] | type[AccessDenied]]] = [
    (Guards(legal_hold=True), "legal hold", Conflict),
    (Guards(immutable_until=ManualClock().time + timedelta(days=1)), "immutability policy", Conflict),
    (Guards(denied=frozenset({"delete"})), "role", AccessDenied),
]


@dataclass(frozen=True)
class Others:
    """One upload, and what other programs can do to it."""

    input: BlobStore
    processed: BlobStore
    etag: str
    snapshot: Callable[[], object]
    lease: Callable[[], object]  # without end
    tier: Callable[[str], object]


@pytest.fixture(params=["memory", pytest.param("azurite", marks=pytest.mark.azurite)])
def others(request: pytest.FixtureRequest) -> Others:
    if request.param == "memory":
        clock = ManualClock()
        store, processed = MemoryBlobStore("input", clock), MemoryBlobStore("processed", clock)
        etag = store.write(NAME, b"video")
        guards = store.guards(NAME)
        return Others(
            store,
            processed,
            etag,
            lambda: setattr(guards, "snapshots", 1),
            lambda: store.lease_without_end(NAME),
            lambda tier: setattr(guards, "tier", tier),
        )
    containers: Containers = request.getfixturevalue("containers")
    storage: StorageSettings = request.getfixturevalue("storage")
    etag = containers.input.write(NAME, b"video")
    service = BlobServiceClient.from_connection_string(storage.connection_string)
    blob: BlobClient = service.get_blob_client(storage.input, NAME)
    return Others(
        containers.input,
        containers.processed,
        etag,
        blob.create_snapshot,
        lambda: blob.acquire_lease(-1),
        blob.set_standard_blob_tier,
    )


def moved(others: Others, told: list[str]) -> str:
    blob = InputBlob(NAME, others.etag, 5)
    keep = lambda blob, name, why: told.append(f"{name}: {why}")  # noqa: E731
    return move(blob, others.input, others.processed, ("lobby/a.mp4",), lambda: None, kept=keep)


@pytest.mark.parametrize("what", ["snapshot", "lease"])
def test_it_is_copied_and_not_deleted_and_the_error_says_how_to_end_it(others: Others, what: str) -> None:
    getattr(others, what)()
    (info,) = others.input.list()
    assert (info.name, info.etag) == (NAME, others.etag), "what others put on it makes no new version"
    with pytest.raises(Conflict) as caught:
        others.input.delete(NAME, if_match=others.etag)
    assert what in caught.value.advice
    told: list[str] = []
    assert moved(others, told) == "lobby/a.mp4"
    assert len(told) == 1
    assert others.processed.read("lobby/a.mp4")[0] == b"video"
    assert others.input.head(NAME).etag == others.etag


def test_a_blob_with_a_snapshot_can_be_uploaded_again_and_still_not_deleted(others: Others) -> None:
    others.snapshot()
    new = others.input.write(NAME, b"another")
    assert new != others.etag
    with pytest.raises(Conflict):
        others.input.delete(NAME, if_match=new)


def test_a_blob_in_the_archive_tier_is_listed_as_such_and_cannot_be_read_or_copied(
    others: Others, tmp_path: Path
) -> None:
    others.tier("Archive")
    (info,) = others.input.list()
    assert (info.etag, info.archived, info.rehydrating) == (others.etag, True, False)
    assert others.input.head(NAME).archived
    reading = lambda: others.input.read(NAME)  # noqa: E731
    loading = lambda: others.input.download(NAME, tmp_path / "a", if_match=others.etag)  # noqa: E731
    for attempt in (reading, loading, lambda: moved(others, [])):
        with pytest.raises(StorageError) as caught:
            attempt()
        assert caught.value.code == Code.ARCHIVE_TIER
        assert "rehydrate it" in caught.value.advice
    assert list(others.processed.list()) == []


def test_a_blob_in_the_archive_tier_can_be_deleted_and_not_be_replaced(others: Others) -> None:
    others.tier("Archive")
    with pytest.raises(StorageError) as caught:
        others.input.write(NAME, b"another")
    assert caught.value.code == Code.ARCHIVE_TIER
    others.input.delete(NAME, if_match=others.etag)
    assert list(others.input.list()) == []


@pytest.mark.parametrize(("guards", "word", "error"), GUARDS, ids=lambda item: str(item)[:20])
def test_what_only_the_service_knows_is_refused_as_it_says(
    guards: Guards, word: str, error: type[StorageError] | type[AccessDenied]
) -> None:
    store = MemoryBlobStore("input", ManualClock())
    etag = store.write(NAME, b"video")
    store.blobs[NAME].guards = guards
    with pytest.raises(error) as caught:
        remove(InputBlob(NAME, etag, 5), store)
    assert word in caught.value.advice
    assert store.read(NAME)[0] == b"video"
