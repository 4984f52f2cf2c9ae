"""The runner as real processes on the storage emulator: signals, kills, and what the user finds afterwards."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from scenejobs.ports import BlobStore, Containers, Queues
from scenejobs.settings.groups import StorageSettings
from scenejobs.state import layout, records
from scenejobs.state.messages import JobMessage
from scenejobs.state.record import Outcome, Phase, SceneRecord

ROOT = Path(__file__).parents[2]
LEASE_S = 15  # the shortest the service grants: these tests wait for it to end

pytestmark = [pytest.mark.azurite, pytest.mark.slow]


class Scene:
    """One scene in the emulator, and runners for it."""

    def __init__(self, storage: StorageSettings, containers: Containers, queues: Queues, folder: Path) -> None:
        self.containers, self.queues = containers, queues
        set_values = {item.metadata["variable"]: getattr(storage, item.name) for item in fields(storage)}
        self.env = {
            **{name: str(value) for name, value in set_values.items() if value and value is not True},
            "PATH": os.environ["PATH"],
            "BACKEND": "mock",
            "TEMP_PATH": str(folder),
            "RUNNER_LEASE_SECONDS": str(LEASE_S),
            "QUEUE_IDLE_POLLS": "1",
            "QUEUE_IDLE_WAIT_SECS": "0",
            "MIN_DISK_SPACE_GB": "0",
            "RETRY_BASE_DELAY_SECS": "1",
        }
        self.folder = folder

    def upload(self, name: str, data: bytes) -> None:
        self.containers.input.write(name, data)

    def queue(self, scene: str = "lobby") -> None:
        self.queues.jobs.send(JobMessage(scene, "", datetime.now(UTC)).to_json())

    def run(self, **env: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "runner"]
        return subprocess.run(
            command, cwd=ROOT, env={**self.env, **env}, capture_output=True, text=True, timeout=120, check=False
        )

    @contextmanager
    def running(self, **env: str) -> Iterator[subprocess.Popen[bytes]]:
        """A runner in the middle of the training of `lobby`."""
        process = subprocess.Popen(
            [sys.executable, "-m", "runner"], cwd=ROOT, env={**self.env, "MOCK_SECONDS": "120", **env}
        )
        try:
            wait_for(lambda: self.progress().get("stage") == "training", process)
            yield process
        finally:
            process.kill()
            process.wait()

    def progress(self) -> dict[str, Any]:
        name = layout.progress_name("lobby")
        if not any(blob.name == name for blob in self.containers.state.list(name)):
            return {}
        value: dict[str, Any] = json.loads(self.containers.state.read(name)[0])
        return value

    def record(self, scene: str = "lobby") -> SceneRecord:
        stored = records.load(self.containers.state, scene)
        assert stored is not None
        return stored.record


def wait_for(condition: Any, process: subprocess.Popen[bytes] | None = None, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert process is None or process.poll() is None, "the runner ended too early"
        assert time.monotonic() < end, "waited for too long"
        time.sleep(0.2)


def names(store: BlobStore) -> list[str]:
    return [blob.name for blob in store.list()]


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
    assert scene.record().run.startswith("nightly-")


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
