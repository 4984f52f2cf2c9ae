"""The local host over the emulator delivers events as the Functions host does; what it does in time has a clock
of its own (tests/unit/local/test_functions_host.py).
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import azure.functions as func
import pytest
from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from azure.storage.blob import BlobClient
from azure.storage.queue import QueueClient

from local.azurite import Azurite, dying_with_parent
from local.functions_host.host import Host, app_settings
from local.functions_host.options import HostOptions
from scenejobs.adapters.azure.clients import open_containers, open_queues
from scenejobs.errors import ConfigurationError
from scenejobs.ports import Containers
from scenejobs.settings.storage import StorageSettings

pytestmark = pytest.mark.azurite

ROOT = Path(__file__).parents[2]
FAST = HostOptions(
    batch_size=4,
    new_batch_threshold=2,
    max_dequeue_count=3,
    visibility=timedelta(0),
    blob_parallel=4,
    blob_tries=3,
)


def wait_for(condition: Callable[[], object], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)


class Recorder:
    """Functions that note what they got, and fail as often as they are told to."""

    def __init__(self, source: str = "LogsAndContainerScan", schedule: str = "* * * * * *") -> None:
        self.source = func.BlobSource(source)
        self.schedule = schedule
        self.past_due: bool | None = None
        self.uploads: list[str] = []
        self.messages: list[tuple[str, int, float]] = []  # body, dequeue count, when
        self.poison: list[str] = []
        self.ticks = 0
        self.failures: dict[str, int] = {}
        self.together = self.most_together = 0
        self.busy_s = 0.0
        self._lock = threading.Lock()

    def app(self) -> func.FunctionApp:
        app = func.FunctionApp()

        @app.function_name("on_upload")
        @app.blob_trigger(arg_name="upload", path="%INPUT%/{name}", connection="Storage", source=self.source)
        def on_upload(upload: Any) -> None:
            self.uploads.append(upload.blob_name)
            self.fail(upload.blob_name)

        @app.function_name("on_message")
        @app.queue_trigger(arg_name="message", queue_name="%QUEUE%", connection="Storage")
        @app.queue_output(arg_name="out", queue_name="%QUEUE%-out", connection="Storage")
        def on_message(message: func.QueueMessage, out: func.Out[str], context: func.Context) -> None:
            body = message.get_body().decode()
            self.messages.append((body, message.dequeue_count or 0, time.monotonic()))
            with self._lock:
                self.together += 1
                self.most_together = max(self.together, self.most_together)
            time.sleep(self.busy_s)
            with self._lock:
                self.together -= 1
            self.fail(body)
            if body == "answer":
                out.set(context.trace_context.trace_parent)

        @app.function_name("on_poison")
        @app.queue_trigger(arg_name="message", queue_name="%QUEUE%-poison", connection="Storage")
        def on_poison(message: func.QueueMessage) -> None:
            self.poison.append(message.get_body().decode())

        @app.function_name("tick")
        @app.timer_trigger(arg_name="timer", schedule=self.schedule)
        def tick(timer: func.TimerRequest) -> None:
            self.ticks += 1
            self.past_due = timer.past_due

        return app

    def fail(self, what: str) -> None:
        if self.failures.get(what, 0) > 0:
            self.failures[what] -= 1
            raise RuntimeError(f"{what} fails")


@pytest.fixture
def settings(azurite: Azurite, storage: StorageSettings) -> dict[str, str]:
    text = azurite.connection_string
    return {
        "Storage": text,
        "AzureWebJobsStorage": text,
        "INPUT": storage.input,
        "QUEUE": storage.debounce_queue,
        "LOCAL_MAX_POLLING_SECONDS": "0.1",
        "APPLICATIONINSIGHTS_CONNECTION_STRING": "InstrumentationKey=0",
    }


@contextmanager
def hosted(recorder: Recorder, settings: dict[str, str], options: HostOptions = FAST) -> Iterator[Host]:
    with Host(recorder.app(), settings, options, blob_poll_s=0.1) as host:
        yield host


def queue(settings: dict[str, str], suffix: str = "") -> QueueClient:
    return QueueClient.from_connection_string(settings["Storage"], settings["QUEUE"] + suffix)


def test_an_upload_is_delivered_once_per_version(settings: dict[str, str], containers: Containers) -> None:
    recorder = Recorder()
    containers.input.write("lobby/before.mp4", b"1")
    with hosted(recorder, settings):
        wait_for(lambda: recorder.uploads == ["lobby/before.mp4"])
        containers.input.write("lobby/ü 1.mp4", b"1")
        wait_for(lambda: len(recorder.uploads) == 2)
        containers.input.write("lobby/ü 1.mp4", b"2")
        wait_for(lambda: len(recorder.uploads) == 3)
        time.sleep(0.5)
    assert recorder.uploads == ["lobby/before.mp4", "lobby/ü 1.mp4", "lobby/ü 1.mp4"]


def test_a_host_that_was_restarted_remembers_what_it_delivered(
    settings: dict[str, str], containers: Containers
) -> None:
    recorder = Recorder()
    containers.input.write("lobby/a.mp4", b"1")
    with hosted(recorder, settings):
        wait_for(lambda: recorder.uploads)
    containers.input.write("lobby/b.mp4", b"1")  # while it is down
    with hosted(recorder, settings):
        wait_for(lambda: len(recorder.uploads) == 2)
        time.sleep(0.5)
    assert recorder.uploads == ["lobby/a.mp4", "lobby/b.mp4"]


def test_a_function_that_fails_is_tried_again_and_then_succeeds(settings: dict[str, str]) -> None:
    recorder = Recorder()
    recorder.failures["check"] = 2
    with hosted(recorder, settings):
        queue(settings).send_message("check")
        wait_for(lambda: len(recorder.messages) == 3)
        wait_for(lambda: queue(settings).get_queue_properties().approximate_message_count == 0)
    assert [count for _, count, _ in recorder.messages] == [1, 2, 3]
    assert recorder.poison == []


def test_a_function_that_always_fails_is_tried_so_often_and_then_poisoned(settings: dict[str, str]) -> None:
    recorder = Recorder()
    recorder.failures["check"] = 99
    with hosted(recorder, settings):
        queue(settings).send_message("check")
        wait_for(lambda: recorder.poison == ["check"])
        time.sleep(0.3)
    assert [count for _, count, _ in recorder.messages] == [1, 2, 3]
    assert queue(settings).get_queue_properties().approximate_message_count == 0


def test_an_upload_event_that_always_fails_is_tried_at_once_and_poisoned_with_what_is_known_of_it(
    settings: dict[str, str], containers: Containers
) -> None:
    """The minute between two tries is of queue triggers alone."""
    recorder = Recorder()
    recorder.failures["lobby/a.mp4"] = 99
    containers.input.write("lobby/a.mp4", b"1")
    poison = QueueClient.from_connection_string(settings["Storage"], "webjobs-blobtrigger-poison")
    with contextlib.suppress(ResourceExistsError):  # the host makes it only when it has something for it
        poison.create_queue()
    with hosted(recorder, settings, replace(FAST, visibility=timedelta(minutes=1))):
        wait_for(lambda: len(recorder.uploads) == 3)
        ours: list[dict[str, str]] = []

        def arrived() -> bool:
            found = [
                json.loads(base64.b64decode(message.content))
                for message in poison.receive_messages(visibility_timeout=1)
            ]
            ours.extend(note for note in found if note["ContainerName"] == settings["INPUT"])
            return bool(ours)

        wait_for(arrived)
        assert (ours[0]["BlobName"], ours[0]["FunctionId"]) == ("lobby/a.mp4", "Host.Functions.on_upload")
        time.sleep(0.3)
    assert len(recorder.uploads) == 3


def test_a_failed_try_is_repeated_after_the_visibility_timeout(settings: dict[str, str]) -> None:
    recorder = Recorder()
    recorder.failures["check"] = 1
    options = HostOptions(max_dequeue_count=3, visibility=timedelta(seconds=2))
    with hosted(recorder, settings, options):
        queue(settings).send_message("check")
        wait_for(lambda: len(recorder.messages) == 2)
    (_, _, first), (_, _, second) = recorder.messages
    assert 1.0 <= second - first < 10  # the service keeps whole seconds


def test_a_delayed_message_is_delayed(settings: dict[str, str]) -> None:
    recorder = Recorder()
    with hosted(recorder, settings):
        begin = time.monotonic()
        queue(settings).send_message("later", visibility_timeout=2)
        queue(settings).send_message("now")
        wait_for(lambda: len(recorder.messages) == 2)
    assert [body for body, _, _ in recorder.messages] == ["now", "later"]
    assert recorder.messages[1][2] - begin >= 1.0


def test_no_more_functions_run_at_once_than_host_json_allows(settings: dict[str, str]) -> None:
    recorder = Recorder()
    recorder.busy_s = 0.15
    for number in range(20):
        queue(settings).send_message(str(number))
    with hosted(recorder, settings):
        wait_for(lambda: len(recorder.messages) == 20)
    assert 2 <= recorder.most_together <= FAST.batch_size + FAST.new_batch_threshold


def test_what_a_function_puts_into_an_output_is_sent(settings: dict[str, str]) -> None:
    recorder = Recorder()
    with hosted(recorder, settings):
        queue(settings).send_message("answer")
        out = queue(settings, "-out")
        wait_for(lambda: recorder.messages and not recorder.together)
        wait_for(lambda: _exists(out) and out.peek_messages())
    (message,) = out.peek_messages()
    assert message.content.startswith("00-")


def _exists(client: QueueClient) -> bool:
    try:
        client.get_queue_properties()
    except ResourceNotFoundError:
        return False
    return True


def test_timers_fire_by_their_schedule(settings: dict[str, str]) -> None:
    recorder = Recorder()
    with hosted(recorder, settings):
        wait_for(lambda: recorder.ticks >= 2)
    ticks = recorder.ticks
    time.sleep(1.2)
    assert recorder.ticks == ticks  # stopped means stopped


def test_two_hosts_on_one_storage_run_a_timer_once(settings: dict[str, str]) -> None:
    first, second = Recorder(), Recorder()
    with hosted(first, settings):
        wait_for(lambda: first.ticks)
        with hosted(second, settings):
            ticks = first.ticks
            wait_for(lambda: first.ticks >= ticks + 2)
        assert second.ticks == 0
    with hosted(second, settings):  # the lock was given back
        wait_for(lambda: second.ticks)


def test_a_time_that_was_missed_is_remembered_in_the_hosts_storage(settings: dict[str, str]) -> None:
    recorder, name = Recorder(schedule="0 0 0 1 1 *"), f"timers/{settings['QUEUE']}/Host.Functions.tick/status"
    status = BlobClient.from_connection_string(settings["Storage"], "azure-webjobs-hosts", name)
    settings["AzureFunctionsWebHost__hostid"] = settings["QUEUE"]
    with hosted(recorder, settings):
        wait_for(status.exists)
    assert recorder.ticks == 0
    missed = {**json.loads(status.download_blob().readall()), "Next": "2026-01-01T00:00:00+00:00"}
    status.upload_blob(json.dumps(missed), overwrite=True)
    with hosted(recorder, settings):
        wait_for(lambda: recorder.ticks == 1)
    assert recorder.past_due is True
    with hosted(recorder, settings):
        time.sleep(0.3)
    assert recorder.ticks == 1


def test_a_host_that_is_drained_ends_what_runs_and_takes_nothing_more(settings: dict[str, str]) -> None:
    recorder = Recorder()
    recorder.busy_s = 1.0
    with hosted(recorder, settings) as host:
        queue(settings).send_message("running")
        wait_for(lambda: recorder.messages)
        host.drain()
        assert recorder.together == 0
        queue(settings).send_message("late")
        time.sleep(0.5)
    assert [body for body, _, _ in recorder.messages] == ["running"]
    assert queue(settings).get_queue_properties().approximate_message_count == 1


HANGS = """
import azure.functions as func, time
app = func.FunctionApp()

