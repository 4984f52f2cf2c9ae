"""Five planted secrets through runs that succeed, fail and crash at LOG_LEVEL=DEBUG: nothing that is left holds one.

Left are: the output of every process, every blob with its name, properties and metadata, every message.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import quote, unquote

import pytest
from azure.storage.blob import AccountSasPermissions, BlobServiceClient, ResourceTypes, generate_account_sas
from azure.storage.queue import QueueServiceClient

from local.azurite import ACCOUNT, KEY, Azurite
from scenejobs.adapters.azure.clients import container_names, queue_names
from scenejobs.ports import Containers, Queues
from scenejobs.settings.storage import StorageSettings
from scenejobs.state.messages import JobMessage

pytestmark = [pytest.mark.azurite, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
BEARER, HEADER, SECRET = "canary-bearer-7Zq1", "canary-header-x9Lp", "canary~client~secret~Vt4"


class Identity(BaseHTTPRequestHandler):
    """The endpoint where a managed identity gets its tokens, and a management service that refuses them."""

    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.headers.get("X-IDENTITY-HEADER", ""))
        expires = int(time.time()) + 3600
        body = {"access_token": BEARER, "expires_on": str(expires), "token_type": "Bearer", "resource": "x"}
        data = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def identity() -> Iterator[HTTPServer]:
    Identity.asked = []
    with HTTPServer(("127.0.0.1", 0), Identity) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def signature(azurite: Azurite, permission: str) -> str:
    return generate_account_sas(
        ACCOUNT, KEY, resource_types=ResourceTypes(container=True, object=True), services="bq",
        permission=AccountSasPermissions.from_string(permission), expiry=datetime.now(UTC) + timedelta(hours=1),
    )  # fmt: skip


def job_of(runner: int) -> int | None:
    """The process of the job. Not any child: Azure's library names the system in its requests, and asks `uname`."""
    for child in Path(f"/proc/{runner}/task/{runner}/children").read_text().split():
        with suppress(FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
            if b"runner.job.child" in Path(f"/proc/{child}/cmdline").read_bytes():
                return int(child)
    return None


class Plant:
    """Runs the program with secrets in its environment, and keeps everything it says."""

    def __init__(self, azurite: Azurite, storage: StorageSettings, folder: Path, identity_port: int) -> None:
        self.said = ""
        self.sas = {name: signature(azurite, name) for name in ("rwdlacup", "rl")}
        names = {item.metadata["variable"]: getattr(storage, item.name) for item in fields(storage)}
        self.names = {key: str(value) for key, value in names.items() if "CONTAINER" in key or "QUEUE" in key}
        self.names = {key: value for key, value in self.names.items() if value and "ENDPOINT" not in key}
        self.env = {
            **self.names,
            "PATH": os.environ["PATH"], "LOG_LEVEL": "DEBUG", "LOG_FORMAT": "json", "BACKEND": "mock",
            "TEMP_PATH": str(folder), "RUNNER_LEASE_SECONDS": "15", "QUEUE_IDLE_POLLS": "1",
            "QUEUE_IDLE_WAIT_SECS": "0", "MIN_DISK_SPACE_GB": "0", "MAX_RETRIES": "1",
            "UPLOAD_STALLED_SECS": "0",  # the empty clip is one, and no upload in progress
            "IDENTITY_ENDPOINT": f"http://127.0.0.1:{identity_port}/token", "IDENTITY_HEADER": HEADER,
            "AZURE_TENANT_ID": "00000000-0000-0000-0000-000000000000",
            "AZURE_CLIENT_ID": "00000000-0000-0000-0000-000000000001", "AZURE_CLIENT_SECRET": SECRET,
            "AZURE_AUTHORITY_HOST": "https://127.0.0.1:1",
        }  # fmt: skip
        self.with_key = {"AZURE_STORAGE_CONNECTION_STRING": azurite.connection_string}
        self.endpoints = {
            "AZURE_STORAGE_ENDPOINT": azurite.blob_endpoint, "AZURE_STORAGE_QUEUE_ENDPOINT": azurite.queue_endpoint,
        }  # fmt: skip

    def with_sas(self, permission: str = "rwdlacup") -> dict[str, str]:
        return {**self.endpoints, "AZURE_STORAGE_SAS_TOKEN": self.sas[permission]}

    def run(self, *arguments: str, **env: str) -> int:
        command = [sys.executable, *(arguments or ("-m", "runner"))]
        done = subprocess.run(
            command, cwd=ROOT, env={**self.env, **env}, capture_output=True, text=True, timeout=180, check=False
        )
        self.said += done.stdout + done.stderr
        return done.returncode

    def run_and_kill_the_job(self, **env: str) -> int:
        """The job's process dies of SIGKILL in the middle of its work."""
        with subprocess.Popen(
            [sys.executable, "-m", "runner"], cwd=ROOT, env={**self.env, "MOCK_SECONDS": "60", **env},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        ) as process:  # fmt: skip
            end = time.monotonic() + 60
            while (job := job_of(process.pid)) is None:
                assert time.monotonic() < end
                time.sleep(0.1)
            os.kill(job, signal.SIGKILL)
            self.said += process.communicate(timeout=120)[0]
        return process.returncode

    def secrets(self) -> list[str]:
        signatures = [token.rpartition("sig=")[2].partition("&")[0] for token in self.sas.values()]
        plain = [KEY, BEARER, HEADER, SECRET, *map(unquote, signatures)]
        return [*plain, *map(quote, plain), *(quote(secret, safe="") for secret in plain)]


def everything_stored(storage: StorageSettings) -> dict[str, str]:
    """Each blob and message as text: content, name, properties, metadata, copy source."""
    found = {}
    blobs = BlobServiceClient.from_connection_string(storage.connection_string)
    for container in container_names(storage):
        client = blobs.get_container_client(container)
        for blob in client.list_blobs(include=["metadata", "copy", "tags"]):
            data = client.download_blob(blob.name).readall().decode("utf-8", "replace")
            found[f"{container}/{blob.name}"] = f"{blob!r} {blob.copy.source} {blob.metadata} {data}"
    queues = QueueServiceClient.from_connection_string(storage.connection_string)
    for name in queue_names(storage):
        for message in queues.get_queue_client(name).peek_messages(32):
            found[f"{name}/{message.id}"] = str(message.content)
    return found


def test_nothing_that_is_left_holds_a_secret(
    azurite: Azurite,
    storage: StorageSettings,
    containers: Containers,
    queues: Queues,
    tmp_path: Path,
    identity: HTTPServer,
) -> None:
    plant = Plant(azurite, storage, tmp_path, identity.server_port)

    def queue(scene: str) -> None:
        queues.jobs.send(JobMessage(scene, "", datetime.now(UTC)).to_json())

    # Work with a SAS: a result, a dead letter, a message that nobody can read and that holds a SAS itself.
    for name, data in (("lobby/view1.mp4", b"video"), ("lobby/sig=x&y.mp4", b"video"), ("hall/view1.mp4", b"")):
        containers.input.write(name, data)
    queue("lobby")
    queue("hall")
    queues.jobs.send(f"please do https://x/input/a?{plant.sas['rwdlacup']} with AccountKey={KEY}")
    queues.jobs.send(json.dumps({"v": 1, "scene": f"../{SECRET}?sig={plant.sas['rl']}"}))
    assert plant.run(**plant.with_sas()) == 0, plant.said
    # A job that crashes, with the account's key: one attempt, then the dead letters.
    containers.input.write("room/view1.mp4", b"video")
    queue("room")
    assert plant.run_and_kill_the_job(**plant.with_key) == 0, plant.said
    # Refusals and failures at the start.
    assert plant.run(**plant.with_sas("rl")) == 2  # a SAS that may not touch queues: 403
    nobody = {"AZURE_STORAGE_ENDPOINT": "http://127.0.0.1:1/x", "AZURE_STORAGE_QUEUE_ENDPOINT": "http://127.0.0.1:1/x"}
    assert plant.run(**{**plant.with_sas(), **nobody}) == 2
    real = f"DefaultEndpointsProtocol=https;AccountName=shop;AccountKey={KEY};EndpointSuffix=core.windows.net"
    assert plant.run(AZURE_STORAGE_CONNECTION_STRING=real) == 2
    assert plant.run(AZURE_STORAGE_CONNECTION_STRING=f"AccountKey={KEY};BlobEndpoint=http://127.0.0.1:1/x") == 2
    # Identities: a token is fetched and may not travel over http; no token is given at all.
    https = {"AZURE_STORAGE_ENDPOINT": "https://127.0.0.1:1/x", "AZURE_STORAGE_QUEUE_ENDPOINT": "https://127.0.0.1:1/x"}
    assert plant.run(AZURE_USE_MANAGED_IDENTITY="true", **https) == 2
    assert HEADER in Identity.asked, "the identity was not asked: the canaries were not in play"
    assert plant.run(**https) == 2
    # The user's commands and the dispatcher.
    assert plant.run("-m", "scenejobs", "status", **plant.with_sas()) == 1, "two scenes failed"
    assert plant.run("-m", "scenejobs", "status", **{**plant.with_sas(), **nobody}) != 0

    containers.input.write("attic/view1.mp4", b"video")
    queue("attic")
    arm = {
        "ARM_ENDPOINT": f"http://127.0.0.1:{identity.server_port}", "AZURE_SUBSCRIPTION_ID": "s",
        "AZURE_RESOURCE_GROUP": "g", "RUNNER_JOB_NAME": "j",
    }  # fmt: skip
    plant.run("-m", "function_app", "sweep", **plant.with_sas(), **arm)

    stored = everything_stored(storage)
    assert any(name.endswith("lobby/manifest.json") for name in stored)
    assert any(name.endswith("hall/error.json") for name in stored)
    assert any(name.endswith("room/error.json") for name in stored)
    poison = [text for name, text in stored.items() if "poison" in name]
    assert len(poison) == 2
    assert "[REDACTED]" in poison[0]
    for secret in plant.secrets():
        assert secret not in plant.said
        assert [name for name, text in stored.items() if secret in text or secret in name] == []


@pytest.mark.parametrize(
    "connection_string",
    [
        f"DefaultEndpointsProtocol=https;AccountName=shop;AccountKey={KEY};EndpointSuffix=core.windows.net",
        f"AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint=https://shop.blob.core.windows.net;"
        "QueueEndpoint=https://shop.queue.core.windows.net",
        f"AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint=http://127.0.0.1.evil.example/x;QueueEndpoint=http://127.0.0.1/x",
        f"AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint=http://user@10.0.0.5/127.0.0.1;QueueEndpoint=http://127.0.0.1/x",
    ],
)
def test_an_account_key_for_anything_but_an_emulator_stops_the_program(connection_string: str, tmp_path: Path) -> None:
    env = {"PATH": os.environ["PATH"], "AZURE_STORAGE_CONNECTION_STRING": connection_string}
    done = subprocess.run(
        [sys.executable, "-m", "runner"], cwd=ROOT, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "leads to a real account" in done.stderr
    assert KEY not in done.stderr


def test_the_emulators_account_is_refused_without_an_emulator() -> None:
    env = {"PATH": os.environ["PATH"], "AZURE_STORAGE_ACCOUNT": ACCOUNT}
    done = subprocess.run(
        [sys.executable, "-m", "runner"], cwd=ROOT, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "is the emulator's account" in done.stderr
