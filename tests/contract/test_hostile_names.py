"""Every name of the hostile list, given to every call of every store: refused, or its own blob and nobody else's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from scenejobs.errors import StorageError
from scenejobs.names import refusal
from scenejobs.ports import BlobStore, Containers
from tests.contract.conftest import World
from tests.hostile_names import NAMES, VICTIM

REFUSED = [name for name in NAMES if refusal(name)]
TAKEN = [name for name in NAMES if not refusal(name)]


def test_the_list_is_long_enough() -> None:
    assert len(NAMES) >= 500
    assert len(REFUSED) >= 300
    assert len(TAKEN) >= 300


CALLS: dict[str, Callable[[Containers, str, Path], object]] = {
    "head": lambda c, name, _: c.input.head(name),
    "read": lambda c, name, _: c.input.read(name),
    "write": lambda c, name, _: c.input.write(name, b"evil"),
    "create": lambda c, name, _: c.input.write(name, b"evil", if_absent=True),
    "download": lambda c, name, path: c.input.download(name, path / "new"),
    "upload": lambda c, name, path: c.input.upload(path / "evil", name),
    "delete": lambda c, name, _: c.input.delete(name),
    "lease": lambda c, name, _: c.input.lease(name, 15),
    "copy from": lambda c, name, _: c.output.copy_from(c.input, name, "x", source_etag=None, if_absent=False),
    "copy to": lambda c, name, _: c.output.copy_from(c.input, "evil", name, source_etag=None, if_absent=False),
}


@pytest.mark.parametrize("call", CALLS)
def test_what_is_refused_reaches_nothing(world: World, tmp_path: Path, call: str) -> None:
    """Before anything is sent or opened: the victim keeps its version, no blob and no file appears."""
    store = world.containers.input
    store.write("evil", b"evil")
    victim = store.write(VICTIM, b"precious")
    (tmp_path / "evil").write_bytes(b"evil")
    for name in REFUSED:
        with pytest.raises(ValueError, match="must not be used"):
            CALLS[call](world.containers, name, tmp_path)
    assert store.read(VICTIM) == (b"precious", victim)
    assert [blob.name for blob in store.list()] == ["evil", VICTIM]
    assert list(world.containers.output.list()) == []
    assert [path.name for path in tmp_path.iterdir()] == ["evil"]


def test_what_is_refused_is_found_by_no_listing(world: World) -> None:
    """As a prefix it is text that no blob begins with."""
    store = world.containers.input
    store.write(VICTIM, b"precious")
    names = REFUSED if world.kind != "azurite" else [name for name in REFUSED[::12] if name.isprintable()]
    for name in names:
        if name and not VICTIM.startswith(name):
            found = _listed(store, name)
            assert found == [], name


def _listed(store: BlobStore, prefix: str) -> list[str]:
    try:
        return [blob.name for blob in store.list(prefix)]
    except (StorageError, UnicodeEncodeError):  # a prefix that cannot even be sent finds nothing either
        return []


def test_what_is_taken_is_a_blob_of_its_own(world: World, tmp_path: Path) -> None:
    """It comes back under exactly its name, and nothing else is touched by writing, reading or deleting it."""
    store = world.containers.input
    victim = store.write(VICTIM, b"precious")
    names = TAKEN[::6] if world.kind == "azurite" else TAKEN
    tried = 0
    for name in names:
        if name == "victim" or (world.kind == "folder" and any(len(part.encode()) > 255 for part in name.split("/"))):
            continue
        etag = store.write(name, b"content", if_absent=True)
        assert sorted(blob.name for blob in store.list()) == sorted([name, VICTIM])
        assert [blob.name for blob in store.list(name)] == [name]
        assert store.read(name) == (b"content", etag)
        store.delete(name, if_match=etag)
        tried += 1
    assert tried > len(names) * 0.9
    assert [(blob.name, blob.etag) for blob in store.list()] == [(VICTIM, victim)]
