"""Batch mode: one prefix, no queue, its own retries."""

from __future__ import annotations

from pathlib import Path

import pytest

from scenejobs.errors import (
    ConfigurationError,
    InputError,
)
from tests.invariants import assert_at_rest
from tests.runner_world import Cloud, broken_disk


def test_batch_mode_processes_one_prefix_without_a_message(cloud: Cloud) -> None:
    cloud.queues["jobs"].messages.clear()
    assert cloud.worker(batch_prefix="lobby/", mode="batch", job_id="nightly").batch() == 0
    assert cloud.record("lobby").run.startswith("nightly-")
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


def test_batch_mode_retries_by_itself_and_ends_with_1_for_a_dead_letter(cloud: Cloud) -> None:
    cloud.queues["jobs"].messages.clear()
    assert cloud.worker(broken_disk, batch_prefix="lobby", retry_base_s=0.0).batch() == 1
    assert cloud.jobs_run == 3
    assert_at_rest(cloud)


@pytest.mark.parametrize("prefix", ["../x", "a//b", "/", "a\\b"])
def test_batch_mode_refuses_a_prefix_that_is_no_name(cloud: Cloud, prefix: str) -> None:
    with pytest.raises(ConfigurationError, match="BATCH_INPUT_PREFIX"):
        cloud.worker(batch_prefix=prefix).batch()
