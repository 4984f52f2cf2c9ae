"""The real Functions worker library finds every function of the app and can call each of them."""

from __future__ import annotations

import base64
import json
import re
import sys
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from local.azurite import Azurite
from local.functions_host.host import app_settings
from local.jobs_api.executions import Executions
from local.jobs_api.server import JobsApi
from scenejobs.ports import Containers, Queues
from scenejobs.settings.storage import StorageSettings
from scenejobs.state.messages import DebounceCheck, JobMessage
from tests import functions_worker
from tests.functions_worker import TRACE, FunctionsWorker

ROOT = Path(__file__).parents[2]
EXAMPLE = json.loads((ROOT / "local.settings.json.example").read_text())["Values"]
ENTRY = {"PYTHON_SCRIPT_FILE_NAME": EXAMPLE["PYTHON_SCRIPT_FILE_NAME"]}


@pytest.fixture(scope="module", autouse=True)
def _library() -> None:
    functions_worker.available()


def trigger(bindings: list[dict[str, Any]]) -> dict[str, Any]:
    return next(binding for binding in bindings if binding["type"].endswith("Trigger"))


@pytest.fixture(scope="module")
def index() -> dict[str, list[dict[str, Any]]]:
    with FunctionsWorker({**ENTRY, "BLOB_TRIGGER_SOURCE": ""}) as worker:
        assert worker.failure == ""
        return worker.index


def test_every_function_is_found(index: dict[str, list[dict[str, Any]]]) -> None:
    assert set(index) == {"on_upload", "on_quiet", "sweep", "on_upload_poison", "on_quiet_poison"}


def test_a_queue_of_events_takes_the_place_of_the_blob_trigger() -> None:
    with FunctionsWorker({**ENTRY, "UPLOADS_QUEUE": "uploads"}) as worker:
        assert set(worker.index) == {"on_event", "on_event_poison", "on_quiet", "sweep", "on_quiet_poison"}
        assert trigger(worker.index["on_event"])["queueName"] == "%UPLOADS_QUEUE%"
        assert trigger(worker.index["on_event_poison"])["queueName"] == "%UPLOADS_QUEUE%-poison"


def test_the_http_api_is_one_more_function_where_it_is_switched_on() -> None:
    for auth, level in (("entra", "anonymous"), ("keys", "function")):
        with FunctionsWorker({**ENTRY, "WEB": "true", "WEB_AUTH": auth}) as worker:
            assert set(worker.index) == {"on_upload", "on_quiet", "sweep", "on_upload_poison", "on_quiet_poison", "web"}
            binding = trigger(worker.index["web"])
            assert (binding["type"], binding["route"], binding["authLevel"].lower()) == (
                "httpTrigger",
                "{*path}",
                level,
            )


def test_an_upload_reaches_the_function_as_a_reference_not_as_gigabytes(index: dict[str, list[dict[str, Any]]]) -> None:
    binding = trigger(index["on_upload"])
    assert binding["properties"] == {"SupportsDeferredBinding": True}
    assert binding["path"] == "%AZURE_BLOB_CONTAINER_INPUT%/{name}"
    assert binding["source"] == "EventGrid"  # Flex Consumption knows no other


def test_the_emulator_is_polled_because_it_raises_no_events() -> None:
    with FunctionsWorker({**ENTRY, "BLOB_TRIGGER_SOURCE": EXAMPLE["BLOB_TRIGGER_SOURCE"]}) as worker:
        assert trigger(worker.index["on_upload"])["source"] == "LogsAndContainerScan"


def test_every_connection_and_setting_of_a_binding_is_in_the_sample_settings(
    index: dict[str, list[dict[str, Any]]],
) -> None:
    bindings = [binding for bindings in index.values() for binding in bindings]
    used = {name for binding in bindings for name in re.findall(r"%([^%]+)%", json.dumps(binding))}
    used |= {binding["connection"] for binding in bindings if "connection" in binding}
    assert used == {"AZURE_BLOB_CONTAINER_INPUT", "DEBOUNCE_QUEUE", "SWEEP_SCHEDULE", "SceneStorage"}
    assert used <= EXAMPLE.keys()


def test_a_wrong_source_is_said_at_the_start() -> None:
    with FunctionsWorker({**ENTRY, "BLOB_TRIGGER_SOURCE": "Polling"}) as worker:
        assert "Polling" in worker.failure


def test_a_root_file_called_function_app_would_be_shadowed_by_the_package(tmp_path: Path) -> None:
    """Why the entry file has another name. When this fails, the worker has changed and the setting may go."""
    (tmp_path / "function_app").mkdir()
    (tmp_path / "function_app" / "__init__.py").touch()
    (tmp_path / "function_app.py").write_text("import azure.functions as func\napp = func.FunctionApp()\n")
    with FunctionsWorker({"PYTHON_SCRIPT_FILE_NAME": "function_app.py"}, tmp_path) as worker:
        assert "Could not find top level function app instances" in worker.failure


# ---- invocations ---------------------------------------------------------------------------------


@pytest.fixture
def worker(azurite: Azurite, storage: StorageSettings, tmp_path: Path) -> Iterator[FunctionsWorker]:
    """The app over the emulator and a jobs API whose executions take no message."""
    executions = Executions("runner", [sys.executable, "-c", "import time; time.sleep(60)"], {}, tmp_path, limit=1)
    with JobsApi(executions) as api:
        env = app_settings({"AZURE_STORAGE_CONNECTION_STRING": azurite.connection_string}) | {
            **ENTRY,
            "AZURE_BLOB_CONTAINER_INPUT": storage.input,
            "AZURE_BLOB_CONTAINER_STATE": storage.state,
            "DEBOUNCE_QUEUE": storage.debounce_queue,
            "JOBS_QUEUE": storage.jobs_queue,
            "QUIET_SECONDS": "0",
            "AZURE_SUBSCRIPTION_ID": str(uuid.uuid4()),
            "AZURE_RESOURCE_GROUP": "local",
            "RUNNER_JOB_NAME": "runner",
            "ARM_ENDPOINT": api.endpoint,
        }
        with FunctionsWorker(env) as running:
            assert running.failure == ""
            yield running


