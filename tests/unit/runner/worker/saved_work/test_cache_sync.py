"""What stages found travels between the runs of a scene, and is in nobody's way: not of a result, an audit, a stop."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from runner.cache.store import StageCache
from runner.job.request import Job, decode, encode
from runner.job.supervise import Supervision
from scenejobs.audit.report import audit
from scenejobs.audit.snapshot import collect
from scenejobs.errors import Busy, Code, InputError, Interrupted, SceneJobError
from scenejobs.ports import Containers, Queues
from scenejobs.settings.groups import DispatchSettings
from scenejobs.settings.pipeline import PipelineSettings
from scenejobs.state.overview import leftovers
from tests.invariants import assert_at_rest
from tests.runner_world import PAST_EVERYTHING_S, Cloud, echo_job

SURVEY, FEATURES, POSES = (f"{kind}-{'1' * 32}" for kind in ("survey", "features", "poses"))
DAY_S = 86_400.0


@pytest.fixture
def cloud(tmp_path: Path) -> Cloud:
    cloud = Cloud(tmp_path / "work")
    cloud.pipeline = PipelineSettings(backend="cpu")
    return cloud


class Finding:
    """A job that notes which entries it can use, and leaves some. What it does further is for the test to say."""

    def __init__(self, *leaves: str, then: Callable[[Path], None] = lambda folder: None) -> None:
        self.leaves, self.then = leaves, then
        self.found: list[str] = []
        self.saw: list[str] = []  # everything that lay in its folder
        self.error: SceneJobError | None = None

    def __call__(self, job: Job, supervision: Supervision) -> dict[str, Any]:
        assert job.cache is not None
        assert decode(encode(job)) == job
        self.saw = os.listdir(job.cache.folder)
        cache = StageCache(job.cache)
        self.found = [name for name in sorted(cache.names("")) if cache.get(name, ["a"], job.workspace / "x")]
        for name in self.leaves:
            cache.put(name, {"a": name.encode() * 10})
        self.then(job.cache.folder)
        if self.error:
            raise self.error
        return echo_job(job, supervision)


def run(cloud: Cloud, job: Finding, scene: str = "lobby", **settings: Any) -> list[str]:
    """One generation of a scene. Returns the entries that the job could use."""
    cloud.upload(f"{scene}/a.mp4", os.urandom(8))
    cloud.queue(scene)
    cloud.worker(job, **settings).drain()
    cloud.clock.advance(PAST_EVERYTHING_S)
    return job.found


def kept(cloud: Cloud, scene: str = "lobby") -> list[str]:
    return [name.removeprefix(f"cache/{scene}/") for name in cloud.names("state", f"cache/{scene}/")]


def test_the_next_generation_of_the_scene_finds_what_the_one_before_left_and_no_other_scene_does(cloud: Cloud) -> None:
    assert run(cloud, Finding(SURVEY, POSES)) == []
    assert run(cloud, Finding(FEATURES)) == [POSES, SURVEY]
    assert kept(cloud) == [FEATURES, POSES, SURVEY]
    assert run(cloud, Finding(), scene="attic") == []


def test_a_scene_whose_cache_is_full_is_at_rest_and_gives_the_audit_nothing_to_say(cloud: Cloud) -> None:
    run(cloud, Finding(SURVEY, FEATURES, POSES))
    assert_at_rest(cloud)
    settings = DispatchSettings(max_wait_s=1800, requeue_after_s=600, sweep_interval_s=900)
    report = audit(collect(Containers(**cloud.stores), Queues(**cloud.queues), settings, 3, cloud.clock()), None)
    assert report.findings == ()


def test_a_dead_letter_keeps_what_was_found_because_one_more_clip_may_be_what_it_needs(cloud: Cloud) -> None:
    job = Finding(FEATURES)
    job.error = InputError("no overlap", code=Code.NO_OVERLAP)
    run(cloud, job)
    assert run(cloud, Finding()) == [FEATURES]


def test_a_job_that_is_told_to_stop_uploads_nothing(cloud: Cloud) -> None:
    """Its seconds are for the state of the training."""
    job = Finding(FEATURES)
    job.error = Interrupted("told to stop")
    with pytest.raises(Interrupted):
        run(cloud, job)
    assert kept(cloud) == []


@pytest.mark.parametrize("damage", [lambda data: data[:-1], lambda data: data.replace(b"survey", b"surfey")])
def test_an_entry_that_was_changed_in_storage_is_not_used_and_made_anew(cloud: Cloud, damage) -> None:
    run(cloud, Finding(SURVEY, POSES))
    name = f"cache/lobby/{SURVEY}"
    cloud.stores["state"].write(name, damage(cloud.stores["state"].read(name)[0]))
    assert run(cloud, Finding(SURVEY)) == [POSES]
    assert run(cloud, Finding()) == [POSES, SURVEY]


@pytest.mark.parametrize("name", ["evil.py", "poses-x", f"{POSES}.part", f"deep/{POSES}"])
def test_what_is_not_called_like_an_entry_never_reaches_the_job_and_goes(cloud: Cloud, name: str) -> None:
    cloud.stores["state"].write(f"cache/lobby/{name}", b"foreign")
    job = Finding(POSES)
    run(cloud, job)
    assert job.saw == []
    assert kept(cloud) == [POSES]


def test_the_job_cannot_make_the_runner_upload_another_file(cloud: Cloud, tmp_path: Path) -> None:
    """It parses hostile media; a link under the name of an entry, or in the place of the folder, is not followed."""
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / POSES).write_text("secret")

    def link(folder: Path) -> None:
        (folder / POSES).symlink_to(tmp_path / "secrets" / POSES)

    def replace_folder(folder: Path) -> None:
        folder.rename(folder.with_name("old"))
        folder.symlink_to(tmp_path / "secrets")

    for trick in (link, replace_folder):
        run(cloud, Finding(then=trick))
        assert kept(cloud) == []


def test_the_size_of_a_scenes_cache_is_bounded(cloud: Cloud) -> None:
    """By removing what was used longest ago; an entry larger than all of it is not even downloaded."""
    run(cloud, Finding(SURVEY))
    cloud.stores["state"].write(f"cache/lobby/{POSES}", b"x" * 2_000_000)
    job = Finding()
    run(cloud, job, cache_mb=1)
    assert job.saw == [SURVEY]
    assert kept(cloud) == [SURVEY]


def test_what_is_older_than_the_setting_goes_with_the_next_job_of_its_scene_or_with_a_sweep(cloud: Cloud) -> None:
    """Not with a job of another scene: each job would list what all scenes keep."""
    run(cloud, Finding(POSES))
    run(cloud, Finding(POSES), scene="attic")
    cloud.clock.advance(4 * DAY_S)
    run(cloud, Finding(SURVEY), cache_days=3.0)
    assert (kept(cloud), kept(cloud, "attic")) == ([SURVEY], [POSES])
    old = [found.info.name for found in leftovers.old_cache(cloud.stores["state"], 3.0, cloud.clock())]
    assert old == [f"cache/attic/{POSES}"]


@pytest.mark.parametrize("operation", ["list", "download", "upload", "delete"])
def test_a_store_that_fails_costs_the_cache_and_not_the_scene(cloud: Cloud, operation: str) -> None:
    run(cloud, Finding(SURVEY))
    cloud.stores["state"].write("cache/lobby/foreign", b"to be deleted")
    store = _Failing(cloud.stores["state"], operation)
    cloud.stores["state"] = store  # type: ignore[assignment]
    run(cloud, Finding(POSES))
    assert store.failed > 0
    assert cloud.record("lobby").ending.outcome == "succeeded"  # type: ignore[union-attr]


class _Failing:
    """A store whose operation does not work on the cache."""

    def __init__(self, store: Any, operation: str) -> None:
        self._store, self._operation, self.failed = store, operation, 0

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        if name != self._operation:
            return found

        def call(*args: Any, **kwargs: Any) -> Any:
            if any(str(arg).startswith("cache/") for arg in args):
                self.failed += 1
                raise Busy("the service is busy")
            return found(*args, **kwargs)

        return call


def test_without_a_size_and_for_the_mock_there_is_no_cache(cloud: Cloud) -> None:
    seen: list[object] = []

    def job(job: Job, supervision: Supervision) -> dict[str, Any]:
        seen.append(job.cache)
        return echo_job(job, supervision)

    cloud.upload("lobby/a.mp4", b"a")
    for settings in ({"cache_mb": 0}, {"pipeline": replace(cloud.pipeline, backend="mock")}):
        cloud.upload("lobby/a.mp4", os.urandom(8))
        cloud.queue("lobby")
        cloud.worker(job, **settings).drain()
    assert seen == [None, None]
