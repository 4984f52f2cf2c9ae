"""Batch mode: one prefix, no queue, its own retries."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from runner.job.request import Job
from runner.job.supervise import Supervision
from runner.worker import run_ids
from scenejobs.errors import (
    ConfigurationError,
    InputError,
)
from tests.invariants import assert_at_rest
from tests.runner_world import PAST_EVERYTHING_S, Cloud, bad_video, broken_disk, echo_job


def test_batch_mode_processes_one_prefix_without_a_message(cloud: Cloud) -> None:
    cloud.queues["jobs"].messages.clear()
    assert cloud.worker(batch_prefix="lobby/", mode="batch", job_id="nightly").batch() == 0
    assert cloud.record("lobby").run == "nightly"
    assert_at_rest(cloud)


def test_batch_mode_takes_a_nested_prefix(tmp_path: Path) -> None:
    cloud = Cloud(tmp_path)
    cloud.upload("building/floor1/a.mp4", b"a")
    cloud.upload("building/floor2/a.mp4", b"b")
    assert cloud.worker(batch_prefix="building/floor1").batch() == 0
    assert cloud.names("input") == ["building/floor2/a.mp4"]
    assert "building/floor1/floor1.ply" in cloud.names("output")


def test_batch_mode_names_the_prefix_and_container_that_hold_nothing(cloud: Cloud) -> None:
    with pytest.raises(InputError, match="no blobs with prefix hall/ in container input"):
        cloud.worker(batch_prefix="hall").batch()


def test_batch_mode_says_that_an_earlier_run_took_what_is_gone(cloud: Cloud) -> None:
    """It told the user to upload the videos, of a scene that was done and archived."""
    assert cloud.worker(batch_prefix="lobby").batch() == 0
    with pytest.raises(InputError, match="an earlier run has ended, and archived them") as caught:
        cloud.worker(batch_prefix="lobby").batch()
    assert "scenejobs retry lobby" in caught.value.advice


def test_batch_mode_retries_by_itself_and_ends_with_1_for_a_dead_letter(cloud: Cloud) -> None:
    cloud.queues["jobs"].messages.clear()
    assert cloud.worker(broken_disk, batch_prefix="lobby", retry_base_s=0.0).batch() == 1
    assert cloud.jobs_run == 3
    assert_at_rest(cloud)


def named(cloud: Cloud, job: Any = echo_job, **settings: Any) -> int:
    return cloud.worker(job, mode="batch", batch_prefix="lobby", job_id="job", retry_base_s=0.0, **settings).batch()


def test_attempts_after_the_first_bear_a_number_and_no_two_runs_one_id(cloud: Cloud) -> None:
    cloud.queues["jobs"].messages.clear()
    seen: list[str] = []

    def twice_broken(job: Job, supervision: Supervision) -> dict[str, Any]:
        seen.append(job.job_id)
        return broken_disk(job, supervision) if len(seen) < 3 else echo_job(job, supervision)

    assert named(cloud, twice_broken) == 0
    assert seen == ["job", "job~2", "job~3"]
    cloud.upload("lobby/more.mp4", b"more")
    with pytest.raises(ConfigurationError, match=r"BATCH_JOB_ID=job: scene lobby has a run of this id already"):
        named(cloud)
    assert cloud.names("input") == ["lobby/more.mp4"]
    assert cloud.worker(mode="batch", batch_prefix="lobby", job_id="next").batch() == 0
    cloud.upload("lobby/last.mp4", b"last")
    with pytest.raises(
        ConfigurationError, match="succeeded"
    ):  # not the last run of the scene, and one that was retried
        named(cloud)


def test_a_dead_letter_has_used_its_id_up(cloud: Cloud) -> None:
    cloud.queues["jobs"].messages.clear()
    assert named(cloud, bad_video) == 1
    cloud.upload("lobby/a.mp4", b"better")
    with pytest.raises(ConfigurationError, match="dead_lettered"):
        named(cloud)


def test_a_container_that_is_started_again_goes_on_with_its_run(cloud: Cloud) -> None:
    """Whatever ended it: the platform starts the same command with the same id."""
    cloud.queues["jobs"].messages.clear()

    def killed(job: Job, supervision: Supervision) -> dict[str, Any]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        named(cloud, killed)
    cloud.clock.advance(PAST_EVERYTHING_S)
    assert named(cloud) == 0
    assert cloud.record("lobby").run == "job~2"
    assert_at_rest(cloud)


def test_the_id_is_of_batch_mode_alone(cloud: Cloud) -> None:
    cloud.worker(job_id="job").drain()
    assert not cloud.record("lobby").run.startswith("job")


def test_batch_mode_asks_no_queue_when_uploads_came_late(cloud: Cloud) -> None:
    """A storage account with containers alone has none, and a SAS for blobs opens none."""
    cloud.queues["jobs"].messages.clear()

    def with_a_late_upload(job: Job, supervision: Supervision) -> dict[str, Any]:
        cloud.upload("lobby/late.mp4", b"late")
        return echo_job(job, supervision)

    assert named(cloud, with_a_late_upload) == 0
    assert cloud.names("input") == ["lobby/late.mp4"]
    assert not cloud.queues["debounce"].messages


@pytest.mark.parametrize("job_id", ["../x", "a/b", "a~2", "x" * 200])
def test_an_id_that_cannot_be_part_of_a_name_is_refused(job_id: str) -> None:
    with pytest.raises(ConfigurationError, match="BATCH_JOB_ID"):
        run_ids.check(job_id)


@pytest.mark.parametrize("prefix", ["../x", "a//b", "/", "a\\b"])
def test_batch_mode_refuses_a_prefix_that_is_no_name(cloud: Cloud, prefix: str) -> None:
    with pytest.raises(ConfigurationError, match="BATCH_INPUT_PREFIX"):
        cloud.worker(batch_prefix=prefix).batch()