def queue_input(text: str, dequeue_count: int = 1) -> dict[str, Any]:
    metadata = {"Id": "message-1", "PopReceipt": "receipt-1", "DequeueCount": str(dequeue_count)}
    return {"string": text, "metadata": metadata}


@pytest.mark.azurite
def test_every_function_is_invoked_from_an_upload_to_a_started_execution(
    worker: FunctionsWorker, containers: Containers, queues: Queues, storage: StorageSettings, tmp_path: Path
) -> None:
    containers.input.write("lobby/cam 1/ü.mp4", b"video")
    blob = {"Connection": "SceneStorage", "ContainerName": storage.input, "BlobName": "lobby/cam 1/ü.mp4"}
    assert worker.invoke("on_upload", upload={"blob": blob}) == {"failure": "", "outputs": {}}
    assert queues.debounce.total() == 1

    check = DebounceCheck("lobby", "", datetime.now(UTC))  # the event's own comes after the quiet time
    assert worker.invoke("on_quiet", message=queue_input(check.to_json())) == {"failure": "", "outputs": {}}
    message = queues.jobs.receive(60)
    assert message is not None
    job = JobMessage.from_json(message.text)
    assert (job.scene, job.traceparent) == ("lobby", TRACE)
    assert len(list(tmp_path.glob("*.log"))) == 1

    timer = {"json": json.dumps({"IsPastDue": True, "ScheduleStatus": {}, "Schedule": {}})}
    assert worker.invoke("sweep", timer=timer)["failure"] == ""
    note = {"FunctionId": "Host.Functions.on_upload", "ContainerName": storage.input, "BlobName": "b/a", "ETag": "e"}
    before = queues.debounce.total()
    encoded = base64.b64encode(json.dumps(note, indent=2).encode()).decode()  # as the real host writes it
    assert worker.invoke("on_upload_poison", message=queue_input(encoded))["failure"] == ""
    assert queues.debounce.total() == before + 1
    assert worker.invoke("on_quiet_poison", message=queue_input(check.to_json(), 9))["failure"] == ""
    assert queues.jobs.total() == 1


@pytest.mark.azurite
def test_an_event_in_the_queue_asks_for_the_same_check(
    azurite: Azurite, storage: StorageSettings, queues: Queues
) -> None:
    """Without the jobs API: nothing is started yet."""
    env = app_settings({"AZURE_STORAGE_CONNECTION_STRING": azurite.connection_string}) | {
        **ENTRY,
        "UPLOADS_QUEUE": "uploads",
        "AZURE_BLOB_CONTAINER_INPUT": storage.input,
        "AZURE_BLOB_CONTAINER_STATE": storage.state,
        "DEBOUNCE_QUEUE": storage.debounce_queue,
        "QUIET_SECONDS": "0",
        "AZURE_SUBSCRIPTION_ID": str(uuid.uuid4()),
        "AZURE_RESOURCE_GROUP": "local",
        "RUNNER_JOB_NAME": "runner",
        "ARM_ENDPOINT": "http://127.0.0.1:9",
    }
    subject = f"/blobServices/default/containers/{storage.input}/blobs/lobby/ü.mp4"
    event = {"eventType": "Microsoft.Storage.BlobCreated", "subject": subject, "data": {"api": "PutBlockList"}}
    with FunctionsWorker(env) as running:
        text = base64.b64encode(json.dumps(event).encode()).decode()
        assert running.invoke("on_event", message=queue_input(text)) == {"failure": "", "outputs": {}}
        assert queues.debounce.total() == 1
        answer = running.invoke("on_event", message=queue_input("no event"))
        assert json.loads(answer["outputs"]["poison"])["message"] == "no event"
        assert running.invoke("on_event_poison", message=queue_input("no event", 9))["failure"] == ""
    assert queues.debounce.total() == 1


@pytest.mark.azurite
@pytest.mark.parametrize(
    "text",
    ["", "no JSON", '{"v": 99}', DebounceCheck("../other", "", datetime(2026, 1, 1, tzinfo=UTC)).to_json()],
)
def test_a_message_nobody_can_read_goes_to_the_poison_queue_at_once(worker: FunctionsWorker, text: str) -> None:
    answer = worker.invoke("on_quiet", message=queue_input(text))
    assert answer["failure"] == ""
    poison = json.loads(answer["outputs"]["poison"])
    assert poison["message"] == text
    assert poison["reason"]


@pytest.mark.azurite
def test_a_failed_start_is_told_to_the_host_so_that_it_shows(worker: FunctionsWorker, containers: Containers) -> None:
    """The second execution is one too many for the service."""
    for scene, failure in (("lobby", ""), ("attic", "ComputeError: ")):
        containers.input.write(f"{scene}/a.mp4", b"video")
        check = DebounceCheck(scene, f"{scene}/a.mp4", datetime.now(UTC))
        answer = worker.invoke("on_quiet", message=queue_input(check.to_json()))
        assert answer["failure"].startswith(failure)
        assert bool(answer["failure"]) == bool(failure)
