"""Uploads that no client can address: listed, in nobody's way, and removed by the operator's command alone."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from scenejobs.adapters.azure.blobs import AzureBlobStore
from scenejobs.adapters.azure.raw_names import addressed, encoded
from scenejobs.adapters.folder import FolderBlobStore
from scenejobs.adapters.memory import MemoryBlobStore
from scenejobs.errors import Conflict, InputError, NotFound
from scenejobs.ports import BlobStore, Containers
from scenejobs.settings.storage import StorageSettings
from scenejobs.state.incoming import refused as state_refused
from scenejobs.state.incoming.uploads import sort_uploads
from tests.contract.conftest import World

VICTIM = "victim/precious.mp4"
ROOT = Path(__file__).parents[2]

# Reachable by another way than our clients: written with an encoded path, put there by hand, by a system without rules.
PLANTED = {
    "memory": ["a/../victim/precious.mp4", "../victim/precious.mp4", "a//b.mp4", "/victim/precious.mp4", "a\\b.mp4",
               "line\nbreak.mp4", "lobby/./a.mp4", "lobby/%2e%2e/a.mp4", "lobby/\x1b[31mred.mp4"],
    "azurite": ["a/../victim/precious.mp4", "lobby/../../victim/precious.mp4", "lobby/./a.mp4", "lobby/%2e%2e/a.mp4",
                "lobby/\uff0e\uff0e/victim.mp4", "lobby/..", "lobby/line\nbreak.mp4", "lobby/a//b.mp4"],
    "folder": ["a\\..\\victim.mp4", "lobby/line\nbreak.mp4", "lobby/%2e%2e/a.mp4", "lobby/\uff0e\uff0e/victim.mp4",
               "lobby/\x1b[31mred.mp4", "lobby/\udcff\udcfe.mp4"],
}  # fmt: skip


def plant(store: BlobStore, name: str, data: bytes) -> None:
    """A blob whose name our adapters refuse to write."""
    if isinstance(store, MemoryBlobStore):
        store.write("elsewhere", data)
        store.blobs[name] = store.blobs.pop("elsewhere")
    elif isinstance(store, FolderBlobStore):
        path = store.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    else:
        assert isinstance(store, AzureBlobStore)
        with addressed(store._container, name) as (client, path_hook):
            client.upload_blob(data, overwrite=True, raw_request_hook=path_hook)


@pytest.fixture
def planted(world: World) -> list[str]:
    """An input container with a good upload, a victim, and all the others."""
    store = world.containers.input
    store.write(VICTIM, b"precious")
    store.write("lobby/good.mp4", b"good")
    for name in PLANTED[world.kind]:
        plant(store, name, b"evil")
    return PLANTED[world.kind]


def test_they_are_listed_and_refused_and_their_scene_goes_on(world: World, planted: list[str]) -> None:
    uploads = sort_uploads(world.containers.input.list(), 1)
    assert {item.name for item in uploads.refused} == set(planted)
    assert {scene: [blob.name for blob in blobs] for scene, blobs in uploads.scenes.items()} == {
        "lobby": ["lobby/good.mp4"],
        "victim": [VICTIM],
    }


def test_the_command_shows_each_on_one_line(world: World, planted: list[str]) -> None:
    lines = [item.line() for item in state_refused.refused_uploads(world.containers, 1)]
    assert len(lines) == len(planted) == len(set(lines))
    assert all(line.isprintable() and len(line.splitlines()) == 1 for line in lines)


def test_without_apply_nothing_is_removed(world: World, planted: list[str]) -> None:
    before = list(world.containers.input.list())
    for name in planted:
        assert state_refused.remove(world.containers, 1, state_refused.shown(name), apply=False).blob.name == name
    assert list(world.containers.input.list()) == before


def test_the_command_removes_exactly_the_named_one(world: World, planted: list[str]) -> None:
    """One after the other; the victim that a careless client would hit keeps its bytes and its version."""
    store = world.containers.input
    victim = store.head(VICTIM)
    left = set(planted)
    for name in planted:
        state_refused.remove(world.containers, 1, state_refused.shown(name), apply=True)
        left.remove(name)
        assert {blob.name for blob in store.list()} == left | {VICTIM, "lobby/good.mp4"}
    assert store.head(VICTIM) == victim
    assert store.read(VICTIM)[0] == b"precious"


@pytest.mark.parametrize("text", ["victim/precious.mp4", "lobby/good.mp4", "nothing", "", "*", "lobby/"])
def test_the_command_removes_no_other_upload(world: World, planted: list[str], text: str) -> None:
    before = list(world.containers.input.list())
    with pytest.raises(InputError, match="0 refused uploads"):
        state_refused.remove(world.containers, 1, text, apply=True)
    assert list(world.containers.input.list()) == before


def test_a_newer_upload_of_the_name_is_spared(world: World, planted: list[str]) -> None:
    store, name = world.containers.input, planted[0]
    old = next(blob.etag for blob in store.list() if blob.name == name)
    plant(store, name, b"newer")
    with pytest.raises(Conflict):
        store.delete_refused(name, if_match=old)
    new = next(blob for blob in store.list() if blob.name == name)
    assert new.size_bytes == 5


def test_only_refused_names_are_removed_that_way(world: World, planted: list[str]) -> None:
    store = world.containers.input
    etag = store.head(VICTIM).etag
    with pytest.raises(ValueError, match="no refused name"):
        store.delete_refused(VICTIM, if_match=etag)
    for name in ("b/../victim/precious.mp4", "../input/victim/precious.mp4", "./victim/precious.mp4"):
        with contextlib.suppress(NotFound, Conflict):
            store.delete_refused(name, if_match=etag)
        assert store.head(VICTIM).etag == etag


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("a/../b.mp4", "a/%2E%2E/b.mp4"), ("./a", "%2E/a"), ("...", "..."), ("a%2e/b", "a%252e/b"), ("a b", "a%20b"),
        ("a\\b", "a%5Cb"), ("a\nb", "a%0Ab"), ("\u00e9?#", "%C3%A9%3F%23"), ("a//b/", "a//b/"),
    ],
)  # fmt: skip
def test_an_encoded_path_means_one_name(name: str, path: str) -> None:
    assert encoded(name) == path


def test_names_are_shown_so_that_they_can_be_told_apart(tmp_path: Path) -> None:
    names = ["a\nb", "a\\nb", "a\\\\nb", "a\u202eb", "a\\u202eb", "é"]
    assert len({state_refused.shown(name) for name in names}) == len(names)
    assert all(state_refused.shown(name).isprintable() for name in names)


@pytest.mark.azurite
def test_an_operator_finds_and_removes_one_from_a_terminal(storage: StorageSettings, containers: Containers) -> None:
    """`status` shows it, `refused` names it, without --apply nothing happens, with it exactly that one is gone."""
    containers.input.write(VICTIM, b"precious")
    plant(containers.input, "a/../victim/precious.mp4", b"evil")
    plant(containers.input, "lobby/line\nbreak.mp4", b"evil")

    def command(*arguments: str) -> str:
        env = {"PATH": os.environ["PATH"], "AZURE_STORAGE_CONNECTION_STRING": storage.connection_string}
        env |= {"AZURE_BLOB_CONTAINER_INPUT": storage.input, "AZURE_BLOB_CONTAINER_OUTPUT": storage.output}
        env |= {"AZURE_BLOB_CONTAINER_ERROR": storage.error, "AZURE_BLOB_CONTAINER_STATE": storage.state}
        done = subprocess.run(
            [sys.executable, "-m", "scenejobs", *arguments],
            env=env, cwd=ROOT, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    both = {
        "refused: a/../victim/precious.mp4 (4 bytes): the name holds a dot segment",
        "refused: lobby/line\\nbreak.mp4 (4 bytes): the name holds a control character",
    }
    assert both <= set(command("status").splitlines())
    assert set(command("refused").splitlines()) == both
    assert command("refused", "--remove", "a/../victim/precious.mp4").startswith("would be removed: a/../victim")
    assert set(command("refused").splitlines()) == both
    assert command("refused", "--remove", "a/../victim/precious.mp4", "--apply").startswith("removed: a/../victim")
    command("refused", "--remove", "lobby/line\\nbreak.mp4", "--apply")
    assert command("refused") == ""
    assert containers.input.read(VICTIM)[0] == b"precious"
