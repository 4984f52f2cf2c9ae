"""What watch mode says of itself, and when it says that something is wrong."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from scenejobs.adapters.folder import Places
from scenejobs.errors import ConfigurationError
from scenejobs.settings.groups import WatchSettings
from scenejobs.state.overview.status import SceneStatus, State
from scenejobs.state.record import Outcome
from watch import http_server
from watch.status import HUNG_AFTER_S, FinishedScene, WatchStatus

POLL_S = 10.0


@pytest.fixture
def port() -> int:
    """One that is free."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_healthy_watch_tells_what_the_guide_promises(status: WatchStatus) -> None:
    status.scene_finished(FinishedScene("a", "r1", Outcome.SUCCEEDED, seconds=60))
    status.scene_finished(FinishedScene("b", "r2", Outcome.DEAD_LETTERED))
    status.scenes = (SceneStatus("c", State.RUNNING, stage="training", fraction=0.5, run="r3", attempt=1),)
    status.clock.now += 7.0  # type: ignore[attr-defined]
    answer = http_server.health(status, POLL_S)
    body = json.loads(answer.body)
    assert answer.status == 200
    assert (body["status"], body["uptime_secs"], body["jobs_processed"]) == ("healthy", 7, 2)
    assert body["disk_free_gb"] > 0
    assert (body["current_job"]["scene"], body["current_job"]["progress"]) == ("c", 0.5)


@pytest.mark.parametrize("what", ["trouble", "stopping", "disk", "gone"])
def test_whatever_keeps_it_from_working_is_503_with_the_reason(status: WatchStatus, what: str) -> None:
    """Starting it anew would not help, so it is alive all the same."""
    words = {
        "trouble": "no such mount",
        "stopping": "told to stop",
        "disk": "GB are free",
        "gone": "cannot be looked at",
    }
    match what:
        case "trouble":
            status.last_error = "no such mount"
        case "stopping":
            status.stopping = True
        case "disk":
            status.min_free_gb = 1e9
        case "gone":
            assert status.places is not None
            status.places.output.rmdir()
    answer = http_server.health(status, POLL_S)
    assert answer.status == 503
    assert words[what] in json.loads(answer.body)["reason"]
    routes = http_server.health_routes(status, POLL_S)
    assert (routes["/health/ready"]().status, routes["/health/live"]().status) == (503, 200)


def test_a_loop_that_hangs_is_not_alive(status: WatchStatus) -> None:
    routes = http_server.health_routes(status, POLL_S)
    status.clock.now += HUNG_AFTER_S - 1  # type: ignore[attr-defined]
    assert routes["/health/live"]().status == 200
    status.clock.now += 1  # type: ignore[attr-defined]
    assert routes["/health/live"]().status == 503
    status.poll_started()
    assert routes["/health/live"]().status == 200


def test_before_the_first_look_it_is_not_ready(tmp_path: Path) -> None:
    assert http_server.health(WatchStatus(tmp_path, Places.below(tmp_path), 0), POLL_S).status == 503


def test_a_secret_in_a_reason_is_not_told(status: WatchStatus) -> None:
    status.last_error = "no answer from https://shop.blob.core.windows.net/input?sv=2024&sig=canary0canary0canary0%3D"
    assert "canary" not in http_server.health(status, POLL_S).body
    assert "canary" not in http_server.health_routes(status, POLL_S)["/health/ready"]().body


def test_a_port_that_is_taken_is_told_with_the_setting_that_names_it(status: WatchStatus, port: int) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        busy = taken.getsockname()[1]
        for settings, name in (
            (WatchSettings(health_port=busy, metrics_port=port), "HEALTH_CHECK_PORT"),
            (WatchSettings(health_port=port, metrics_port=busy), "METRICS_PORT"),
            (WatchSettings(health_port=busy, metrics_port=busy), "HEALTH_CHECK_PORT"),
            (WatchSettings(health=False, health_port=busy, metrics_port=busy), "METRICS_PORT"),
        ):
            with pytest.raises(ConfigurationError) as told, http_server.listening(settings, status):
                pass
            assert f"127.0.0.1:{busy} is in use by another program" in str(told.value)
            assert f"set {name} to a free port" in str(told.value)


def test_a_port_or_address_that_cannot_be_is_told_with_its_setting(status: WatchStatus, port: int) -> None:
    for settings, name in (
        (WatchSettings(health_port=70_000), "HEALTH_CHECK_PORT"),
        (WatchSettings(health_port=port, metrics_port=0, listen="203.0.113.7"), "LISTEN_ADDRESS"),
    ):
        with pytest.raises(ConfigurationError, match=name), http_server.listening(settings, status):
            pass
