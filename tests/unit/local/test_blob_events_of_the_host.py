"""Events of uploads in the local Functions host: webhook, notes, and which are dropped."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from azure.core.exceptions import ResourceNotFoundError

from local.functions_host import webhook
from local.functions_host.blob_trigger import EVENT_GRID, SCAN, deliver, encoded_note, read_note
from local.functions_host.options import HostOptions

ROOT = Path(__file__).parents[3]


def event(url: str, etag: str = "0x8D1") -> dict[str, Any]:
    return {"eventType": "Microsoft.Storage.BlobCreated", "data": {"url": url, "eTag": etag, "api": "PutBlob"}}


def notes_of(*events: dict[str, Any], function: str = "on_upload") -> list[str]:
    sent: list[str] = []
    answer = webhook.receive(function, json.dumps(list(events)).encode(), "", sent.append)
    assert answer.status == 202
    return sent


class Uploads:
    """A service with some blobs, and what was called for them."""

    def __init__(self, **etags: str) -> None:
        self.etags = etags
        self.called: list[str] = []

    def get_blob_client(self, container: str, name: str) -> Any:
        def properties() -> Any:
            found = self.etags.get(f"{container}/{name}".replace("/", "_"))
            if found is None:
                raise ResourceNotFoundError("404")
            return SimpleNamespace(etag=found)

        return SimpleNamespace(get_blob_properties=properties)

    def deliver(self, note: str, source: str = EVENT_GRID) -> None:
        message = SimpleNamespace(content=note)
        service: Any = self
        client_of: Any = lambda container, name: f"{container}/{name}"  # noqa: E731
        deliver(message, "on_upload", source, service, client_of, self.called.append)


def test_a_note_is_base64_of_indented_json_whatever_host_json_says() -> None:
    (note,) = notes_of(event("https://a.blob.core.windows.net/input/s1/%C3%BC%25%20%231.mp4"))
    assert base64.b64decode(note).startswith(b'{\n  "Type"')
    body = read_note(note)
    assert (body["FunctionId"], body["ContainerName"]) == ("Host.Functions.on_upload", "input")
    assert body["BlobName"] == "s1/ü% #1.mp4"


def test_the_same_event_twice_is_two_calls_and_no_version_is_compared() -> None:
    uploads = Uploads(input_s1="another version")
    for note in notes_of(event("https://a/input/s1"), event("https://a/input/s1")):
        uploads.deliver(note)
    assert uploads.called == ["input/s1", "input/s1"]


def test_where_the_host_scans_a_note_of_another_version_is_dropped() -> None:
    uploads = Uploads(input_s1='"0x8D2"')
    uploads.deliver(encoded_note("on_upload", "input", "s1", '"0x8D1"'), SCAN)
    assert uploads.called == []
    uploads.deliver(encoded_note("on_upload", "input", "s1", '"0x8D2"'), SCAN)
    assert uploads.called == ["input/s1"]


def test_a_blob_of_another_container_is_delivered_and_dots_in_a_name_are_resolved() -> None:
    uploads = Uploads(other_b="1", input_s1_x="1")
    (other,) = notes_of(event("https://a/other/b"))
    uploads.deliver(other)
    uploads.deliver(encoded_note("on_upload", "input", "h/../s1/x", "1"))
    assert uploads.called == ["other/b", "input/s1/x"]


def test_a_gone_blob_is_dropped() -> None:
    uploads = Uploads()
    uploads.deliver(notes_of(event("https://a/input/s1"))[0])
    assert uploads.called == []


def test_an_event_for_a_function_that_is_not_there_is_accepted_and_gone() -> None:
    uploads = Uploads(input_s1="1")
    uploads.deliver(notes_of(event("https://a/input/s1"), function="nope")[0])
    assert uploads.called == []


def test_the_handshake_is_answered_and_what_is_no_json_is_an_error() -> None:
    handshake = {"eventType": webhook.HANDSHAKE, "data": {"validationCode": "512d38b6"}}
    answer = webhook.receive("on_upload", json.dumps([handshake]).encode(), "", pytest.fail)
    assert (answer.status, json.loads(answer.body)) == (200, {"validationResponse": "512d38b6"})
    assert webhook.receive("on_upload", b"<xml/>", "", pytest.fail).status == 500


def test_the_numbers_of_host_json_and_the_real_hosts_defaults() -> None:
    options = HostOptions.read(ROOT / "host.json")
    assert (options.batch_size, options.new_batch_threshold, options.max_dequeue_count) == (8, 4, 8)
    assert (options.visibility, options.blob_tries) == (timedelta(minutes=1), 5)
    assert options.function_timeout == timedelta(minutes=5)
    assert HostOptions().max_polling == timedelta(minutes=1)
