"""Growing scenes: what the simulation found. Files that a scene does not consist of, and that come up again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from runner.job.request import Job
from runner.job.supervise import Supervision
from scenejobs.adapters.memory.blobs import _Blob
from scenejobs.errors import InputError, ResourceError
from tests.growth import GrowingScene
from tests.runner_world import echo_job


@pytest.fixture
def scene(tmp_path: Path) -> GrowingScene:
    """A finished scene of one clip."""
    scene = GrowingScene(tmp_path)
    scene.upload("lobby/a.mp4", b"first")
    scene.settle()
    return scene


def refuses_c(job: Job, supervision: Supervision) -> dict[str, Any]:
    if any(clip.name == "c.mp4" for clip in job.clips):
        raise InputError("c.mp4 is no video", files=("c.mp4",), stage="frame_extraction")
    return echo_job(job, supervision)


def no_disk(job: Job, supervision: Supervision) -> dict[str, Any]:
    raise ResourceError("no space left", stage="training")


def reappear(scene: GrowingScene, name: str, data: bytes, etag: str) -> None:
    store = scene.cloud.stores["input"]
    store.blobs[name] = _Blob(data, etag, store.now(), {})


def test_a_file_that_is_refused_later_than_it_was_archived_does_not_fail_every_further_generation(
    scene: GrowingScene,
) -> None:
    """The first generation with it failed for another reason; the next one reads it in `error` and refuses it."""
    scene.upload("lobby/c.mp4", b"not a video")
    for _ in range(4):
        scene.settle(no_disk)
    scene.upload("lobby/d.mp4", b"good")
    scene.settle(refuses_c)
    assert scene.published() == ["a.mp4"]
    scene.upload("lobby/e.mp4", b"good as well")
    scene.settle(refuses_c)
    assert scene.published() == ["a.mp4", "d.mp4", "e.mp4"]
    assert scene.violations() == []


def test_it_reappears_in_vain_in_a_scene_without_a_file_too(tmp_path: Path) -> None:
    scene = GrowingScene(tmp_path)
    etag = scene.upload("lobby/c.mp4", b"not a video")
    scene.settle(refuses_c)
    reappear(scene, "lobby/c.mp4", b"not a video", etag)
    scene.upload("lobby/d.mp4", b"good")
    scene.settle(refuses_c)
    assert scene.used == [["c.mp4"], ["d.mp4"]]
    assert scene.published() == ["d.mp4"]
    assert scene.violations() == []


@pytest.mark.parametrize(
    ("name", "data", "beside"),
    [
        ("c.mp4", b"not a video", ""),  # refused by name
        ("again.mp4", b"first", ""),  # put away without a run
        ("again.mp4", b"first", "d.mp4"),  # taken by a run, which used another file of the same bytes
    ],
)
def test_a_version_that_the_scene_does_not_consist_of_reappears_in_vain(
    scene: GrowingScene, name: str, data: bytes, beside: str
) -> None:
    etag = scene.upload(f"lobby/{name}", data)
    if beside:
        scene.upload(f"lobby/{beside}", b"good")
    scene.settle(refuses_c)
    scene.upload("lobby/e.mp4", b"taken by a run that fails: from now on the same bytes would run")
    for _ in range(4):
        scene.settle(no_disk)
    archived = [*scene.cloud.names("processed"), *scene.cloud.names("error")]
    published, runs = scene.published(), len(scene.used)
    reappear(scene, f"lobby/{name}", data, etag)
    scene.sweep_for_an_hour()
    scene.settle(refuses_c)
    assert (scene.published(), len(scene.used), scene.cloud.names("input")) == (published, runs, [])
    assert [*scene.cloud.names("processed"), *scene.cloud.names("error")] == archived
    assert scene.violations() == []
