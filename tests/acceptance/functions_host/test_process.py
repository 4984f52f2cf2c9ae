"""The process of the local host: the real app, its settings, its end, the time limit of a function."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from local.azurite import Azurite, dying_with_parent
from local.functions_host.host import Host, app_settings
from scenejobs.adapters.azure.clients import open_containers, open_queues
from scenejobs.errors import ConfigurationError
from scenejobs.settings.groups import StorageSettings
from tests.acceptance.functions_host.recorder import FAST, Recorder, wait_for

pytestmark = pytest.mark.azurite

ROOT = Path(__file__).parents[3]

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
