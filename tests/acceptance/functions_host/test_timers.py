"""Timers of the local host over the emulator; what they do in time has a clock of its own
(tests/unit/local/test_timers_of_the_host.py).
"""

from __future__ import annotations

import json
import time

import pytest
from azure.storage.blob import BlobClient

from tests.acceptance.functions_host.recorder import Recorder, hosted, wait_for

pytestmark = pytest.mark.azurite


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
