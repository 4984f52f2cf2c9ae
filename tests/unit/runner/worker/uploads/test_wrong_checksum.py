"""An upload whose Content-MD5 is false: one download, a clear reason, and the others go on without it."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.context import StageContext
from runner.job.request import Job, decode, encode
from runner.job.supervise import Supervision
from runner.media.extract import extract_frames
from runner.media.settings import FrameSettings
from runner.scene.frames import Clip, RefusedClip
from runner.scene.progress import SILENT
from scenejobs.errors import Code, Failure, InputError
from scenejobs.settings.pipeline import PipelineSettings
from tests.runner_world import Cloud, Upload, echo_job

FALSE_MD5 = "00" * 16


def upload_falsely(cloud: Cloud, name: str, data: bytes) -> None:
    store = cloud.stores["input"]
    cloud.uploads.append(Upload(name, store.put(name, data, content_md5=FALSE_MD5), data))


def downloads(calls: list[str]) -> list[str]:
    return [call for call in calls if call.startswith("download input/")]


def test_alone_it_costs_one_download_and_no_job(tmp_path: Path) -> None:
    cloud = Cloud(tmp_path)
    plan = cloud.plan()
    upload_falsely(cloud, "lobby/a.mp4", b"video")
    cloud.queue("lobby")
    cloud.worker(plan=plan).drain()
    reason = cloud.json("error", "lobby/error.json")
    assert (reason["code"], len(reason["attempts"]), reason["files"]) == (Code.WRONG_CHECKSUM, 1, ["a.mp4"])
    assert "a.mp4" in reason["cause"]
    assert reason["advice"]
    assert (len(downloads(plan.calls)), cloud.jobs_run) == (1, 0)
    assert cloud.names("error") == ["lobby/a.mp4", "lobby/error.json", "lobby/run.log"]
    assert cloud.names("input") == []


def test_the_others_go_on_without_it(tmp_path: Path) -> None:
    cloud, given = Cloud(tmp_path), list[Job]()
    plan = cloud.plan()
    cloud.upload("lobby/a.mp4", b"good")
    upload_falsely(cloud, "lobby/b.mp4", b"false")
    cloud.queue("lobby")

    def job(one: Job, supervision: Supervision) -> dict[str, object]:
        given.append(one)
        return echo_job(one, supervision)

    cloud.worker(job, plan=plan).drain()
    (one,) = given
    assert [clip.name for clip in one.clips] == ["a.mp4"]
    assert [(clip.name, clip.failure.code) for clip in one.refused] == [("b.mp4", Code.WRONG_CHECKSUM)]
    assert decode(encode(one)) == one
    assert len(downloads(plan.calls)) == 2
    assert cloud.names("processed") == ["lobby/a.mp4", "lobby/b.mp4"]
    assert (cloud.names("input"), cloud.queues["jobs"].total()) == ([], 0)


def test_late_and_alone_it_leaves_the_published_scene_as_it_is(tmp_path: Path) -> None:
    """Without it there is nothing new, so nothing is run again."""
    cloud = Cloud(tmp_path)
    cloud.upload("lobby/a.mp4", b"good")
    cloud.queue("lobby")
    cloud.worker().drain()
    published = cloud.json("output", "lobby/manifest.json")
    upload_falsely(cloud, "lobby/b.mp4", b"false")
    cloud.queue("lobby")
    cloud.worker().drain()
    assert cloud.jobs_run == 1
    assert cloud.json("output", "lobby/manifest.json") == published
    assert cloud.json("error", "lobby/error.json")["code"] == Code.WRONG_CHECKSUM
    assert cloud.names("processed") == ["lobby/a.mp4"]


@pytest.mark.parametrize("encoding", ["br", "deflate", "x-nonsense\x1b[31m" * 9])
def test_a_file_of_nothing_known_says_what_its_uploader_called_it(tmp_path: Path, encoding: str) -> None:
    """Brotli leaves no mark in the bytes."""
    (tmp_path / "a.mp4").write_bytes(b"\x8b\x02\x80" + bytes(500))
    with pytest.raises(InputError) as caught:
        extract_frames(
            [Clip("a.mp4", tmp_path / "a.mp4", encoding=encoding)], StageContext(tmp_path, SILENT), FrameSettings()
        )
    assert caught.value.code == Code.NOT_A_VIDEO
    assert "uploaded with the Content-Encoding" in caught.value.cause
    assert caught.value.cause.isprintable()
    assert len(caught.value.cause) < 200
    assert "unpack it" in caught.value.advice


def test_a_job_travels_with_what_was_refused(tmp_path: Path) -> None:
    refused = RefusedClip("b.mp4", Failure("validation", Code.WRONG_CHECKSUM, "b.mp4 is damaged", "upload it again"))
    clip = Clip("a.mp4", tmp_path / "a.mp4", encoding="gzip")
    job = Job((clip,), tmp_path, tmp_path, "lobby", "run", PipelineSettings(), refused=(refused,))
    assert decode(encode(job)) == job
