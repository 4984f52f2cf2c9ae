"""`scenejobs list` and `status` without a scene show the scenes that the page shows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scenejobs.errors import Failure
from scenejobs.ports import Containers
from scenejobs.state import layout
from scenejobs.state.overview.scenes import known_scenes
from tests.commands import typed
from tests.counting import Counts
from tests.growth import GrowingScene
from tests.web import Web

FAILURE = Failure("validation", "NO_VIDEO", "no video", "upload one")


def listed(containers: Containers, capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    """The state of each scene by its name."""
    capsys.readouterr()
    assert typed(["list", "--json"], containers) == 0
    return {each["scene"]: each["state"] for each in json.loads(capsys.readouterr().out)["scenes"]}


def test_a_scene_that_is_made_again_of_its_archive_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It has no upload, no result and no failure: its record alone tells of it."""
    scene = GrowingScene(tmp_path)
    scene.upload("lobby/a.mp4", b"a")
    scene.settle()
    assert typed(["delete", "lobby", "--yes"], scene.containers) == 0
    assert listed(scene.containers, capsys) == {"lobby": "done"}
    assert typed(["retry", "lobby"], scene.containers) == 0
    assert listed(scene.containers, capsys) == {"lobby": "queued"}
    assert typed(["status"], scene.containers) == 0
    assert capsys.readouterr().out.startswith("lobby: queued, to be made again")


def test_a_scene_of_which_everything_was_deleted_is_shown_no_more(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scene = GrowingScene(tmp_path)
    for name in ("lobby/a.mp4", "roof/a.mp4"):
        scene.upload(name, name.encode())
    scene.settle()
    assert typed(["delete", "lobby", "--all-generations", "--yes"], scene.containers) == 0
    assert listed(scene.containers, capsys) == {"roof": "done"}
    assert typed(["status"], scene.containers) == 0
    assert typed(["status", "lobby"], scene.containers) == 1, "who asks for it is told what became of it"
    assert "everything of it was deleted" in capsys.readouterr().out
    scene.upload("lobby/b.mp4", b"b")
    assert set(listed(scene.containers, capsys)) == {"lobby", "roof"}


def test_the_page_and_the_list_show_the_same_scenes(capsys: pytest.CaptureFixture[str]) -> None:
    web = Web()
    web.finished("lobby")
    web.finished("Große Halle")
    web.failed("cellar", FAILURE)
    web.running("stairs")
    web.containers.input.write("roof/a.mp4", b"video")
    page = {one["scene"]: one["state"] for one in web.document("scenes")["scenes"]}
    assert set(page) == {"lobby", "Große Halle", "cellar", "stairs", "roof"}
    assert listed(web.containers, capsys) == page


def test_a_damaged_record_is_shown_as_long_as_it_tells_its_scene(capsys: pytest.CaptureFixture[str]) -> None:
    web = Web()
    for scene in ("Große Halle", "Kleine Halle"):
        web.finished(scene)
    state = web.containers.state
    body = json.loads(state.read(layout.record_name("Große Halle"))[0])
    state.write(layout.record_name("Große Halle"), json.dumps({**body, "schema_version": 99}).encode())
    state.write(layout.record_name("Kleine Halle"), b"[" * 5000)
    assert listed(web.containers, capsys) == {"Große Halle": "blocked"}


def test_a_thousand_scenes_cost_a_few_listings_and_one_read_each(capsys: pytest.CaptureFixture[str]) -> None:
    web, counts = Web(), Counts()
    for number in range(1000):
        web.finished(f"scene-{number:04d}", ())
    counted = counts.containers(web.containers)
    assert len(known_scenes(counted, 1)) == 1000
    assert counts.total == 2, counts.calls
    for words in (["list"], ["status"]):
        counts.clear()
        assert typed(words, counted) == 0
        assert len(capsys.readouterr().out.splitlines()) == 1000
        reads = counts.calls["state.read"]
        assert reads <= 1000 + 1, counts.calls
        assert counts.total - reads <= 10, counts.calls
