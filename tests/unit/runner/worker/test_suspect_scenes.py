"""Suspect results: published with their doubt, never over one without, and replaced by whatever comes next."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from runner.job.request import Job
from runner.job.supervise import Supervision
from scenejobs.errors import InputError
from scenejobs.state import records, wishes
from scenejobs.state.blobs import OutputFile
from scenejobs.state.overview import tidy
from scenejobs.state.overview.status import State, scene_status
from scenejobs.state.record import Outcome, Phase, Published, SceneRecord
from tests.commands import typed
from tests.doubles.faults import Fault, Killed, Rule
from tests.growth import GrowingScene
from tests.runner_world import echo_job

REASON = "held-out frames are 14.0 dB, 12 dB below training frames"
DOUBT = {"code": "POSES_SUSPECT", "reasons": [f"{REASON}.", "no view explains b.mp4."], "advice": "film again"}


def suspect(job: Job, supervision: Supervision) -> dict[str, Any]:
    return {**echo_job(job, supervision), "suspect": True, "doubt": DOUBT}


def suspect_of_all(job: Job, supervision: Supervision) -> dict[str, Any]:
    return {**suspect(job, supervision), "clips_shown": [clip.name for clip in job.clips]}


def without_a(job: Job, supervision: Supervision) -> dict[str, Any]:
    return {**echo_job(job, supervision), "clips_shown": [clip.name for clip in job.clips if clip.name != "a.mp4"]}


def no_video(job: Job, supervision: Supervision) -> dict[str, Any]:
    raise InputError("c.mp4 is no video", files=("c.mp4",), stage="frame_extraction")


def retry(scene: GrowingScene, *options: str) -> int:
    return typed(["retry", "lobby", *options], scene.containers, scene.queues)


def line(scene: GrowingScene) -> str:
    return scene_status(scene.containers, "lobby").line()


@pytest.fixture
def scene(tmp_path: Path) -> GrowingScene:
    """A finished scene of two clips."""
    return first(tmp_path, echo_job)


@pytest.fixture
def doubtful(tmp_path: Path) -> GrowingScene:
    """The same, suspect."""
    return first(tmp_path, suspect_of_all)


def first(folder: Path, job: Callable[..., Any], **settings: Any) -> GrowingScene:
    scene = GrowingScene(folder, **settings)
    scene.upload("lobby/a.mp4", b"first")
    scene.upload("lobby/b.mp4", b"second clip")
    scene.settle(job)
    assert scene.published() == ["a.mp4", "b.mp4"]
    return scene


# ---- a suspect result that is published -----------------------------------------------------------------------------


def test_a_suspect_result_is_published_its_inputs_are_archived_and_status_says_doubtful(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        scene = first(tmp_path, suspect)
    assert scene.cloud.names("processed") == ["lobby/a.mp4", "lobby/b.mp4"]
    assert (scene.cloud.names("error"), scene.cloud.names("input")) == ([], [])
    status = scene_status(scene.containers, "lobby")
    assert (status.state, status.doubtful) == (State.DONE, True)
    assert status.line().startswith(f"lobby: done, doubtful: {REASON} (and 1 more: see metrics.json)")
    record = scene.cloud.record("lobby")
    assert record.published == Published(1, record.run, suspect=True)
    assert record.ending is not None
    assert record.ending.outcome is Outcome.SUCCEEDED
    assert record.ending.doubt is not None
    assert record.ending.doubt.code == "POSES_SUSPECT"
    assert [entry.__dict__["scene"] for entry in caplog.records if entry.__dict__.get("event") == "scene.suspect"] == [
        "lobby"
    ]
    assert "scene lobby, generation 1: succeeded, suspect" in caplog.messages
    assert REASON in scene.cloud.stores["output"].read(f"lobby/runs/{record.run}/run.log")[0].decode()
    assert scene.violations() == []


def test_a_late_clip_extends_a_suspect_scene_and_a_good_result_takes_its_place(doubtful: GrowingScene) -> None:
    doubtful.upload("lobby/c.mp4", b"late")
    doubtful.settle()
    assert doubtful.used[-1] == ["a.mp4", "b.mp4", "c.mp4"]
    assert doubtful.published() == ["a.mp4", "b.mp4", "c.mp4"]
    record = doubtful.cloud.record("lobby")
    assert record.published == Published(2, record.run)
    assert line(doubtful) == "lobby: done"
    assert doubtful.violations() == []


def test_a_good_result_takes_the_place_of_a_suspect_one_whatever_that_showed(doubtful: GrowingScene) -> None:
    """What only a result in doubt shows is no loss: its cameras may be wrong."""
    doubtful.upload("lobby/c.mp4", b"late")
    doubtful.settle(without_a)
    record = doubtful.cloud.record("lobby")
    assert (record.published, record.shown) == (Published(2, record.run), ("b.mp4", "c.mp4"))
    assert line(doubtful) == "lobby: done"


def test_of_two_suspect_results_the_newer_is_published(doubtful: GrowingScene) -> None:
    doubtful.upload("lobby/c.mp4", b"late")
    doubtful.settle(suspect)
    assert doubtful.published() == ["a.mp4", "b.mp4", "c.mp4"]
    record = doubtful.cloud.record("lobby")
    assert record.published == Published(2, record.run, suspect=True)
    assert line(doubtful).startswith("lobby: done, doubtful: ")
    assert doubtful.violations() == []


def test_a_suspect_scene_can_be_run_again(doubtful: GrowingScene) -> None:
    assert retry(doubtful) == 0
    assert scene_status(doubtful.containers, "lobby").state is State.QUEUED
    doubtful.settle()
    assert (doubtful.used[-1], line(doubtful)) == (["a.mp4", "b.mp4"], "lobby: done")
    assert doubtful.violations() == []


def test_all_suspect_scenes_and_no_others_can_be_run_again(doubtful: GrowingScene) -> None:
    doubtful.upload("attic/a.mp4", b"another place")
    doubtful.settle()
    words = ["retry", "--all", "--code", "POSES_SUSPECT"]
    assert typed(words, doubtful.containers, doubtful.queues) == 0
    doubtful.settle()
    assert doubtful.used[2:] == [["a.mp4", "b.mp4"]]
    assert typed(words, doubtful.containers, doubtful.queues) == 0, "none is left"
    assert (len(doubtful.used), line(doubtful)) == (3, "lobby: done")
    assert typed(["retry", "--all"], doubtful.containers, doubtful.queues) == 0


def test_in_batch_mode_a_suspect_result_is_exit_0(doubtful: GrowingScene) -> None:
    doubtful.cloud.upload("hall/a.mp4", b"a")
    assert doubtful.cloud.worker(suspect, mode="batch", batch_prefix="hall").batch() == 0
    assert scene_status(doubtful.containers, "hall").doubtful


def test_a_clip_can_be_taken_out_of_a_suspect_scene(doubtful: GrowingScene) -> None:
    wishes.exclude(doubtful.containers, doubtful.queues, "lobby", "b.mp4")
    doubtful.settle()
    assert (doubtful.published(), line(doubtful)) == (["a.mp4"], "lobby: done")
    assert doubtful.violations() == []


def test_the_same_bytes_again_start_nothing_beside_a_suspect_result(doubtful: GrowingScene) -> None:
    """They would give the same again; `retry` is there for whoever wants that."""
    doubtful.upload("lobby/a.mp4", b"first")
    doubtful.settle()
    assert (len(doubtful.used), doubtful.cloud.names("input")) == (1, [])
    assert line(doubtful).startswith("lobby: done, doubtful: ")
    assert doubtful.violations() == []


def test_a_failure_after_a_suspect_result_says_that_what_stays_is_doubtful(doubtful: GrowingScene) -> None:
    doubtful.upload("lobby/c.mp4", b"not a video")
    doubtful.settle(no_video)
    assert doubtful.published() == ["a.mp4", "b.mp4"]
    expected = "lobby: failed, the published result of generation 1, which is doubtful, stays: c.mp4 is no video"
    assert line(doubtful) == expected


# ---- never over a result that is not in doubt -----------------------------------------------------------------------


def test_a_suspect_result_does_not_replace_one_that_is_not_in_doubt(scene: GrowingScene) -> None:
    published = {name: scene.cloud.stores["output"].read(name) for name in published_names(scene)}
    scene.upload("lobby/c.mp4", b"late")
    scene.settle(suspect)
    assert {name: scene.cloud.stores["output"].read(name) for name in published_names(scene)} == published
    record = scene.cloud.record("lobby")
    assert record.published is not None
    assert (record.published.generation, record.published.suspect) == (1, False)
    assert record.shown == ("a.mp4", "b.mp4")
    assert scene.cloud.names("processed") == ["lobby/a.mp4", "lobby/b.mp4", "lobby/c.mp4"], "it is a success"
    assert scene.cloud.names("error") == []
    run = record.ending.run if record.ending else ""
    kept = json.loads(scene.cloud.stores["output"].read(f"lobby/runs/{run}/manifest.json")[0])
    assert kept["videos"] == ["a.mp4", "b.mp4", "c.mp4"], "it can be looked at"
    assert line(scene).startswith(
        f"lobby: done, doubtful, the published result of generation 1 stays; the doubtful one lies in "
        f"output/lobby/runs/{run}/: {REASON} (and 1 more: see metrics.json)"
    )
    members = [(member.name, member.published) for member in record.contents or ()]
    assert members == [("lobby/a.mp4", True), ("lobby/b.mp4", True), ("lobby/c.mp4", False)]
    assert scene.violations() == []
    scene.cloud.clock.advance(100 * 86400)
    found = tidy.find(scene.containers, 1, 30.0, 0.0, scene.cloud.clock())
    assert [item.info.name for item in found.all if run in item.info.name] == [], "nor tidied away"


def test_the_next_good_result_takes_the_place_with_everything_that_came_meanwhile(scene: GrowingScene) -> None:
    scene.upload("lobby/c.mp4", b"late")
    scene.settle(suspect)
    scene.upload("lobby/d.mp4", b"the way between")
    scene.settle()
    assert scene.used[-1] == scene.published() == ["a.mp4", "b.mp4", "c.mp4", "d.mp4"]
    assert line(scene) == "lobby: done"
    assert scene.violations() == []


def test_a_clip_that_brought_the_doubt_can_be_taken_out(scene: GrowingScene) -> None:
    scene.upload("lobby/c.mp4", b"late")
    scene.settle(suspect)
    wishes.exclude(scene.containers, scene.queues, "lobby", "c.mp4")
    scene.settle()
    assert (scene.published(), line(scene)) == (["a.mp4", "b.mp4"], "lobby: done")
    assert scene.violations() == []


def test_the_bytes_of_a_clip_that_is_not_published_run_again(scene: GrowingScene) -> None:
    """As after a failure: they are no part of the published result."""
    scene.upload("lobby/c.mp4", b"late")
    scene.settle(suspect)
    scene.upload("lobby/c.mp4", b"late")
    scene.settle()
    assert scene.published() == ["a.mp4", "b.mp4", "c.mp4"]
    assert scene.violations() == []


def test_a_retake_that_makes_the_result_doubtful_leaves_what_is_published(scene: GrowingScene) -> None:
    scene.upload("lobby/a.mp4", b"filmed again, worse")
    scene.settle(suspect)
    manifest = scene.cloud.json("output", "lobby/manifest.json")
    assert manifest["job_id"].startswith("2026"), "of the first run"
    assert scene.cloud.record("lobby").ending is not None
    scene.upload("lobby/a.mp4", b"filmed again, better")
    scene.settle()
    [data] = [scene.cloud.stores["processed"].read(member.place.partition("/")[2])[0]
              for member in scene.cloud.record("lobby").contents or () if member.name == "lobby/a.mp4"]  # fmt: skip
    assert data == b"filmed again, better"
    assert scene.violations() == []


@pytest.mark.parametrize("wish", ["retry", "exclude"])
def test_a_wish_whose_result_is_suspect_leaves_what_is_published(scene: GrowingScene, wish: str) -> None:
    if wish == "retry":
        assert retry(scene) == 0
    else:
        wishes.exclude(scene.containers, scene.queues, "lobby", "b.mp4")
    scene.settle(suspect)
    record = scene.cloud.record("lobby")
    assert (record.generation, record.wish, record.published and record.published.generation) == (3, None, 1)
    assert "the published result of generation 1 stays" in line(scene)
    assert scene.violations() == []


def test_where_late_clips_replace_the_scene_a_suspect_result_replaces_nothing_either(tmp_path: Path) -> None:
    scene = first(tmp_path, echo_job, late_uploads="replace")
    scene.upload("lobby/c.mp4", b"late")
    scene.settle(suspect)
    assert scene.published() == ["a.mp4", "b.mp4"]
    scene.upload("lobby/d.mp4", b"later")
    scene.settle()
    assert scene.published() == ["d.mp4"]
    assert scene.violations() == []


def test_the_audit_sees_a_withheld_result_that_is_published_or_lost(scene: GrowingScene) -> None:
    scene.upload("lobby/c.mp4", b"late")
    scene.settle(suspect)
    output, run = scene.cloud.stores["output"], scene.cloud.record("lobby").run
    output.copy_from(output, f"lobby/runs/{run}/lobby.ply", "lobby/lobby.ply", source_etag=None, if_absent=False)
    output.delete(f"lobby/runs/{run}/lobby.splat")
    missing, mixed = scene.violations()
    assert f"I3 output/lobby/runs/{run}/lobby.splat: it is missing" in missing
    assert "I6 output/lobby/lobby.ply: it is not of generation 1" in mixed


@pytest.mark.parametrize("fault", [Fault.KILLED_BEFORE, Fault.KILLED_AFTER])
@pytest.mark.parametrize("step", [("write", "scenes/"), ("copy", "lobby/c.mp4"), ("write", "generations/")])
def test_whoever_goes_on_after_a_kill_withholds_the_suspect_result_too(
    scene: GrowingScene, step: tuple[str, str], fault: Fault
) -> None:
    verb, name = step
    cloud = scene.cloud
    published = cloud.json("output", "lobby/manifest.json")
    cloud.upload("lobby/c.mp4", b"late")
    cloud.queue("lobby")
    rule = Rule(fault, verb, name, skip=1 if name == "scenes/" else 0)  # the second write is the commit
    with pytest.raises(Killed):
        cloud.worker(suspect, cloud.plan(rule)).drain()
    cloud.settle(suspect)
    assert cloud.json("output", "lobby/manifest.json") == published
    assert cloud.names("processed") == ["lobby/a.mp4", "lobby/b.mp4", "lobby/c.mp4"]
    assert line(scene).startswith("lobby: done, doubtful, the published result of generation 1 stays")
    assert scene.violations() == []


# ---- the record -----------------------------------------------------------------------------------------------------


def test_the_record_of_a_scene_without_doubt_is_what_it_was_and_that_of_an_earlier_program_is_read(
    scene: GrowingScene,
) -> None:
    text = scene.cloud.stores["state"].read("scenes/lobby.json")[0].decode()
    note = scene.cloud.stores["state"].read("generations/lobby/1.json")[0].decode()
    assert not [word for word in ("doubt", "suspect", "withheld") if word in text + note]
    body = json.loads(text)
    assert SceneRecord.from_json(body).published == Published(1, body["run"])


def test_only_a_committed_result_that_is_withheld_is_kept_from_earlier_programs() -> None:
    """They would publish it. For the moment of its commit they refuse the record; before and after they read it."""
    good = replace(SceneRecord("lobby", Phase.RUNNING, 2, run="2"), published=Published(1, "1"))
    outputs = (OutputFile("manifest.json", 1, "0" * 64),)
    doubt = InputError("wrong", code=None).failure()
    withheld = good.committed(outputs, doubt=doubt)
    assert withheld.withheld
    assert version(withheld) == 3
    again = replace(good, published=Published(1, "1", suspect=True)).committed(outputs, doubt=doubt)
    assert (again.withheld, version(again), version(good.committed(outputs))) == (False, 1, 1)
    closed = withheld.closed({}, datetime(2026, 11, 28, tzinfo=UTC), ())
    assert (version(closed), closed.published, closed.doubt) == (1, Published(1, "1"), None)
    assert SceneRecord.from_json(json.loads(json.dumps(closed.to_json()))) == closed


def version(record: SceneRecord) -> int:
    found: int = records._split(record)[0]["schema_version"]
    return found


def published_names(scene: GrowingScene) -> list[str]:
    return [name for name in scene.cloud.names("output") if "/runs/" not in name]
