"""Blob triggers of the local host over the emulator: by scan and by events, once per version, tries, poison."""

from __future__ import annotations

import base64
import contextlib
import json
import time
from dataclasses import replace
from datetime import timedelta

import pytest
from azure.core.exceptions import ResourceExistsError
from azure.storage.queue import QueueClient

from scenejobs.ports import Containers
from tests.acceptance.functions_host.recorder import FAST, Recorder, hosted, wait_for

pytestmark = pytest.mark.azurite


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
