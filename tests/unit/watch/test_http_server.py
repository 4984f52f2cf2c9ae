"""What watch mode says of itself, and when it says that something is wrong."""

from __future__ import annotations

import json
import re
import socket
import threading
from pathlib import Path

import pytest

from scenejobs.adapters.folder import Places
from scenejobs.errors import ComputeError, ConfigurationError
from scenejobs.state.record import Outcome
from scenejobs.state.status import SceneStatus, State
from tests.results import manifest, written
from watch import health_check, http_server, metrics
from watch.local_workers import LocalCompute, worker_environment
from watch.loop import measured
from watch.status import HUNG_AFTER_S, Ended, Facts

POLL_S = 10.0


class Clock:
    """Seconds, moved by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def facts(tmp_path: Path) -> Facts:
    """Of a watch whose last look went well."""
    places = Places.below(tmp_path)
    for folder in places.all():
        folder.mkdir()
    found = Facts(tmp_path, places, min_free_gb=0, clock=Clock())
    found.trouble = ""
    return found


def test_a_healthy_watch_tells_what_the_guide_promises(facts: Facts) -> None:
    facts.ended(Ended("a", "r1", Outcome.SUCCEEDED, seconds=60))
    facts.ended(Ended("b", "r2", Outcome.DEAD_LETTERED))
    facts.scenes = (SceneStatus("c", State.RUNNING, stage="training", fraction=0.5, run="r3", attempt=1),)
    facts.clock.now += 7.0  # type: ignore[attr-defined]
    answer = http_server.health(facts, POLL_S)
    body = json.loads(answer.body)
    assert answer.status == 200
    assert (body["status"], body["uptime_secs"], body["jobs_processed"]) == ("healthy", 7, 2)
    assert body["disk_free_gb"] > 0
    assert (body["current_job"]["scene"], body["current_job"]["progress"]) == ("c", 0.5)


@pytest.mark.parametrize("what", ["trouble", "stopping", "disk", "gone"])
def test_whatever_keeps_it_from_working_is_503_with_the_reason(facts: Facts, what: str) -> None:
    """Starting it anew would not help, so it is alive all the same."""
    words = {
        "trouble": "no such mount",
        "stopping": "told to stop",
        "disk": "GB are free",
        "gone": "cannot be looked at",
    }
    match what:
        case "trouble":
            facts.trouble = "no such mount"
        case "stopping":
            facts.stopping = True
        case "disk":
            facts.min_free_gb = 1e9
        case "gone":
            facts.places.output.rmdir()
    answer = http_server.health(facts, POLL_S)
    assert answer.status == 503
    assert words[what] in json.loads(answer.body)["reason"]
    routes = http_server.health_routes(facts, POLL_S)
    assert (routes["/health/ready"]().status, routes["/health/live"]().status) == (503, 200)


def test_a_loop_that_hangs_is_not_alive(facts: Facts) -> None:
    routes = http_server.health_routes(facts, POLL_S)
    facts.clock.now += HUNG_AFTER_S - 1  # type: ignore[attr-defined]
    assert routes["/health/live"]().status == 200
    facts.clock.now += 1  # type: ignore[attr-defined]
    assert routes["/health/live"]().status == 503
    facts.begins_look()
    assert routes["/health/live"]().status == 200


def test_before_the_first_look_it_is_not_ready(tmp_path: Path) -> None:
    assert http_server.health(Facts(tmp_path, Places.below(tmp_path), 0), POLL_S).status == 503


def test_a_secret_in_a_reason_is_not_told(facts: Facts) -> None:
    facts.trouble = "no answer from https://shop.blob.core.windows.net/input?sv=2024&sig=canary0canary0canary0%3D"
    assert "canary" not in http_server.health(facts, POLL_S).body
    assert "canary" not in http_server.health_routes(facts, POLL_S)["/health/ready"]().body


def test_every_line_of_the_numbers_is_what_prometheus_reads(facts: Facts) -> None:
    """Each family is announced once, before its samples; names of stages cannot break a line."""
    facts.ended(Ended("a", "r1", Outcome.SUCCEEDED, 60.5, 240, 12.5, 8000, 23.25, 0.125))
    facts.scenes = (SceneStatus("c", State.RUNNING, stage='odd "stage"\\\n', fraction=0.25),)
    sample = re.compile(r'(video_splat_[a-z_]+)(\{([a-z]+="([^"\\\n]|\\["\\n])*",?)+\})? (-?[0-9.e+]+)')
    announced: list[str] = []
    for line in metrics.text(facts).splitlines():
        if line.startswith("# TYPE "):
            announced.append(line.split()[2])
        elif not line.startswith("# HELP "):
            found = sample.fullmatch(line)
            assert found, line
            assert found[1] == announced[-1]
    assert len(announced) == len(set(announced))
    text = metrics.text(facts)
    assert "video_splat_processing_seconds_total 60.5\n" in text
    assert "video_splat_frames_total 240\n" in text
    assert "video_splat_last_heldout_psnr_db 23.25\n" in text
    assert "video_splat_last_training_loss 0.125\n" in text


def test_what_is_not_known_is_left_out(facts: Facts) -> None:
    """A score of 0 dB would be a lie."""
    facts.ended(Ended("a", "r1", Outcome.SUCCEEDED, psnr=None))
    assert "psnr" not in metrics.text(facts)
    assert "loss" not in metrics.text(facts)


def test_what_a_manifest_says_is_what_is_counted(tmp_path: Path) -> None:
    """As the runner writes it: two clips with three frames."""
    found = measured(Ended("a", "r1", Outcome.SUCCEEDED), written(manifest(), tmp_path))
    assert found == Ended("a", "r1", Outcome.SUCCEEDED, 61.5, 3, 0.0, 20_000, 27.5, 0.02)


@pytest.mark.parametrize("manifest", [None, [], {"videos": 3, "training": [], "stage_seconds": {"training": "long"}}])
def test_a_manifest_that_hands_changed_counts_nothing(manifest: object) -> None:
    ended = Ended("a", "r1", Outcome.SUCCEEDED)
    assert measured(ended, manifest) == ended


def test_a_port_that_is_taken_is_a_wrong_setting() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(ConfigurationError, match="cannot be listened on"):
            http_server.Server("127.0.0.1", taken.getsockname()[1], {})
    with pytest.raises(ConfigurationError, match="cannot be listened on"):
        http_server.Server("127.0.0.1", 70_000, {})


# ---- workers ---------------------------------------------------------------------------------------------------------


def test_a_worker_gets_folders_and_settings_and_no_account(tmp_path: Path) -> None:
    env = {"AZURE_STORAGE_ACCOUNT": "shop", "AZURE_STORAGE_SAS_TOKEN": "canary", "IDENTITY_HEADER": "canary",
           "BACKEND": "mock", "RUN_MODE": "watch", "OUTPUT_PATH": "/elsewhere"}  # fmt: skip
    found = worker_environment(env, Places.below(tmp_path))
    assert "canary" not in found.values()
    assert not [name for name in found if name.startswith("AZURE_")]
    assert (found["RUN_MODE"], found["BACKEND"]) == ("queue", "mock")
    assert found["OUTPUT_PATH"] == str(tmp_path / "output")


def test_a_worker_that_stops_at_its_settings_is_not_started_again_at_once() -> None:
    """The starter's waits begin, and the reason is told. Any other end is none of it."""
    compute = LocalCompute({"PATH": ""}, ["/bin/sh", "-c", "exit $CODE"])
    for code, refused in (("0", False), ("3", False), ("2", True), ("143", False)):
        compute._env["CODE"] = code
        compute.start()
        compute._running[-1].process.wait()
        if refused:
            with pytest.raises(ComputeError, match="stopped at its settings"):
                compute.start()
    compute.end(1)
    assert compute.live() == ()


