"""A scene on the storage emulator, and runners for it as processes of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from scenejobs.ports import BlobStore, Containers, Queues
from scenejobs.settings.storage import StorageSettings
from scenejobs.state import layout, records
from scenejobs.state.messages import JobMessage
from scenejobs.state.record import SceneRecord

ROOT = Path(__file__).parents[1]
LEASE_S = 15  # the shortest the service grants: these tests wait for it to end


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
            "UPLOAD_STALLED_SECS": "0",  # a file of no bytes is one, and no upload in progress
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
            wait_for(lambda: self.progress().get("stage") == "training", process, seconds=300)
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
