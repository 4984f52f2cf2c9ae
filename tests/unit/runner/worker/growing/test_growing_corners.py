"""Scenes that grow in ways that somebody found by trying: swapped names, bad retakes, files that vanish."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from runner.job.request import Job
from runner.job.supervise import Supervision
from scenejobs.errors import Code, InputError
from scenejobs.state import redrive, wishes
from scenejobs.state.overview.status import State, scene_status
from tests.growth import GrowingScene
from tests.runner_world import echo_job


@pytest.fixture
def scene(tmp_path: Path) -> GrowingScene:
    """A finished scene of three clips."""
    scene = GrowingScene(tmp_path)
    for number in (1, 2, 3):
        scene.upload(f"lobby/v{number}.mp4", b"clip %d" % number)
    scene.settle()
    assert scene.published() == ["v1.mp4", "v2.mp4", "v3.mp4"]
    return scene


def used(scene: GrowingScene) -> dict[str, bytes]:
    """The bytes of each file that the scene consists of."""
    return {
        member.name: scene.cloud.stores[kind].read(name)[0]
        for member in scene.cloud.record("lobby").contents or ()
        for kind, _, name in [member.place.partition("/")]
    }


def without(name: str) -> Any:
    def job(job: Job, supervision: Supervision) -> dict[str, Any]:
        return {**echo_job(job, supervision), "clips_shown": [clip.name for clip in job.clips if clip.name != name]}

    return job


def test_names_that_are_shifted_by_one_lose_no_file(scene: GrowingScene) -> None:
    """A new first clip, and the old ones under the next names: no copy is no news while its twin is replaced."""
    for name, data in (("v1", b"new"), ("v2", b"clip 1"), ("v3", b"clip 2"), ("v4", b"clip 3")):
        scene.upload(f"lobby/{name}.mp4", data)
    scene.settle()
    assert scene.published() == ["v1.mp4", "v2.mp4", "v3.mp4", "v4.mp4"]
    assert used(scene) == {
        "lobby/v1.mp4": b"new", "lobby/v2.mp4": b"clip 1", "lobby/v3.mp4": b"clip 2", "lobby/v4.mp4": b"clip 3",
    }  # fmt: skip
    assert scene.violations() == []


def test_swapped_names_are_a_change(scene: GrowingScene) -> None:
    scene.upload("lobby/v1.mp4", b"clip 2")
    scene.upload("lobby/v2.mp4", b"clip 1")
    scene.settle()
    assert (used(scene)["lobby/v1.mp4"], used(scene)["lobby/v2.mp4"]) == (b"clip 2", b"clip 1")
    assert scene.violations() == []


def test_new_poses_with_the_same_clips_run(scene: GrowingScene) -> None:
    runs = len(scene.used)
    scene.upload("lobby/v1.mp4", b"clip 1")
    scene.upload("lobby/transforms.json", b"{}")
    scene.settle()
    assert len(scene.used) == runs + 1
    assert scene.cloud.names("input") == []
    assert scene.violations() == []


def test_a_file_that_nothing_is_made_of_runs_no_finished_scene(scene: GrowingScene) -> None:
    scene.upload("lobby/.DS_Store", b"junk")
    scene.settle()
    assert (len(scene.used), scene.cloud.names("input")) == (1, [])
    assert "lobby/.DS_Store" in scene.cloud.names("processed")
    scene.cloud.stores["processed"].delete("lobby/.DS_Store")
    scene.upload("lobby/late.mp4", b"late")
    scene.settle()
    assert scene.published() == ["late.mp4", "v1.mp4", "v2.mp4", "v3.mp4"]


def test_a_file_whose_download_was_damaged_runs_when_it_comes_whole(scene: GrowingScene) -> None:
    """Its MD5 was a promise that nobody has seen kept."""
    scene.upload("lobby/c.mp4", b"damaged")
    whole = scene.cloud.stores["input"]
    whole.blobs["lobby/c.mp4"].content_md5 = "9f9d51bc70ef21ca5c14f307980a29d8"  # of b"correct"
    scene.upload("lobby/d.mp4", b"good")
    scene.settle()
    assert scene.published() == ["d.mp4", "v1.mp4", "v2.mp4", "v3.mp4"]
    scene.upload("lobby/c.mp4", b"correct")
    whole.blobs["lobby/c.mp4"].content_md5 = ""
    scene.settle()
    assert "c.mp4" in scene.published()


def test_one_bad_retake_does_not_fail_the_clips_that_follow(scene: GrowingScene) -> None:
    scene.upload("lobby/v1.mp4", b"of another place")
    scene.settle(without("v1.mp4"))
    assert scene.cloud.json("error", "lobby/error.json")["code"] == Code.CLIPS_LOST
    scene.upload("lobby/v4.mp4", b"good")
    scene.settle()
    assert scene.published() == ["v1.mp4", "v2.mp4", "v3.mp4", "v4.mp4"]
    assert used(scene)["lobby/v1.mp4"] == b"clip 1"
    assert scene.violations() == []


def test_what_was_published_and_is_nowhere_is_not_left_out_in_silence(tmp_path: Path) -> None:
    """A clip is replaced during the run that publishes it, and its replacement is refused."""
    scene = GrowingScene(tmp_path)
    scene.upload("lobby/a.mp4", b"first")
    scene.upload("lobby/c.mp4", b"will be replaced")

    def replacing(job: Job, supervision: Supervision) -> dict[str, Any]:
        if len(scene.used) == 1:
            scene.upload("lobby/c.mp4", b"broken")
        elif any(clip.name == "c.mp4" for clip in job.clips):
            raise InputError("c.mp4 is no video", files=("c.mp4",), stage="frame_extraction")
        return echo_job(job, supervision)

    scene.settle(replacing)
    assert scene.published() == ["a.mp4", "c.mp4"]
    scene.upload("lobby/d.mp4", b"late")
    scene.settle()
    assert scene.published() == ["a.mp4", "c.mp4"]
    status = scene_status(scene.containers, "lobby")
    assert (status.state, "lobby/c.mp4" in status.reason) == (State.FAILED, True)
    scene.upload("lobby/c.mp4", b"whole again")
    scene.settle()
    assert scene.published() == ["a.mp4", "c.mp4", "d.mp4"]


def test_a_gone_file_can_be_uploaded_again(scene: GrowingScene) -> None:
    """As its message says, before any failure: the same bytes are no news only where the archive can be read."""
    scene.cloud.stores["processed"].delete("lobby/v2.mp4")
    with pytest.raises(InputError, match="upload them again"):
        wishes.plan_again(scene.containers, "lobby")
    scene.upload("lobby/v2.mp4", b"clip 2")
    scene.settle()
    scene.upload("lobby/v4.mp4", b"late")
    scene.settle()
    assert scene.published() == ["v1.mp4", "v2.mp4", "v3.mp4", "v4.mp4"]


def test_a_generation_whose_files_are_published_is_not_brought_back(tmp_path: Path) -> None:
    scene = GrowingScene(tmp_path)
    scene.upload("lobby/a.mp4", b"first")

    def failing(job: Job, supervision: Supervision) -> dict[str, Any]:
        raise InputError("nothing overlaps", code=Code.NO_OVERLAP, stage="colmap_reconstruction")

    scene.settle(failing)
    scene.upload("lobby/b.mp4", b"second")
    scene.settle()
    assert scene.published() == ["a.mp4", "b.mp4"]
    with pytest.raises(InputError, match="part of its published result"):
        redrive.plan(scene.containers, "lobby", generation=1)


def test_the_last_clip_cannot_be_taken_out_though_a_note_lies_beside_it(tmp_path: Path) -> None:
    scene = GrowingScene(tmp_path)
    scene.upload("lobby/a.mp4", b"first")
    scene.upload("lobby/notes.txt", b"text")
    scene.settle()
    with pytest.raises(InputError, match="nothing is left"):
        wishes.exclude(scene.containers, scene.queues, "lobby", "a.mp4")


def test_a_wish_whose_message_was_lost_is_found_beside_poses(scene: GrowingScene) -> None:
    scene.upload("lobby/transforms.json", b"{}")
    wishes.again(scene.containers, scene.queues, "lobby")
    for message in list(scene.cloud.queues["debounce"].messages):
        scene.cloud.queues["debounce"].messages.remove(message)
    scene.sweep_for_an_hour()
    assert scene.compute.starts > 1
