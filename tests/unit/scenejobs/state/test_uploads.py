"""The listing decides which uploads a scene has."""

from __future__ import annotations

import pytest

from scenejobs.adapters.memory import ManualClock, MemoryBlobStore
from scenejobs.state.blobs import InputBlob
from scenejobs.state.incoming.uploads import Refused, list_scene, snapshot, sort_uploads

UPLOADS = [
    "lobby/a.mp4", "lobby/b/c.mp4", "lobby.mp4", "lobby.v2.mp4", "lobby2/a.mp4", "Lobby/a.mp4", "lob", "lobby",
    "site/lobby/a.mp4", "lobby.d/x.mp4",
]  # fmt: skip


@pytest.fixture
def store() -> MemoryBlobStore:
    store = MemoryBlobStore("input")
    for name in UPLOADS:
        store.write(name, name.encode())
    return store


@pytest.mark.parametrize(
    ("scene", "depth", "names"),
    [
        ("lobby", 1, ["lobby", "lobby.mp4", "lobby/a.mp4", "lobby/b/c.mp4"]),
        ("lobby.v2", 1, ["lobby.v2.mp4"]),
        ("lobby.d", 1, ["lobby.d/x.mp4"]),
        ("lobby2", 1, ["lobby2/a.mp4"]),
        ("site", 1, ["site/lobby/a.mp4"]),
        ("site/lobby", 2, ["site/lobby/a.mp4"]),
        ("site", 2, []),
        ("lobby", 2, ["lobby", "lobby.mp4", "lobby/a.mp4"]),
        ("lobby/b", 2, ["lobby/b/c.mp4"]),
        ("nothing", 1, []),
    ],
)
def test_a_scene_has_its_own_blobs_and_no_others(
    store: MemoryBlobStore, scene: str, depth: int, names: list[str]
) -> None:
    assert [blob.name for blob in list_scene(store, scene, depth)] == names


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_listing_scene_by_scene_and_all_at_once_agree(store: MemoryBlobStore, depth: int) -> None:
    """Every upload is in exactly one scene."""
    sorted_out = sort_uploads(store.list(), depth)
    assert sorted_out.refused == ()
    assert sorted(blob.name for blobs in sorted_out.scenes.values() for blob in blobs) == sorted(UPLOADS)
    for scene, blobs in sorted_out.scenes.items():
        assert {blob.name for blob in blobs} == {blob.name for blob in list_scene(store, scene, depth)}


def test_hostile_names_are_set_aside_and_do_not_stop_the_others(store: MemoryBlobStore) -> None:
    for name in ("lobby/../victim.mp4", "lobby//x.mp4", "..mp4"):
        store.blobs[name] = store.blobs["lobby/a.mp4"]
    uploads = sort_uploads(store.list(), 1)
    assert [refused.name for refused in uploads.refused] == ["..mp4", "lobby/../victim.mp4", "lobby//x.mp4"]
    assert all(isinstance(refused, Refused) and refused.reason for refused in uploads.refused)
    assert [blob.name for blob in list_scene(store, "lobby", 1)][-2:] == ["lobby/a.mp4", "lobby/b/c.mp4"]


def test_a_snapshot_keeps_name_version_and_size(store: MemoryBlobStore) -> None:
    (blob,) = list_scene(store, "lobby2", 1)
    assert snapshot([blob]) == (InputBlob("lobby2/a.mp4", blob.etag, len("lobby2/a.mp4")),)


def test_an_upload_by_copy_counts_once_it_is_whole_and_is_refused_when_it_failed() -> None:
    clock = ManualClock()
    source = MemoryBlobStore("elsewhere", clock)
    for name in ("good", "bad"):
        source.write(name, b"video")
    store = MemoryBlobStore("input", clock, copy_plan=lambda: (60, True))
    for name in ("good", "bad"):
        store.begin_copy(source, name, f"lobby/{name}.mp4", source_etag=None, if_absent=True)
    source.delete("bad")
    uploads = sort_uploads(store.list(), 1)
    assert uploads.scenes == {}
    assert [refused.name for refused in uploads.refused] == ["lobby/bad.mp4"]
    clock.advance(60)
    assert [blob.name for blob in list_scene(store, "lobby", 1)] == ["lobby/good.mp4"]


@pytest.mark.parametrize("metadata", [{"hdi_isfolder": "true"}, {"Hdi_isFolder": "True"}])
def test_an_upload_that_is_called_a_directory_is_refused_and_a_directory_is_nothing(metadata: dict[str, str]) -> None:
    """Accounts with a hierarchical namespace mark their directories so, and these are empty."""
    store = MemoryBlobStore("input")
    store.write("lobby/a.mp4", b"video", metadata=metadata)
    store.write("lobby/cam1", b"", metadata=metadata)
    store.write("lobby/b.mp4", b"video", metadata={"hdi_isfolder": "false"})
    uploads = sort_uploads(store.list(), 1)
    assert {scene: [blob.name for blob in blobs] for scene, blobs in uploads.scenes.items()} == {
        "lobby": ["lobby/b.mp4"]
    }
    assert [(item.name, "5 bytes" in item.reason) for item in uploads.refused] == [("lobby/a.mp4", True)]
