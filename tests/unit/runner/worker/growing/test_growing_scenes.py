"""Scenes that grow: clips that come late, come again, are taken out, or reappear. What is published never shrinks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from runner.job.request import Job
from runner.job.supervise import Supervision
from scenejobs.errors import Code, InputError, ResourceError
from scenejobs.state import wishes
from scenejobs.state.overview.status import State, scene_status
from scenejobs.state.record import Outcome
from tests.commands import typed
from tests.growth import GrowingScene
from tests.runner_world import echo_job


@pytest.fixture
def scene(tmp_path: Path) -> GrowingScene:
    """A finished scene of two clips."""
    scene = GrowingScene(tmp_path)
    scene.upload("lobby/a.mp4", b"first")
    scene.upload("lobby/b.mp4", b"second clip")
    scene.settle()
    assert scene.published() == ["a.mp4", "b.mp4"]
    return scene


def no_video(job: Job, supervision: Supervision) -> dict[str, Any]:
    """Refuses c.mp4 by its name."""
    if any(clip.name == "c.mp4" for clip in job.clips):
        raise InputError("c.mp4 is no video", files=("c.mp4",), stage="frame_extraction")
    return echo_job(job, supervision)


def without_a(job: Job, supervision: Supervision) -> dict[str, Any]:
    """A result in which one of the old clips has no frames."""
    return {**echo_job(job, supervision), "clips_shown": [clip.name for clip in job.clips if clip.name != "a.mp4"]}


def test_a_clip_that_comes_late_extends_the_scene(scene: GrowingScene) -> None:
    """The old behaviour replaced the published scene by one made of the late clip alone."""
    scene.upload("lobby/c.mp4", b"late")
    scene.settle()
    assert scene.published() == ["a.mp4", "b.mp4", "c.mp4"]
    assert scene.used == [["a.mp4", "b.mp4"], ["a.mp4", "b.mp4", "c.mp4"]]
    assert scene.cloud.names("processed") == ["lobby/a.mp4", "lobby/b.mp4", "lobby/c.mp4"], "nothing is moved again"
    record = scene.cloud.record("lobby")
    assert [(member.name, member.generation) for member in record.contents or ()] == [
        ("lobby/a.mp4", 1), ("lobby/b.mp4", 1), ("lobby/c.mp4", 2),
    ]  # fmt: skip
    assert scene.violations() == []


def test_the_same_name_again_replaces_that_clip(scene: GrowingScene) -> None:
    scene.upload("lobby/b.mp4", b"filmed again, better")
    scene.settle()
    assert scene.published() == ["a.mp4", "b.mp4"]
    data = [scene.cloud.stores["processed"].read(member.place.partition("/")[2])[0]
            for member in scene.cloud.record("lobby").contents or ()]  # fmt: skip
    assert sorted(data) == [b"filmed again, better", b"first"]
    assert scene.violations() == []


def test_late_clips_replace_the_scene_where_that_is_asked_for(tmp_path: Path) -> None:
    scene = GrowingScene(tmp_path, late_uploads="replace")
    scene.upload("lobby/a.mp4", b"first")
    scene.settle()
    scene.upload("lobby/c.mp4", b"late")
    scene.settle()
    assert scene.published() == ["c.mp4"]
    assert scene.violations() == []


def test_a_failure_keeps_the_published_result_and_only_the_new_files_go_to_error(scene: GrowingScene) -> None:
    scene.upload("lobby/c.mp4", b"not a video")
    scene.settle(no_video)
    assert scene.published() == ["a.mp4", "b.mp4"]
    assert scene.cloud.names("processed") == ["lobby/a.mp4", "lobby/b.mp4"]
    assert [name for name in scene.cloud.names("error") if name.endswith(".mp4")] == ["lobby/c.mp4"]
    assert scene.cloud.json("error", "lobby/error.json")["published_generation"] == 1
    status = scene_status(scene.containers, "lobby")
    assert status.state is State.FAILED
    assert "c.mp4" in status.reason
    assert status.note == "the published result of generation 1 stays"
    assert scene.violations() == []


def test_what_was_refused_by_name_is_not_carried_on_and_the_rest_of_a_failure_is(scene: GrowingScene) -> None:
    scene.upload("lobby/c.mp4", b"not a video")
    scene.upload("lobby/d.mp4", b"good")
    scene.settle(no_video)
    scene.upload("lobby/e.mp4", b"later still")
    scene.settle()
    assert scene.used[-1] == ["a.mp4", "b.mp4", "d.mp4", "e.mp4"], "d.mp4 is read where it lies, in error"
    assert scene.published() == ["a.mp4", "b.mp4", "d.mp4", "e.mp4"]
    assert scene.violations() == []


def test_a_result_that_loses_a_published_clip_does_not_replace_it(scene: GrowingScene) -> None:
    scene.upload("lobby/c.mp4", b"of another place")
    scene.settle(without_a)
    assert scene.published() == ["a.mp4", "b.mp4"]
    assert scene.cloud.json("error", "lobby/error.json")["code"] == Code.CLIPS_LOST
    assert "a.mp4" in scene_status(scene.containers, "lobby").reason
    assert scene.violations() == []


def test_a_clip_that_the_published_result_does_not_show_cannot_be_lost(tmp_path: Path) -> None:
    scene = GrowingScene(tmp_path)
    for name in ("a", "b"):
        scene.upload(f"lobby/{name}.mp4", name.encode())
    scene.settle(without_a)
    scene.upload("lobby/c.mp4", b"late")
    scene.settle(without_a)
    assert scene.published() == ["a.mp4", "b.mp4", "c.mp4"]


def test_archived_files_that_are_gone_keep_a_smaller_scene_from_taking_the_place(scene: GrowingScene) -> None:
    """Retention removed one. A wish runs the scene with what is there."""
    scene.cloud.stores["processed"].delete("lobby/a.mp4")
    scene.upload("lobby/c.mp4", b"late")
    scene.settle()
    assert scene.published() == ["a.mp4", "b.mp4"]
    error = scene.cloud.json("error", "lobby/error.json")
    assert (error["code"], scene.cloud.names("processed")) == (Code.ARCHIVE_GONE, ["lobby/b.mp4"])
    assert "lobby/a.mp4" in error["cause"]
    assert retry(scene, "--with-what-is-there") == 0
    scene.settle()
    assert scene.published() == ["b.mp4", "c.mp4"]


@pytest.mark.parametrize("listed", [True, False], ids=["the listing tells", "only the download tells"])
def test_the_same_bytes_again_start_nothing_and_are_archived_with_a_note(scene: GrowingScene, listed: bool) -> None:
    """With a Content-MD5 the dispatcher archives it. Without, a runner finds out after the download."""
    runs, generation, starts = len(scene.used), scene.cloud.record("lobby").generation, scene.compute.starts
    scene.upload("lobby/copy of a.mp4", b"first")
    if not listed:
        scene.cloud.stores["input"].blobs["lobby/copy of a.mp4"].content_md5 = ""
    scene.settle()
    assert scene.compute.starts == starts + (not listed)
    assert (len(scene.used), scene.cloud.record("lobby").generation) == (runs, generation)
    assert scene.published() == ["a.mp4", "b.mp4"]
    assert scene.cloud.names("input") == []
    assert "lobby/copy of a.mp4" in scene.cloud.names("processed")
    [note] = scene.cloud.names("state", "duplicates/lobby/")
    assert scene.cloud.json("state", note)["same_as"] == "processed/lobby/a.mp4"
    assert scene_status(scene.containers, "lobby").state is State.DONE
    assert scene.violations() == []


def test_the_same_bytes_run_after_a_failure_and_in_another_scene(scene: GrowingScene) -> None:
    scene.upload("attic/a.mp4", b"first")
    scene.settle()
    assert scene.used[-1] == ["a.mp4"]
    scene.upload("lobby/c.mp4", b"not a video")
    scene.settle(no_video)
    scene.upload("lobby/a.mp4", b"first")
    runs = len(scene.used)
    scene.settle()
    assert len(scene.used) == runs + 1
    assert scene.published() == ["a.mp4", "b.mp4"]
    assert scene.violations() == []


def test_the_same_bytes_beside_something_new_are_used_once(scene: GrowingScene) -> None:
    """Where only the download tells that they are the same."""
    scene.upload("lobby/a copy.mp4", b"first")
    scene.cloud.stores["input"].blobs["lobby/a copy.mp4"].content_md5 = ""
    scene.upload("lobby/c.mp4", b"new")
    scene.settle()
    assert scene.used[-1] == ["a.mp4", "b.mp4", "c.mp4"]
    scene.upload("lobby/d.mp4", b"newer")
    scene.settle()
    assert scene.used[-1] == ["a.mp4", "b.mp4", "c.mp4", "d.mp4"], "the one that the scene has had for longest"
    scene.upload("lobby/a.mp4", b"another")
    scene.settle()
    assert scene.used[-1] == ["a copy.mp4", "a.mp4", "b.mp4", "c.mp4", "d.mp4"], "its twin is a file of its own"
    assert scene.violations() == []


def test_an_old_version_that_reappears_changes_nothing(scene: GrowingScene) -> None:
    """Undeleted, or an older state of the account: the version that was archived lies in `input` again."""
    published = scene.cloud.json("output", "lobby/manifest.json")
    old = next(member for member in scene.cloud.record("lobby").contents or () if member.name == "lobby/a.mp4")
    reappear(scene, "lobby/a.mp4", b"first", old.etag)
    starts = scene.compute.starts
    scene.sweep_for_an_hour()
    assert scene.compute.starts == starts
    assert (len(scene.used), scene.cloud.names("input")) == (1, [])
    assert scene.cloud.json("output", "lobby/manifest.json") == published
    assert scene.cloud.names("processed") == ["lobby/a.mp4", "lobby/b.mp4"]
    assert scene.violations() == []


def test_a_version_that_was_replaced_and_reappears_does_not_come_back(scene: GrowingScene) -> None:
    old = next(member for member in scene.cloud.record("lobby").contents or () if member.name == "lobby/a.mp4")
    scene.upload("lobby/a.mp4", b"better")
    scene.settle()
    reappear(scene, "lobby/a.mp4", b"first", old.etag)
    starts = scene.compute.starts
    scene.sweep_for_an_hour()
    assert scene.compute.starts == starts
    assert (len(scene.used), scene.cloud.names("input")) == (2, [])
    assert scene.violations() == []


def test_a_clip_can_be_taken_out(scene: GrowingScene) -> None:
    wishes.exclude(scene.containers, scene.queues, "lobby", "b.mp4")
    scene.settle()
    assert scene.published() == ["a.mp4"]
    assert scene.cloud.names("processed") == ["lobby/a.mp4", "lobby/b.mp4"], "it stays in the archive"
    scene.upload("lobby/c.mp4", b"late")
    scene.settle()
    assert scene.published() == ["a.mp4", "c.mp4"], "and out of the scene"
    assert scene.violations() == []


def test_what_cannot_be_taken_out_is_told(scene: GrowingScene) -> None:
    with pytest.raises(InputError, match=r"it consists of a\.mp4, b\.mp4"):
        wishes.exclude(scene.containers, scene.queues, "lobby", "c.mp4")
    wishes.exclude(scene.containers, scene.queues, "lobby", "b.mp4")
    scene.settle()
    with pytest.raises(InputError, match="nothing is left"):
        wishes.exclude(scene.containers, scene.queues, "lobby", "a.mp4")


def test_a_finished_scene_runs_again_from_its_archive(scene: GrowingScene) -> None:
    before = scene.cloud.record("lobby")
    assert retry(scene) == 0
    assert scene_status(scene.containers, "lobby").state is State.QUEUED
    scene.settle()
    record = scene.cloud.record("lobby")
    assert (record.generation, record.wish) == (before.generation + 1, None)
    assert record.ending is not None
    assert record.ending.outcome is Outcome.SUCCEEDED
    assert scene.used[-1] == ["a.mp4", "b.mp4"]
    assert scene.violations() == []


def test_a_failed_scene_gets_its_files_back_and_keeps_the_others(scene: GrowingScene) -> None:
    def full(job: Job, supervision: Supervision) -> dict[str, Any]:
        raise ResourceError("no space left", advice="a larger disk", stage="training")

    scene.upload("lobby/c.mp4", b"late")
    scene.settle(full)
    assert scene.published() == ["a.mp4", "b.mp4"]
    assert retry(scene) == 0
    scene.settle()
    assert scene.published() == ["a.mp4", "b.mp4", "c.mp4"]
    assert scene.violations() == []


def test_a_scene_of_the_program_before_grows_as_well(scene: GrowingScene) -> None:
    """Its record does not say what it consists of: the notes of its generations do."""
    body = scene.cloud.json("state", "scenes/lobby.json")
    for name in ("contents", "published", "shown", "retired", "carried"):
        body.pop(name, None)
    scene.cloud.stores["state"].write("scenes/lobby.json", json.dumps(body).encode(), metadata={"phase": "idle"})
    scene.upload("lobby/c.mp4", b"late")
    scene.settle()
    assert scene.published() == ["a.mp4", "b.mp4", "c.mp4"]
    assert scene.violations() == []


def retry(scene: GrowingScene, *options: str) -> int:
    return typed(["retry", "lobby", *options], scene.containers, scene.queues)


def reappear(scene: GrowingScene, name: str, data: bytes, etag: str) -> None:
    """A blob with an ETag that it had before."""
    store = scene.cloud.stores["input"]
    store.write(name, data)
    store.blobs[name].etag = etag
