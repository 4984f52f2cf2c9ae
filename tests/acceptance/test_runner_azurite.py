"""The runner as real processes on the storage emulator: signals, kills, and what the user finds afterwards."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import time
from pathlib import Path

import pytest

from scenejobs.ports import Containers, Queues
from scenejobs.settings.storage import StorageSettings
from scenejobs.state.record import Outcome, Phase
from tests.azurite_scene import LEASE_S, Scene, names, wait_for

pytestmark = [pytest.mark.azurite, pytest.mark.slow]


@pytest.fixture
def scene(storage: StorageSettings, containers: Containers, queues: Queues, tmp_path: Path) -> Scene:
    return Scene(storage, containers, queues, tmp_path)


def assert_succeeded(scene: Scene, uploads: dict[str, bytes]) -> None:
    """The result is whole, the inputs are archived, nothing is left to do."""
    assert names(scene.containers.input) == []
    assert scene.queues.jobs.total() == 0
    assert {name: scene.containers.processed.read(name)[0] for name in names(scene.containers.processed)} == uploads
    output = scene.containers.output
    manifest = json.loads(output.read("lobby/manifest.json")[0])
    assert manifest["mock"] is True
    assert {"lobby.ply", "lobby.splat"} < {entry["name"] for entry in manifest["outputs"]}
    for entry in manifest["outputs"]:
        data = output.read(f"lobby/{entry['name']}")[0]
        assert (len(data), hashlib.sha256(data).hexdigest()) == (entry["size_bytes"], entry["sha256"])
    record = scene.record()
    assert record.phase is Phase.IDLE
    assert record.ending is not None
    assert (record.ending.generation, record.ending.outcome) == (1, Outcome.SUCCEEDED)


def test_a_queued_scene_becomes_a_published_result(scene: Scene) -> None:
    uploads = {"lobby/view1.mp4": b"first", "lobby/cam2/Ansicht 2 ü.MOV": b"second" * 1000}
    for name, data in uploads.items():
        scene.upload(name, data)
    scene.queue()
    done = scene.run()
    assert done.returncode == 0, done.stderr
    assert_succeeded(scene, uploads)
    assert f"lobby/runs/{scene.record().run}/run.log" in names(scene.containers.output)
    assert list(scene.folder.iterdir()) == [], "the runner left its workspace behind"


def test_an_empty_video_is_a_dead_letter_with_its_reason(scene: Scene) -> None:
    scene.upload("lobby/view1.mp4", b"")
    scene.queue()
    done = scene.run()
    assert done.returncode == 0, done.stderr
    assert names(scene.containers.error) == ["lobby/error.json", "lobby/run.log", "lobby/view1.mp4"]
    reason = json.loads(scene.containers.error.read("lobby/error.json")[0])
    assert (reason["stage"], reason["code"], reason["cause"]) == (
        "frame_extraction",
        "EMPTY_FILE",
        "view1.mp4 is empty",
    )
    assert reason["advice"]
    assert names(scene.containers.input) == []
    assert scene.queues.jobs.total() == 0


def test_sigterm_gives_attempt_and_message_back_within_20_seconds(scene: Scene) -> None:
    scene.upload("lobby/view1.mp4", b"first")
    scene.queue()
    with scene.running() as process:
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 143
        assert time.monotonic() - began < 20
    record = scene.record()
    assert (record.phase, record.attempts, record.preemptions) == (Phase.IDLE, 0, 1)
    assert scene.queues.jobs.waiting() == 1, "the next runner would have to wait"
    assert scene.run().returncode == 0
    assert_succeeded(scene, {"lobby/view1.mp4": b"first"})


def test_sigterm_to_every_process_of_the_container_is_the_same(scene: Scene) -> None:
    """Container Apps signals all of them, the job's child and ours."""
    scene.upload("lobby/view1.mp4", b"first")
    scene.queue()
    with scene.running() as process:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        assert children
        for pid in [*map(int, children), process.pid]:
            os.kill(pid, signal.SIGTERM)
        assert process.wait(timeout=20) == 143
    assert (scene.record().phase, scene.record().attempts) == (Phase.IDLE, 0)


def test_another_runner_finishes_what_a_killed_one_began(scene: Scene) -> None:
    scene.upload("lobby/view1.mp4", b"first")
    scene.queue()
    with scene.running() as process:
        process.kill()
    scene.queue()  # as the sweep does; the first message is hidden for longer than this test wants to wait
    assert scene.record().phase is Phase.RUNNING
    assert scene.run().returncode == 0
    assert scene.record().phase is Phase.RUNNING, "the lease of the killed runner was not respected"
    time.sleep(LEASE_S)
    scene.queue()
    done = scene.run()
    assert done.returncode == 0, done.stderr
    record = scene.record()
    assert record.ending is not None
    assert record.ending.outcome is Outcome.SUCCEEDED
    assert names(scene.containers.processed) == ["lobby/view1.mp4"]
    assert names(scene.containers.input) == []


def test_a_killed_job_process_is_an_attempt_that_failed_and_the_runner_goes_on(scene: Scene) -> None:
    scene.upload("lobby/view1.mp4", b"first")
    scene.queue()
    with scene.running(MOCK_SECONDS="6", QUEUE_IDLE_POLLS="20", QUEUE_IDLE_WAIT_SECS="0.5") as process:
        (child,) = map(int, Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split())
        os.kill(child, signal.SIGKILL)
        wait_for(lambda: scene.record().failures, process)
        (failure,) = scene.record().failures
        assert failure.failure.code == "OUT_OF_MEMORY"
        assert process.wait(timeout=60) == 0
    assert_succeeded(scene, {"lobby/view1.mp4": b"first"})


def test_batch_mode_needs_no_queue(scene: Scene) -> None:
    scene.upload("lobby/view1.mp4", b"first")
    done = scene.run(RUN_MODE="batch", BATCH_INPUT_PREFIX="lobby/", BATCH_JOB_ID="nightly")
    assert done.returncode == 0, done.stderr
    assert_succeeded(scene, {"lobby/view1.mp4": b"first"})
    assert scene.record().run == "nightly"


def test_batch_mode_names_the_prefix_and_the_container_that_hold_nothing(scene: Scene) -> None:
    done = scene.run(RUN_MODE="batch", BATCH_INPUT_PREFIX="hall")
    assert done.returncode == 1
    assert f"no blobs with prefix hall/ in container {scene.containers.input.name}" in done.stderr.splitlines()[-1]


def test_no_secret_appears_in_what_is_stored(scene: Scene) -> None:
    key = scene.env["AZURE_STORAGE_CONNECTION_STRING"].split("AccountKey=")[1].split(";")[0].encode()
    scene.upload("lobby/view1.mp4", b"first")
    scene.upload("hall/view1.mp4", b"")
    for name in ("lobby", "hall"):
        scene.queue(name)
    done = scene.run(LOG_LEVEL="DEBUG")
    assert done.returncode == 0, done.stderr
    assert key not in done.stderr.encode() + done.stdout.encode()
    for store in (scene.containers.output, scene.containers.error, scene.containers.state):
        for name in names(store):
            assert key not in store.read(name)[0], name
