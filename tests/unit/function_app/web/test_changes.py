"""Retry and delete by HTTP do what the commands of that name do."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from runner.job.request import Job
from runner.job.supervise import Supervision
from scenejobs.errors import Code, InputError
from scenejobs.ports import Containers, Queues
from scenejobs.state import layout
from tests.commands import typed
from tests.runner_world import Cloud
from tests.web import Web, answered


def over(cloud: Cloud) -> Web:
    """The API over the stores and queues of a real runner."""
    web = Web()
    web.site = replace(
        web.site,
        containers=Containers(**cloud.stores),
        queues=Queues(cloud.queues["debounce"], cloud.queues["jobs"], cloud.queues["poison"]),
    )
    return web


def failing(job: Job, supervision: Supervision) -> dict[str, Any]:
    raise InputError("the clips show two places", code=Code.NO_OVERLAP, advice="film the way between them")


def test_a_failed_scene_gets_its_uploads_back_and_runs_again(tmp_path: Path) -> None:
    cloud = Cloud(tmp_path)
    cloud.upload("lobby/a.mp4", b"video")
    cloud.queue("lobby")
    cloud.worker(failing).drain()
    web = over(cloud)
    assert web.document("scenes/lobby")["scene"]["failure"]["code"] == "NO_OVERLAP"
    assert answered(web.ask("POST", "scenes/lobby/retry")) == {"scene": "lobby", "files": ["a.mp4"]}
    assert [blob.name for blob in cloud.stores["input"].list()] == ["lobby/a.mp4"]
    assert cloud.queues["debounce"].total() == 1
    cloud.dispatch()
    cloud.worker().drain()
    assert web.document("scenes/lobby")["scene"]["state"] == "done"


def test_a_finished_scene_is_made_again_from_its_archive(tmp_path: Path) -> None:
    cloud = Cloud(tmp_path)
    cloud.upload("lobby/a.mp4", b"video")
    cloud.queue("lobby")
    cloud.worker().drain()
    web = over(cloud)
    assert answered(web.ask("POST", "scenes/lobby/retry")) == {"scene": "lobby", "files": ["a.mp4"]}
    assert web.document("scenes/lobby")["scene"]["state"] == "queued"


def test_what_cannot_run_again_says_why(tmp_path: Path) -> None:
    cloud = Cloud(tmp_path)
    cloud.upload("lobby/a.mp4", b"video")
    cloud.queue("lobby")
    cloud.worker().drain()
    cloud.stores["processed"].delete("lobby/a.mp4")
    web = over(cloud)
    problem = answered(web.ask("POST", "scenes/lobby/retry"), 409)
    assert (problem["code"], "--with-what-is-there" in problem["advice"]) == ("ARCHIVE_GONE", True)
    assert web.ask("POST", "scenes/nowhere/retry").status == 404
    assert web.ask("DELETE", "scenes/nowhere").status == 404


@pytest.mark.parametrize("path", ["scenes/..%2Fstate/retry", "scenes/a%00b/retry", "scenes/%2e%2e"])
def test_no_name_leads_elsewhere(path: str) -> None:
    assert Web().ask("DELETE" if path.endswith("2e") else "POST", path).status == 400


def test_a_scene_that_waits_is_cancelled_and_its_uploads_stay() -> None:
    web = Web()
    web.containers.input.write("lobby/a.mp4", b"video")
    assert answered(web.ask("POST", "scenes/lobby/cancel")) == {"scene": "lobby", "uploads": 1, "stopping": False}
    scene = web.document("scenes/lobby")["scene"]
    assert (scene["state"], scene["uploads"]) == ("cancelled", 1)
    assert [one["state"] for one in web.document("scenes")["scenes"]] == ["cancelled"]
    assert [blob.name for blob in web.containers.input.list()] == ["lobby/a.mp4"]
    assert answered(web.ask("POST", "scenes/lobby/retry")) == {"scene": "lobby", "files": ["a.mp4"]}
    assert web.document("scenes/lobby")["scene"]["state"] != "cancelled"
    web.finished("roof")
    assert web.ask("POST", "scenes/roof/cancel").status == 409


def test_a_result_is_deleted_and_the_record_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    web = Web()
    web.finished("lobby", ["lobby.ply", "viewer.html"])
    assert answered(web.ask("DELETE", "scenes/lobby")) == {"scene": "lobby", "removed": 3}
    assert list(web.containers.output.list()) == []
    scene = web.document("scenes/lobby")["scene"]
    assert (scene["has_result"], scene["poster"]) == (False, "")
    assert "deleted" in scene["note"]
    assert web.ask("GET", "scenes/lobby/files/viewer.html").status == 404
    assert typed(["status", "lobby", "--json"], web.containers) == 0
    assert "deleted" in json.loads(capsys.readouterr().out)["note"]


@pytest.mark.parametrize(("method", "path"), [("POST", "scenes/lobby/retry"), ("DELETE", "scenes/lobby")])
def test_who_acts_as_soon_as_a_scene_is_done_is_not_told_that_it_is_worked_on(
    method: str, path: str, tmp_path: Path
) -> None:
    """Its runner clears away for a moment after the record says so, and holds it meanwhile."""
    cloud = Cloud(tmp_path)
    cloud.upload("lobby/a.mp4", b"video")
    cloud.queue("lobby")
    cloud.worker().drain()
    web = over(cloud)
    lease = web.site.containers.state.lease(layout.record_name("lobby"), 60)
    assert web.document("scenes/lobby")["scene"]["state"] == "done"
    leaving = threading.Timer(0.2, lease.release)
    leaving.start()
    try:
        assert answered(web.ask(method, path))["scene"] == "lobby"
    finally:
        leaving.join()


def test_a_scene_that_somebody_works_on_is_left_alone() -> None:
    web = Web()
    web.finished()
    web.clock.advance(120)  # who ended it has let go of it long ago
    lease = web.containers.state.lease(layout.record_name("lobby"), 60)
    for method, path in (("DELETE", "scenes/lobby"), ("POST", "scenes/lobby/retry")):
        assert answered(web.ask(method, path), 409)["detail"] == "scene lobby is being worked on"
    lease.release()
    assert web.ask("DELETE", "scenes/lobby").status == 200
