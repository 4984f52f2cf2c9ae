"""A scene.yaml beside the uploads: it waits for them, changes a scene that is there, and is refused without loss."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from runner.job.request import Job
from runner.job.supervise import Supervision
from runner.pipeline.scene_settings.scene_file import Asked
from scenejobs.state import wishes
from tests.growth import GrowingScene
from tests.runner_world import echo_job

FILE = "lobby/scene.yaml"


class Watched(GrowingScene):
    """Remembers what each run was asked for."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        super().__init__(folder, **settings)
        self.asked: list[Asked | None] = []
        self.told: list[tuple[str, ...]] = []

    def run(self) -> None:
        def job(job: Job, supervision: Supervision) -> Any:
            self.asked.append(job.asked)
            self.told.append(job.warnings)
            return echo_job(job, supervision)

        self.settle(job)


@pytest.fixture
def scene(tmp_path: Path) -> Watched:
    return Watched(tmp_path)


def steps(count: int) -> Asked:
    return Asked({"train_steps": count})


def test_it_comes_with_the_uploads_is_archived_with_them_and_used_again_by_retry(scene: Watched) -> None:
    scene.upload(FILE, b"train_steps: 500")
    scene.upload("lobby/a.mp4", b"a")
    scene.run()
    assert (scene.asked, scene.used) == ([steps(500)], [["a.mp4"]]), "it is no clip"
    assert scene.cloud.names("processed") == ["lobby/a.mp4", FILE]
    wishes.again(scene.containers, scene.queues, "lobby")
    scene.run()
    assert scene.asked == [steps(500)] * 2
    assert scene.violations() == []


def test_alone_it_is_no_scene_and_waits_for_one(scene: Watched) -> None:
    scene.upload(FILE, b"train_steps: 500")
    scene.run()
    scene.sweep_for_an_hour()
    assert (scene.asked, scene.cloud.names("input"), scene.compute.starts) == ([], [FILE], 0)
    scene.upload("lobby/a.mp4", b"a")
    scene.run()
    assert scene.asked == [steps(500)]
    assert scene.violations() == []


@pytest.mark.parametrize("late_uploads", ["extend", "replace"])
def test_one_that_comes_late_makes_a_new_generation_of_all_that_the_scene_has(
    late_uploads: str, tmp_path: Path
) -> None:
    scene = Watched(tmp_path, late_uploads=late_uploads)
    scene.upload("lobby/a.mp4", b"a")
    scene.run()
    scene.upload(FILE, b"train_steps: 500")
    scene.run()
    assert (scene.asked, scene.used) == ([None, steps(500)], [["a.mp4"], ["a.mp4"]])
    assert scene.cloud.record("lobby").generation == 3
    scene.upload(FILE, b"train_steps: 500")
    scene.run()
    assert len(scene.asked) == 2, "the same again is no news"
    scene.upload(FILE, b"train_steps: 600")
    scene.run()
    assert scene.asked[-1] == steps(600)
    assert scene.cloud.names("input") == []
    assert scene.violations() == []


def test_a_late_one_without_its_event_is_found_by_the_sweep(scene: Watched) -> None:
    scene.upload("lobby/a.mp4", b"a")
    scene.run()
    scene.cloud.upload(FILE, b"train_steps: 500")
    scene.sweep_for_an_hour()
    scene.run()
    assert scene.asked == [None, steps(500)]
    assert scene.violations() == []


def test_it_holds_for_clips_that_come_later_and_is_taken_out_by_exclude(scene: Watched) -> None:
    scene.upload(FILE, b"train_steps: 500")
    scene.upload("lobby/a.mp4", b"a")
    scene.run()
    scene.upload("lobby/b.mp4", b"b")
    scene.run()
    wishes.exclude(scene.containers, scene.queues, "lobby", "scene.yaml")
    scene.run()
    assert scene.asked == [steps(500), steps(500), None]
    assert scene.used[-1] == ["a.mp4", "b.mp4"]
    assert scene.violations() == []


def test_a_wrong_one_is_refused_by_line_and_the_mended_one_makes_the_scene(scene: Watched) -> None:
    scene.upload("lobby/a.mp4", b"a")
    scene.upload(FILE, b"train_steps: 500\ntrain_stepps: 1\n")
    scene.run()
    error = scene.cloud.json("error", "lobby/error.json")
    assert (error["code"], len(error["attempts"]), scene.asked) == ("BAD_SETTINGS", 1, [])
    assert "line 2: train_stepps is not known: did you mean train_steps?" in error["cause"]
    assert {"lobby/a.mp4", FILE} <= set(scene.cloud.names("error")), "nothing is lost"
    scene.upload(FILE, b"train_steps: 500")
    scene.run()
    assert (scene.asked, scene.used) == ([steps(500)], [["a.mp4"]])
    assert scene.cloud.names("input") == []
    assert scene.violations() == []


def test_a_late_one_that_is_wrong_leaves_the_published_result(scene: Watched) -> None:
    scene.upload("lobby/a.mp4", b"a")
    scene.run()
    published = scene.cloud.json("output", "lobby/manifest.json")
    scene.upload(FILE, b"nonsense")
    scene.run()
    assert scene.cloud.json("output", "lobby/manifest.json") == published
    assert FILE in scene.cloud.names("error")
    scene.upload("lobby/b.mp4", b"b")
    scene.run()
    assert (scene.asked, scene.used[-1]) == ([None, None], ["a.mp4", "b.mp4"]), "the refused one is no part of it"
    assert scene.violations() == []


def test_targets_are_held_to_those_of_the_operator(tmp_path: Path) -> None:
    scene = Watched(tmp_path, notify_targets="team, ops")
    scene.upload("lobby/a.mp4", b"a")
    scene.upload(FILE, b"notify: [ops, other]")
    scene.run()
    assert scene.asked == [Asked({}, ("ops",))]
    told = "scene.yaml asks to notify other: NOTIFY_TARGETS does not allow it, ask the operator to add it"
    assert told in scene.told[0]


def test_one_in_a_folder_of_the_scene_is_nothing(scene: Watched) -> None:
    scene.upload("lobby/cam1/scene.yaml", b"train_steps: 500")
    scene.upload("lobby/a.mp4", b"a")
    scene.run()
    assert scene.asked == [None]
    assert scene.violations() == []
