"""What of a scene is downloaded, and what is refused before anything is."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.job.request import Job
from runner.job.supervise import Supervision
from scenejobs.errors import Code, Conflict, InputError
from scenejobs.ports import BlobInfo
from scenejobs.settings.groups import PipelineSettings
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
    assert (cloud.json("error", "lobby/error.json")["code"], cloud.jobs_run) == (Code.TOO_LARGE, 0)
    assert not any(call.startswith("download input/") for call in plan.calls)


def test_more_videos_than_a_scene_may_have_are_refused_before_any_is_downloaded(tmp_path: Path) -> None:
    cloud = Cloud(tmp_path)
    plan = cloud.plan()
    for number in range(3):
        cloud.upload(f"lobby/{number}.mp4", b"x")
    cloud.queue("lobby")
    cloud.worker(plan=plan, pipeline=PipelineSettings(backend="mock", max_clips=2)).drain()
    reason = cloud.json("error", "lobby/error.json")
    assert reason["code"] == Code.TOO_LARGE
    assert "3 videos; 2 are allowed" in reason["cause"]
    assert not any(call.startswith("download input/") for call in plan.calls)


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


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({"max_photos": 2}, "3 photos; 2 are allowed"),
        ({"max_photo_bytes": 10}, "0.jpg has 11 bytes; 10 bytes are allowed"),
    ],
)
def test_photos_have_limits_of_their_own_that_hold_before_any_is_downloaded(
    tmp_path: Path, limits: dict[str, int], words: str
) -> None:
    cloud = Cloud(tmp_path)
    plan = cloud.plan()
    for number in range(3):
        cloud.upload(f"lobby/{number}.jpg", b"x" * 11)
    cloud.upload("lobby/a.mp4", b"x" * 11)
    cloud.queue("lobby")
    cloud.worker(plan=plan, pipeline=PipelineSettings(backend="mock", max_clips=1, **limits)).drain()
    reason = cloud.json("error", "lobby/error.json")
    assert reason["code"] == Code.TOO_LARGE
    assert words in reason["cause"]
    assert not any(call.startswith("download input/") for call in plan.calls)


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
