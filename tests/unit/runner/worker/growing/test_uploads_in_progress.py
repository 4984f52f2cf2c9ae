"""A run takes what is whole: a blob of no bytes, or one that was seen to grow, is left to the next generation."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from scenejobs.state.incoming import sending
from scenejobs.state.incoming.sending import Growth, Memory
from tests.runner_world import Cloud

STALLED_S = 600


@pytest.fixture
def cloud(tmp_path: Path) -> Cloud:
    cloud = Cloud(tmp_path)
    cloud.upload("lobby/a.mp4", b"video")
    cloud.queue("lobby")
    return cloud


def archived(cloud: Cloud) -> set[str]:
    return set(cloud.names("processed"))


def test_no_bytes_are_no_clip_yet(cloud: Cloud) -> None:
    cloud.upload("lobby/b.mp4", b"")
    cloud.worker().drain()
    assert archived(cloud) == {"lobby/a.mp4"}
    cloud.upload("lobby/b.mp4", b"whole")
    cloud.settle()
    cloud.queue("lobby")
    cloud.worker().drain()
    assert {"lobby/a.mp4", "lobby/b.mp4"} <= archived(cloud)


def test_a_part_that_a_check_saw_grow_is_no_clip_yet(cloud: Cloud) -> None:
    cloud.upload("lobby/b.mp4", b"part")
    now = cloud.clock()
    seen = Memory("lobby", {"lobby/b.mp4": Growth(4, now, now, blocks=False)})
    sending.save(cloud.stores["state"], Memory("lobby"), seen)
    cloud.worker().drain()
    assert archived(cloud) == {"lobby/a.mp4"}
    assert cloud.names("input") == ["lobby/b.mp4"]


def test_after_the_stalling_time_it_is_an_upload_like_any_other(cloud: Cloud) -> None:
    cloud.upload("lobby/b.mp4", b"")
    cloud.clock.time += timedelta(seconds=STALLED_S)
    cloud.worker().drain()
    assert cloud.names("input") == []


def test_with_the_setting_at_zero_all_is_taken(cloud: Cloud) -> None:
    cloud.upload("lobby/b.mp4", b"")
    cloud.worker(upload_stalled_s=0).drain()
    assert cloud.names("input") == []


def test_in_batch_mode_somebody_wants_what_is_there(cloud: Cloud) -> None:
    cloud.upload("lobby/b.mp4", b"")
    assert cloud.worker(mode="batch", batch_prefix="lobby").batch() == 0
    assert cloud.names("input") == []


def test_a_marker_has_no_bytes_and_is_whole(cloud: Cloud) -> None:
    cloud.upload("lobby/_READY", b"")
    cloud.worker().drain()
    assert cloud.names("input") == []