# ---- the images' health check ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 1)])
def test_the_health_check_says_what_the_watch_says(status: int, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    env = {"RUN_MODE": "watch", "HEALTH_CHECK_PORT": str(port), "LISTEN_ADDRESS": "0.0.0.0"}
    with http_server.Server("127.0.0.1", port, {"/health": lambda: http_server.Answer(status, "{}")}):
        assert health_check.health(env) == health_check.health(env, if_watching=True) == code
    assert capsys.readouterr().out == "{}\n{}\n"


def test_where_nobody_answers_a_watch_is_unwell_and_a_job_is_not() -> None:
    """One image serves every mode; a job has no server."""
    nobody = {"HEALTH_CHECK_PORT": "1"}
    assert health_check.health({**nobody, "RUN_MODE": "watch"}, if_watching=True) == 1
    for env in ({"RUN_MODE": "batch"}, {}, {"RUN_MODE": "watch", "HEALTH_CHECK_ENABLED": "false"}):
        assert health_check.health({**nobody, **env}, if_watching=True) == 0
    assert health_check.health(nobody) == 1, "asked by a person: somebody should be there"
    with pytest.raises(ConfigurationError, match="HEALTH_CHECK_ENABLED"):
        health_check.health({"HEALTH_CHECK_ENABLED": "false"})


def test_what_is_no_answer_of_http_is_unwell() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        thread = threading.Thread(target=lambda: other.accept()[0].close(), daemon=True)
        thread.start()
        assert health_check.health({"HEALTH_CHECK_PORT": str(other.getsockname()[1])}) == 1
        thread.join()