@app.function_name("hangs")
@app.timer_trigger(arg_name="timer", schedule="* * * * * *")
def hangs(timer: func.TimerRequest) -> None:
    time.sleep(600)
"""
IN_A_SECOND = """
import datetime, sys
from local.functions_host import host, options
read = lambda path: options.HostOptions(function_timeout=datetime.timedelta(seconds=1))
host.HostOptions.read, host.STOP_WAIT_S = read, 0.1
sys.exit(host.main())
"""


def test_a_function_that_exceeds_the_time_limit_costs_the_process_which_begins_anew(
    azurite: Azurite, tmp_path: Path
) -> None:
    (tmp_path / "hanging_app.py").write_text(HANGS)
    env = {
        **os.environ, "AZURE_STORAGE_CONNECTION_STRING": azurite.connection_string, "PYTHONPATH": str(tmp_path),
        "PYTHON_SCRIPT_FILE_NAME": "hanging_app.py", "AzureFunctionsWebHost__hostid": uuid.uuid4().hex,
    }  # fmt: skip
    log_file = tmp_path / "host.log"
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            dying_with_parent([sys.executable, "-c", IN_A_SECOND]), cwd=ROOT, env=env, stdout=log, stderr=log
        )
    try:
        wait_for(lambda: log_file.read_text().count("functions: hangs") == 2, 60)
    finally:
        process.kill()
        process.wait()
    assert "ran for longer than the 1 s of functionTimeout" in log_file.read_text()


def test_events_of_event_grid_reach_the_function_by_the_hosts_queue(
    settings: dict[str, str], containers: Containers
) -> None:
    """The same one twice is two calls; what was deleted meanwhile is none."""
    recorder = Recorder(source="EventGrid")
    containers.input.write("lobby/ü 1.mp4", b"1")
    address = settings["Storage"].split("BlobEndpoint=")[1].split(";")[0]
    events = [
        {"eventType": "Microsoft.Storage.BlobCreated", "data": {"url": f"{address}/{settings['INPUT']}/{name}"}}
        for name in ("lobby/%C3%BC%201.mp4", "lobby/gone.mp4", "lobby/%C3%BC%201.mp4")
    ]
    with hosted(recorder, settings) as host:
        assert host.receive_events("on_upload", json.dumps(events).encode()).status == 202
        wait_for(lambda: len(recorder.uploads) == 2)
        time.sleep(0.3)
    assert recorder.uploads == ["lobby/ü 1.mp4", "lobby/ü 1.mp4"]


def test_a_function_is_switched_off_by_the_setting_that_azure_knows(settings: dict[str, str]) -> None:
    options = {**settings, "AzureWebJobs.on_upload.Disabled": "true", "AzureWebJobs.tick.Disabled": "false"}
    names = {function.name for function in Host(Recorder().app(), options, FAST).functions}
    assert "on_upload" not in names
    assert {"on_message", "tick"} <= names


def test_the_process_hosts_the_real_app_and_ends_when_it_is_told_to(
    azurite: Azurite, storage: StorageSettings, tmp_path: Path
) -> None:
    """The uploads are sealed and queued; that the jobs API is down loses nothing."""
    env = {
        **os.environ,
        "AZURE_STORAGE_CONNECTION_STRING": azurite.connection_string,
        "AZURE_BLOB_CONTAINER_INPUT": storage.input,
        "AZURE_BLOB_CONTAINER_STATE": storage.state,
        "DEBOUNCE_QUEUE": storage.debounce_queue,
        "JOBS_QUEUE": storage.jobs_queue,
        "QUIET_SECONDS": "1",
        "AZURE_SUBSCRIPTION_ID": str(uuid.uuid4()),
        "AZURE_RESOURCE_GROUP": "local",
        "RUNNER_JOB_NAME": "runner",
        "ARM_ENDPOINT": "http://127.0.0.1:9",
    }
    log_file = tmp_path / "host.log"
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            dying_with_parent([sys.executable, "-m", "local.functions_host"]),
            cwd=ROOT, env=env, stdout=log, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        open_containers(storage).input.write("lobby/a.mp4", b"video")
        wait_for(lambda: open_queues(storage).jobs.waiting() == 1, 60)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0  # a function that runs has ten seconds
    finally:
        process.kill()
        process.wait()
    text = log_file.read_text()
    assert "on_upload (blobTrigger)" in text
    assert "scene lobby: batch" in text


def test_a_desk_whose_functions_cannot_be_indexed_says_so_in_a_line_and_ends(azurite: Azurite) -> None:
    """The real host goes on with the others, half dead, and answers as if it were well."""
    env = {**os.environ, "AZURE_STORAGE_CONNECTION_STRING": azurite.connection_string, "DEBOUNCE_QUEUE": ""}
    ended = subprocess.run(
        [sys.executable, "-m", "local.functions_host"], cwd=ROOT, env=env, capture_output=True, text=True, timeout=60
    )
    assert ended.returncode == ConfigurationError.exit_code
    (line,) = [line for line in ended.stderr.splitlines() if "failed indexing" in line]
    assert "on_quiet (DEBOUNCE_QUEUE is not set)" in line
    assert "on_upload (" not in line


def test_settings_of_a_deployment_need_not_be_given_on_a_desk() -> None:
    found = app_settings({"AZURE_STORAGE_CONNECTION_STRING": "text", "DEBOUNCE_QUEUE": "mine"})
    assert (found["SceneStorage"], found["AzureWebJobsStorage"], found["DEBOUNCE_QUEUE"]) == ("text", "text", "mine")
    assert found["SWEEP_SCHEDULE"] == "0 */5 * * * *"
