"""What becomes of each file in the cloud: in `error/`, in the record, and in `status`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from runner.job.request import Job
from runner.job.supervise import Supervision
from runner.job.unused_files import explain
from scenejobs.errors import Code, Failure, InputError, UnusedFile
from scenejobs.ports import Containers
from scenejobs.state.overview.status import scene_status
from scenejobs.state.record import SceneRecord
from tests.growth import GrowingScene
from tests.runner_world import Cloud, echo_job

MTS = "lobby/PRIVATE/AVCHD/00000.BDM"


def containers(cloud: Cloud) -> Containers:
    return Containers(**cloud.stores)  # type: ignore[arg-type]


def refusing_one(job: Job, _: Supervision) -> dict[str, Any]:
    """One of the clips is damaged, and the others are not enough."""
    error = InputError("only 10 different frames in all clips", code=Code.TOO_FEW_FRAMES, advice="film longer")
    error.unused = (UnusedFile("view1.mp4", "view1.mp4 is damaged or cut off"),)
    explain(error, job)
    raise error


def without_one(job: Job, supervision: Supervision) -> dict[str, Any]:
    echo_job(job, supervision)
    unused = [{"name": each.name, "reason": each.reason, "same_as": each.same_as} for each in job.unused]
    return {"unused": [*unused, {"name": "view1.mp4", "reason": "it shows the same as b.mp4", "same_as": "b.mp4"}]}


def test_a_refused_scene_names_in_the_error_folder_what_happened_to_each_file(cloud: Cloud) -> None:
    cloud.upload(MTS, b"index of a card")
    cloud.upload("lobby/copy.mp4", b"the same bytes")
    cloud.upload("lobby/original.mp4", b"the same bytes")
    cloud.settle(refusing_one)
    document = cloud.json("error", "lobby/error.json")
    inputs = {each["name"]: (each["used"], each["reason"]) for each in document["inputs"]}
    assert inputs["lobby/view1.mp4"] == (False, "view1.mp4 is damaged or cut off")
    assert inputs["lobby/cam2/view2.mov"] == (True, "")
    assert inputs["lobby/original.mp4"] == (False, "the same bytes as copy.mp4")
    assert ".bdm files belong to" in inputs[MTS][1]
    assert "3 of 5 files could not be used: " in document["cause"]
    assert "view1.mp4 is damaged" in scene_status(containers(cloud), "lobby").line()


def test_a_result_says_in_its_status_which_files_it_does_without(cloud: Cloud) -> None:
    cloud.upload(MTS, b"index of a card")
    cloud.settle(without_one)
    record = cloud.record("lobby")
    assert [each.name for each in record.unused or ()] == ["PRIVATE/AVCHD/00000.BDM", "view1.mp4"]
    line = scene_status(containers(cloud), "lobby").line()
    assert "done, 2 files not used (" in line
    assert "view1.mp4: it shows the same as b.mp4" in line


def test_a_clip_that_is_replaced_by_the_bytes_of_another_is_not_lost(tmp_path: Path) -> None:
    """The job tells the one that it did not get as shown: it is the same as one that can be seen."""

    def job(job: Job, supervision: Supervision) -> dict[str, Any]:
        shown = {clip.name for clip in job.clips}
        copies = {each.name for each in job.unused if each.same_as in shown}
        return {**echo_job(job, supervision), "clips_shown": sorted(shown | copies)}

    scene = GrowingScene(tmp_path)
    scene.upload("lobby/a.mp4", b"first")
    scene.upload("lobby/b.mp4", b"second clip")
    scene.settle(job)
    scene.upload("lobby/b.mp4", b"first")
    scene.settle(job)
    assert scene.used[-1] == ["a.mp4"]
    record = scene.cloud.record("lobby")
    assert record.published is not None
    assert (record.published.generation, record.shown) == (2, ("a.mp4", "b.mp4"))
    assert scene.violations() == []


def test_records_and_failures_of_an_earlier_program_are_read() -> None:
    body = SceneRecord("lobby").to_json()
    assert "unused" not in body
    assert SceneRecord.from_json(body).unused is None
    old = {"stage": "training", "code": "BUG", "cause": "c", "advice": "a"}
    assert Failure.from_json(old).unused is None
    told = Failure("training", "BUG", "c", "a", unused=(UnusedFile("a.mp4", "because"),))
    assert Failure.from_json(told.to_json()) == told
