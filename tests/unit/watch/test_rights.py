"""What keeps a scene waiting before any work: its folder, its name, its size."""

from __future__ import annotations

from pathlib import Path

import pytest

from scenejobs.adapters.folder import Places
from scenejobs.adapters.open import open_folders
from watch.problems import Kind
from watch.rights import Rights
from watch.stable_folder import StableFolder


@pytest.fixture
def places(tmp_path: Path) -> Places:
    found = Places.below(tmp_path)
    open_folders(found)
    return found


def put(places: Places, name: str, size: int) -> None:
    path = places.input / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"x" * size)


def look(places: Places, rights: Rights) -> list[tuple[Kind, str]]:
    rights.begin()
    list(StableFolder(places.input, holds=rights.holds).list())
    return [(each.kind, each.text) for each in rights.problems(())]


def test_a_scene_that_is_too_large_for_the_disk_waits_and_others_do_not(places: Places) -> None:
    """The whole scene counts, whatever size its files have."""
    free = [25]
    rights = Rights(places, 1, needs=lambda needed: "no room" if needed > free[0] else "")
    for name in ("large/a.mp4", "large/b.mp4", "small/a.mp4"):
        put(places, name, 20)
    look(places, rights)  # its size is known afterwards
    assert look(places, rights) == [(Kind.DISK, "scene large waits: no room")]
    free[0] = 100
    assert look(places, rights) == []
