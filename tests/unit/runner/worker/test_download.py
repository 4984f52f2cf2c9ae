"""What of a scene is downloaded, and what is refused before anything is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from runner.job.request import Job
from runner.job.supervise import Supervision
from runner.job.unused_files import explain
from runner.pipeline import settings as pipeline_settings
from runner.pipeline.mock import reconstruct_mock
from runner.scene.progress import SILENT
from scenejobs.errors import Code, Conflict, InputError, UnusedFile
from scenejobs.ports import BlobInfo, Containers
from scenejobs.settings.pipeline import PipelineSettings
from scenejobs.state.overview.status import scene_status
from tests.doubles.faults import FaultyBlobStore
from tests.invariants import assert_at_rest
from tests.runner_world import Cloud, bad_video, echo_job


@pytest.mark.parametrize(("job", "end"), [(echo_job, "processed"), (bad_video, "error")])
def test_poses_are_given_to_the_job_and_archived_with_their_batch(cloud: Cloud, job, end: str) -> None:
    """Those in a place where they are read reach the job, of the others it is told; all end where the videos end."""
    poses = ["lobby/notes/transforms.json", "lobby/sparse/0/cameras.bin", "lobby/sparse/0/images.bin"]
    for name in poses:
        cloud.upload(name, b"poses")
    given: list[str] = []
    told: list[str] = []

    def look(one: Job, supervision: Supervision) -> dict[str, object]:
        given.extend(clip.name for clip in one.clips)
        told.extend(one.warnings)
        return job(one, supervision)

    cloud.worker(look).drain()
    (warning,) = told
    assert warning.startswith("no camera poses are read from notes/transforms.json: ")
    assert given == ["cam2/view2.mov", "view1.mp4", "sparse/0/cameras.bin", "sparse/0/images.bin"]
    archived = [name for name in cloud.names(end) if name not in ("lobby/error.json", "lobby/run.log")]
    assert archived == sorted(["lobby/cam2/view2.mov", "lobby/view1.mp4", *poses])
    assert cloud.names("input") == []
    assert_at_rest(cloud)


def test_poses_that_come_too_late_wait_in_the_input_whatever_messages_say(cloud: Cloud) -> None:
    cloud.worker().drain()
    cloud.upload("lobby/transforms.json", b"poses")
    cloud.queue("lobby")
    cloud.worker().drain()
    assert cloud.jobs_run == 1
    assert cloud.names("input") == ["lobby/transforms.json"]
    assert cloud.names("error") == []


def test_a_scene_without_a_video_is_a_dead_letter(tmp_path: Path) -> None:
    cloud = Cloud(tmp_path)
    cloud.upload("notes/readme.txt", b"text")
    cloud.queue("notes")
    cloud.worker().drain()
    assert_at_rest(cloud)
    assert cloud.json("error", "notes/error.json")["code"] == Code.NO_VIDEO


def test_a_video_beyond_the_limit_of_bytes_is_refused_before_it_is_downloaded(tmp_path: Path) -> None:
    cloud = Cloud(tmp_path)
    plan = cloud.plan()
    cloud.upload("lobby/a.mp4", b"x" * 101)
    cloud.queue("lobby")
    cloud.worker(plan=plan, pipeline=PipelineSettings(backend="mock", max_file_bytes=100)).drain()
    reason = cloud.json("error", "lobby/error.json")
    assert (reason["code"], cloud.jobs_run) == (Code.TOO_LARGE, 0)
    assert "MAX_VIDEO_BYTES" in reason["cause"]
    assert not any(call.startswith("download input/") for call in plan.calls)


def mock_job(job: Job, supervision: Supervision) -> dict[str, Any]:
    """With the documents of a real job."""
    settings = pipeline_settings.resolve(job.settings, job.job_id, refused=job.refused, unused=job.unused)
    return reconstruct_mock(list(job.clips), job.workspace, job.out, job.name, settings, SILENT)


@pytest.mark.parametrize("large", ["lobby/film.mp4", "lobby/photo.jpg"])
def test_a_file_beyond_the_limit_of_bytes_costs_itself_and_is_named_with_the_setting(
    tmp_path: Path, large: str
) -> None:
    cloud = Cloud(tmp_path)
    plan = cloud.plan()
    cloud.upload(large, b"x" * 101)
    cloud.upload("lobby/small.mp4", b"x" * 99)
    cloud.queue("lobby")
    limits = PipelineSettings(backend="mock", max_file_bytes=100, max_photo_bytes=100)
    cloud.worker(mock_job, plan=plan, pipeline=limits).drain()
    name, setting = large.removeprefix("lobby/"), "MAX_VIDEO_BYTES" if large.endswith("mp4") else "MAX_PHOTO_BYTES"
    (unused,) = cloud.json("output", "lobby/metrics.json")["unused"]
    assert unused["name"] == name
    assert "101 bytes" in unused["reason"]
    assert setting in unused["reason"]
    assert [each["filename"] for each in cloud.json("output", "lobby/manifest.json")["refused_videos"]] == [name]
    line = scene_status(Containers(**cloud.stores), "lobby").line()  # type: ignore[arg-type]
    assert "done, 1 file not used (" in line
    assert f"{name} has 101 bytes; 100 bytes are allowed ({setting})" in line
    assert not any(call == f"download input/{large}" for call in plan.calls)
    assert_at_rest(cloud)


def test_a_scene_that_fails_beside_a_file_that_is_too_large_names_both(tmp_path: Path) -> None:
    cloud = Cloud(tmp_path)
    cloud.upload("lobby/film.mp4", b"x" * 101)
    cloud.upload("lobby/view1.mp4", b"x")
    cloud.queue("lobby")

    def refused(job: Job, _: Supervision) -> dict[str, Any]:
        error = InputError("view1.mp4 has 5 frames", code=Code.TOO_SHORT, advice="film longer", files=("view1.mp4",))
        error.unused = (UnusedFile("view1.mp4", "view1.mp4 has 5 frames"),)
        explain(error, job)
        raise error

    cloud.worker(refused, pipeline=PipelineSettings(backend="mock", max_file_bytes=100)).drain()
    reason = cloud.json("error", "lobby/error.json")
    fates = {each["name"]: each["reason"] for each in reason["inputs"]}
    assert "5 frames" in fates["lobby/view1.mp4"]
    assert "MAX_VIDEO_BYTES" in fates["lobby/film.mp4"]
    assert "MAX_VIDEO_BYTES" in reason["cause"]


@pytest.mark.parametrize(
    ("kind", "setting", "used"),
    [("mp4", "MAX_VIDEOS_PER_SCENE", ["0.mp4", "3.mp4"]), ("jpg", "MAX_PHOTOS_PER_SCENE", ["0.jpg", "3.jpg"])],
)
def test_of_more_files_than_are_used_of_a_scene_some_are_left_out_before_any_is_downloaded(
    tmp_path: Path, kind: str, setting: str, used: list[str]
) -> None:
    cloud = Cloud(tmp_path)
    plan = cloud.plan()
    for number in range(6):
        cloud.upload(f"lobby/{number}.{kind}", b"%d" % number)
    cloud.queue("lobby")
    limits = PipelineSettings(backend="mock", max_clips=2, max_photos=2)
    cloud.worker(mock_job, plan=plan, pipeline=limits).drain()
    unused = {each["name"]: each["reason"] for each in cloud.json("output", "lobby/metrics.json")["unused"]}
    assert {f"{number}.{kind}" for number in range(6)} - set(unused) == set(used)
    assert all("the scene has 6" in reason and setting in reason for reason in unused.values())
    downloads = {call for call in plan.calls if call.startswith("download input/")}
    assert downloads == {f"download input/lobby/{name}" for name in used}
    assert_at_rest(cloud)


def test_photos_are_downloaded_like_videos_and_under_names_of_ours(tmp_path: Path) -> None:
    cloud, seen = Cloud(tmp_path), []
    for name in ("lobby/IMG_1.HEIC", "lobby/a.mp4", "lobby/near/IMG_1.jpg", "lobby/notes.txt"):
        cloud.upload(name, name.encode())
    cloud.queue("lobby")

    def run(job, supervision):  # type: ignore[no-untyped-def]
        seen.extend((clip.name, clip.path.name, clip.path.read_bytes()) for clip in job.clips)
        raise InputError("that is all", stage="frame_extraction")

    cloud.worker(run).drain()
    assert seen == [
        ("IMG_1.HEIC", "0001.heic", b"lobby/IMG_1.HEIC"),
        ("a.mp4", "0002.mp4", b"lobby/a.mp4"),
        ("near/IMG_1.jpg", "0003.jpg", b"lobby/near/IMG_1.jpg"),
    ]


class Locked(FaultyBlobStore):
    """A service that shows an upload and refuses to give it, as one that was encrypted with its uploader's own key."""

    def download(self, name: str, path: Path, *, if_match: str | None = None) -> BlobInfo:
        super().head(name)
        raise Conflict(f"{name} uses a customer specified encryption")


def test_an_upload_that_the_service_does_not_give_ends_with_its_reason(tmp_path: Path) -> None:
    """It was taken for one that had changed: given back for nothing, and tried again for as long as it lay there."""
    cloud = Cloud(tmp_path)
    plan = cloud.plan()
    cloud.upload("lobby/a.mp4", b"video")
    cloud.queue("lobby")
    wrapped = plan.store
    plan.store = lambda store: Locked(store, plan) if store.name == "input" else wrapped(store)  # type: ignore[method-assign]
    for _ in range(6):
        cloud.worker(plan=plan).drain()
        cloud.clock.advance(2000)
        cloud.dispatch()
    reason = cloud.json("error", "lobby/error.json")
    assert (reason["code"], len(reason["attempts"])) == (Code.STORAGE_FAILED, 3)
    assert "lobby/a.mp4 is there, and cannot be read" in reason["cause"]
