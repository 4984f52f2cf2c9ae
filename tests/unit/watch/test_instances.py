"""Several watches: each input folder has a state of its own, and no two make one result."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from scenejobs.adapters.open import open_folders, places
from scenejobs.errors import ConfigurationError
from scenejobs.settings.storage import FolderSettings
from scenejobs.state import records
from watch.instances import CLAIM_S, Instances, settle


def instance(root: Path, folder: str, name: str = "a", **more: str) -> Instances:
    where, me = settle(FolderSettings(data=str(root), input=str(root / folder), **more), name)
    open_folders(where)
    return Instances(where, me)


def test_the_first_input_folder_has_the_usual_state_and_each_other_one_its_own(tmp_path: Path) -> None:
    """The same at each start, and for every program that is given the same folders; moving a folder changes nothing."""
    one, two = (FolderSettings(data=str(tmp_path), input=str(tmp_path / name)) for name in ("one", "two"))
    assert settle(one, "a")[0].state == tmp_path / "state"
    second = settle(two, "b")[0].state
    assert second.parent == tmp_path
    assert second.name.startswith("state-")
    assert [settle(one, "a")[0].state, settle(two, "b")[0].state] == [tmp_path / "state", second]
    assert places(two).state == second
    (tmp_path / "one").rename(tmp_path / "moved")
    assert places(FolderSettings(data=str(tmp_path), input=str(tmp_path / "moved"))).state == tmp_path / "state"


def test_a_state_of_an_earlier_program_stays_with_its_input(tmp_path: Path) -> None:
    old = places(FolderSettings(data=str(tmp_path)))
    records.ensure(open_folders(old).containers.state, "lobby")
    assert settle(FolderSettings(data=str(tmp_path)), "a")[0] == old


def test_a_state_that_was_set_and_is_another_ones_is_refused(tmp_path: Path) -> None:
    instance(tmp_path, "one")
    with pytest.raises(ConfigurationError, match=f"belongs to another input folder, {tmp_path}/one"):
        instance(tmp_path, "two", state=str(tmp_path / "state"))


def test_an_input_folder_that_was_made_again_keeps_its_state(tmp_path: Path) -> None:
    """Unless the watch on the one before is alive: two containers may have one path for two folders."""
    first = instance(tmp_path, "one")
    shutil.rmtree(tmp_path / "one")
    beside = settle(FolderSettings(data=str(tmp_path), input=str(tmp_path / "one")), "b")[0].state
    assert beside != tmp_path / "state"
    shutil.rmtree(tmp_path / "one")
    first.end()
    for _ in range(2):
        again = settle(FolderSettings(data=str(tmp_path), input=str(tmp_path / "one")), "b")[0]
        assert again.state == tmp_path / "state"


def test_a_copied_input_folder_is_another_one(tmp_path: Path) -> None:
    instance(tmp_path, "one")
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    assert settle(FolderSettings(data=str(tmp_path), input=str(tmp_path / "two")), "b")[0].state != tmp_path / "state"


def test_of_two_scenes_of_one_name_the_second_waits(tmp_path: Path) -> None:
    """Whether the first has begun or not; a name that nothing was made of is free again after a day."""
    one, two = instance(tmp_path, "one"), instance(tmp_path, "two", "b")
    one.begin()
    two.begin()
    assert one.conflict("lobby") == ""
    assert f"the input folder {tmp_path}/one has a scene of that name" in two.conflict("lobby")
    assert two.conflict("hall") == one.conflict("lobby") == ""
    for claim in (tmp_path).glob("*/.scenejobs/names/*"):
        os.utime(claim, (0, time.time() - CLAIM_S - 1))
    assert two.conflict("lobby") == ""
    state = open_folders(places(FolderSettings(data=str(tmp_path)))).containers.state
    records.ensure(state, "attic")
    assert "rename the folder attic" in two.conflict("attic")


def test_of_two_that_claim_a_name_at_the_same_moment_one_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They share `output`. A claim that was seen before its words were in it counted as nobody's."""
    own = {"processed": str(tmp_path / "own/processed"), "error": str(tmp_path / "own/error")}
    one, two = instance(tmp_path, "one"), instance(tmp_path, "two", "b", **own)
    one.begin()
    two.begin()
    told: list[str] = []
    opened = Path.open

    def meanwhile(path: Path, mode: str = "r", *args: Any, **more: Any) -> Any:
        found = opened(path, mode, *args, **more)
        if mode == "x" and not told:
            told.append("")
            told[0] = two.conflict("lobby")
        return found

    monkeypatch.setattr(Path, "open", meanwhile)
    told.append(one.conflict("lobby"))
    assert len(told) == 2
    assert sorted(map(bool, told)) == [False, True]


def test_a_single_watch_claims_nothing(tmp_path: Path) -> None:
    alone = instance(tmp_path, "one")
    alone.begin()
    assert alone.conflict("lobby") == ""
    assert not list(tmp_path.glob("*/.scenejobs/names/*"))
