"""Uploads that no execution can hold start none: no GPU is paid to find it out, and `status` says what to do."""

from __future__ import annotations

from dataclasses import replace

import pytest

from function_app.debounce import Why
from function_app.dispatcher import Dispatcher, Sealing
from scenejobs.estimate.fit import why_not
from scenejobs.state.incoming.uploads import list_scene
from scenejobs.state.overview.status import State, scene_status
from tests.dispatch import SETTINGS, World

TOO_SMALL_GB, LARGE_GB = 7.9, 20.0  # of a world that keeps 8 GB free


@pytest.fixture
def world() -> World:
    found = World()
    found.upload("lobby/a.mp4", event=False)
    return found


def with_disk(world: World, job_disk_gb: float) -> Dispatcher:
    return replace(world.app.dispatcher, settings=replace(SETTINGS, job_disk_gb=job_disk_gb, min_free_gb=8.0))


def seal(world: World, job_disk_gb: float) -> Sealing:
    dispatcher = with_disk(world, job_disk_gb)
    return dispatcher.seal("lobby", list_scene(world.input, "lobby", 1), world.input.now(), Why.QUIET)


def test_nothing_is_started_and_status_says_why(world: World) -> None:
    assert seal(world, TOO_SMALL_GB) is Sealing.BLOCKED
    assert world.sent == []
    status = scene_status(world.containers, "lobby")
    assert status.state is State.BLOCKED
    assert "need 8.0 GB of disk" in status.reason
    assert "input/lobby/" in status.reason


def test_a_larger_limit_lets_it_go_on_by_itself(world: World) -> None:
    seal(world, TOO_SMALL_GB)
    world.clock.advance(200)
    assert seal(world, LARGE_GB) is Sealing.RESENT
    assert len(world.sent) == 1
    assert scene_status(world.containers, "lobby").state is State.QUEUED


@pytest.mark.parametrize("job_disk_gb", [0.0, 8.1])
def test_what_fits_or_is_not_asked_for_is_sent(world: World, job_disk_gb: float) -> None:
    assert seal(world, job_disk_gb) is Sealing.CREATED
    assert len(world.sent) == 1


def test_the_reason_has_the_numbers_of_the_uploads() -> None:
    assert "4.0 GB of uploads need 10.0 GB of disk, and an execution has 8.5" in why_not("lobby", 4 * 10**9, 8.5, 2.0)
