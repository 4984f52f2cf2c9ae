"""Batch mode as whoever orchestrates it meets it: exit codes, the id of the run, and every missing setting at once."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from scripts.generate_docs import BATCH_EXITS

ROOT = Path(__file__).parents[2]
BATCH = {"RUN_MODE": "batch", "BATCH_INPUT_PREFIX": "lobby"}


class Folders:
    """Containers as folders, and the image's entry point over them."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.env = {
            **BATCH,
            "DATA_PATH": str(data),
            "TEMP_PATH": str(data.parent),
            "BACKEND": "mock",
            "MIN_DISK_SPACE_GB": "0",
            "RETRY_BASE_DELAY_SECS": "0",
            "UPLOAD_STALLED_SECS": "0",
        }

    def upload(self, data: bytes = b"video") -> None:
        path = self.data / "input/lobby/view1.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def run(self, **env: str) -> subprocess.CompletedProcess[str]:
        return run({**self.env, **env})

    @contextmanager
    def running(self, **env: str) -> Iterator[subprocess.Popen[bytes]]:
        """A runner in the middle of its scene."""
        command = [sys.executable, "-m", "runner"]
        with subprocess.Popen(command, cwd=ROOT, env={**self.env, "MOCK_SECONDS": "120", **env}) as process:
            try:
                while not any(self.data.glob("state/progress/*.json")):
                    assert process.poll() is None, "the runner ended too early"
                    time.sleep(0.1)
                yield process
            finally:
                process.kill()

    def json(self, name: str) -> Any:
        return json.loads((self.data / name).read_text())


def run(env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "runner"]
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    return Folders(tmp_path / "data")


def test_each_exit_code_of_the_table_and_where_the_inputs_are_then(folders: Folders) -> None:
    """The table of docs/batch.md is made from BATCH_EXITS; here each of its rows is seen, and no other code."""
    seen = {}
    upload = folders.data / "input/lobby/view1.mp4"

    nothing = folders.run()
    assert nothing.returncode == 1
    assert "no blobs with prefix lobby/" in nothing.stderr

    folders.upload()
    seen[2] = folders.run(BACKEND="gsplat", MAX_RETRIES="none").returncode
    assert upload.exists()

    with folders.running() as process:
        seen[75] = folders.run().returncode
        process.send_signal(signal.SIGTERM)
        seen[143] = process.wait(60)
    assert upload.exists()

    seen[3] = folders.run(MAX_SCENE_RUNS_PER_DAY="1").returncode
    assert upload.exists()

    seen[0] = folders.run().returncode
    assert not upload.exists()
    assert (folders.data / "processed/lobby/view1.mp4").exists()

    folders.upload(b"another")  # what fails for the machine's reasons is a dead letter as well, after its attempts
    seen[1] = folders.run(JOB_TIMEOUT_SECS="1", MOCK_SECONDS="60", MAX_RETRIES="1").returncode
    assert not upload.exists()
    assert folders.json("error/lobby/error.json")["code"] == "JOB_TIMED_OUT"

    assert seen == {code: code for code in BATCH_EXITS}


def test_the_id_of_the_run_is_the_one_that_was_given_and_no_second_run_has_it(folders: Folders) -> None:
    folders.upload()
    assert folders.run(BATCH_JOB_ID="my-job-123").returncode == 0
    assert folders.json("output/lobby/manifest.json")["job_id"] == "my-job-123"
    assert [path.name for path in (folders.data / "output/lobby/runs").iterdir()] == ["my-job-123"]

    folders.upload(b"another")
    again = folders.run(BATCH_JOB_ID="my-job-123")
    assert again.returncode == 2
    assert "BATCH_JOB_ID=my-job-123: scene lobby has a run of this id already" in again.stderr
    assert (folders.data / "input/lobby/view1.mp4").exists()


EVERYWHERE = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "LOG_FORMAT": "text"}


@pytest.mark.parametrize(
    ("program", "env", "names"),
    [
        ("runner", {"RUN_MODE": "batch"}, {"BATCH_INPUT_PREFIX", "AZURE_STORAGE_ACCOUNT"}),
        (
            "runner",
            {"RUN_MODE": "batch", "AZURE_CLIENT_SECRET": "x", "PRESET": "best", "REPLICA_TIMEOUT_SECS": "1"},
            {"BATCH_INPUT_PREFIX", "AZURE_STORAGE_ACCOUNT", "AZURE_TENANT_ID", "AZURE_CLIENT_ID", "preset 'best'",
             "REPLICA_TIMEOUT_SECS"},
        ),
        (
            "runner",  # the image's entry point becomes watch mode
            {"RUN_MODE": "watch", "RETENTION_DAYS": "x", "STABILITY_TIMEOUT_SECS": "x", "MAX_RETRIES": "0"},
            {"RETENTION_DAYS", "STABILITY_TIMEOUT_SECS", "MAX_RETRIES"},
        ),
        (
            "function_app",
            {},
            {"AZURE_STORAGE_ACCOUNT", "AZURE_SUBSCRIPTION_ID", "AZURE_RESOURCE_GROUP", "RUNNER_JOB_NAME"},
        ),
    ],
)  # fmt: skip
def test_every_program_names_all_that_is_missing_or_wrong_at_once(
    program: str, env: dict[str, str], names: set[str]
) -> None:
    command = [sys.executable, "-m", program, *(["sweep"] if program == "function_app" else [])]
    ended = subprocess.run(command, env={**EVERYWHERE, **env}, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2, ended.stderr
    line = ended.stderr.splitlines()[-1]
    assert {name for name in names if re.search(rf"(?<!\w){re.escape(name)}(?!\w)", line)} == names
