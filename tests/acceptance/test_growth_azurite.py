"""Scenes that grow, on the storage emulator: runners and operators' commands as processes of their own."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from typing import Any

import pytest

from function_app.wiring import assemble
from scenejobs.adapters.memory import MemoryCompute
from scenejobs.ports import Containers, Queues
from scenejobs.settings.groups import DispatchSettings
from scenejobs.settings.storage import StorageSettings
from tests.azurite_scene import ROOT, Scene, names

pytestmark = [pytest.mark.azurite, pytest.mark.slow]


@pytest.fixture
def desk(storage: StorageSettings, containers: Containers, queues: Queues, tmp_path: Any) -> Scene:
    return Scene(storage, containers, queues, tmp_path)


def command(desk: Scene, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "scenejobs", *arguments], cwd=ROOT, env=desk.env, capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def files(desk: Scene) -> list[tuple[str, int]]:
    """Of the published result, each with the generation that brought it."""
    manifest = json.loads(desk.containers.output.read("lobby/manifest.json")[0])
    return [(file["filename"], file["generation"]) for file in manifest["files"]]


def test_a_scene_grows_over_a_late_clip_a_repeated_one_a_wish_and_an_excluded_one(desk: Scene) -> None:
    desk.upload("lobby/view1.mp4", b"first")
    desk.upload("lobby/view2.mp4", b"second")
    desk.queue()
    assert desk.run().returncode == 0
    desk.upload("lobby/view3.mp4", b"late")  # the old program published this clip alone
    desk.queue()
    assert desk.run().returncode == 0
    assert files(desk) == [("view1.mp4", 1), ("view2.mp4", 1), ("view3.mp4", 2)]
    assert names(desk.containers.processed) == ["lobby/view1.mp4", "lobby/view2.mp4", "lobby/view3.mp4"]

    desk.upload("lobby/view1 (1).mp4", b"first")
    blobs = tuple(desk.containers.input.list())
    assert blobs[0].content_md5, "the emulator keeps the MD5 of an upload in one request, as the service does"
    compute = MemoryCompute()
    app = assemble(desk.containers, desk.queues, compute, DispatchSettings(quiet_s=0))
    app.sweeper.sweep()
    assert (compute.starts, desk.queues.jobs.total(), names(desk.containers.input)) == (0, 0, [])
    assert desk.record().generation == 3

    command(desk, "exclude", "lobby", "view2.mp4")
    check = desk.queues.debounce.receive(60)
    assert check is not None
    app.on_quiet(check.text.encode())
    assert (compute.starts, desk.queues.jobs.total()) == (1, 1)
    assert desk.run().returncode == 0
    assert files(desk) == [("view1.mp4", 1), ("view3.mp4", 2)]
    desk.queues.debounce.complete(check)

    command(desk, "retry", "lobby")
    check = desk.queues.debounce.receive(60)
    assert check is not None
    app.on_quiet(check.text.encode())
    assert desk.run().returncode == 0
    assert (files(desk), desk.record().generation) == ([("view1.mp4", 1), ("view3.mp4", 2)], 5)
    desk.queues.debounce.complete(check)
    command(desk, "audit", "--deep")


def test_a_late_clip_that_is_none_leaves_the_published_result_as_it_is(desk: Scene) -> None:
    desk.upload("lobby/view1.mp4", b"first")
    desk.queue()
    assert desk.run().returncode == 0
    published = desk.containers.output.read("lobby/manifest.json")
    desk.upload("lobby/view2.mp4", gzip.compress(b"a video"))
    desk.queue()
    assert desk.run().returncode == 0
    assert desk.containers.output.read("lobby/manifest.json") == published
    assert [name for name in names(desk.containers.error) if name.endswith(".mp4")] == ["lobby/view2.mp4"]
    assert names(desk.containers.processed) == ["lobby/view1.mp4"]
    desk.upload("lobby/view3.mp4", b"third")
    desk.queue()
    assert desk.run().returncode == 0
    assert files(desk) == [("view1.mp4", 1), ("view3.mp4", 3)], "what was refused by name is not carried on"
    command(desk, "audit", "--deep")


def test_a_suspect_result_is_a_success_that_does_not_take_the_place_of_a_good_one(desk: Scene) -> None:
    desk.upload("lobby/view1.mp4", b"first")
    desk.queue()
    assert desk.run().returncode == 0
    published = desk.containers.output.read("lobby/manifest.json")
    desk.upload("lobby/view2.mp4", b"late")
    desk.queue()
    done = desk.run(MOCK_DOUBT="held-out frames are 14 dB")
    assert done.returncode == 0
    assert "scene lobby: the result may be wrong (POSES_SUSPECT): held-out frames are 14 dB" in done.stderr
    assert desk.containers.output.read("lobby/manifest.json") == published
    assert names(desk.containers.processed) == ["lobby/view1.mp4", "lobby/view2.mp4"]
    assert names(desk.containers.error) == []
    ending = desk.record().ending
    assert ending is not None
    kept = json.loads(desk.containers.output.read(f"lobby/runs/{ending.run}/manifest.json")[0])
    assert (kept["suspect"], kept["doubt"]["reasons"]) == (True, ["held-out frames are 14 dB"])
    assert command(desk, "status", "lobby").startswith(
        "lobby: done, doubtful, the published result of generation 1 stays"
    )

    command(desk, "retry", "lobby")
    desk.queue()
    assert desk.run().returncode == 0
    assert files(desk) == [("view1.mp4", 1), ("view2.mp4", 2)]
    assert command(desk, "status", "lobby") == "lobby: done\n"
    command(desk, "audit", "--deep")
