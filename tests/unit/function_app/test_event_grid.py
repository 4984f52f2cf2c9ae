"""Event Grid's messages in a storage queue lead to the same look at the scene as the blob trigger does."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from function_app.event_grid import uploaded
from scenejobs.errors import UnreadableMessage
from scenejobs.state.messages import DebounceCheck
from tests.dispatch import World
from tests.fuzzed_messages import messages

# As in https://learn.microsoft.com/azure/event-grid/event-schema-blob-storage
GRID: dict[str, Any] = {
    "topic": "/subscriptions/s/resourceGroups/Storage/providers/Microsoft.Storage/storageAccounts/my-account",
    "subject": "/blobServices/default/containers/input/blobs/lobby/cam 1/ü%.mp4",
    "eventType": "Microsoft.Storage.BlobCreated",
    "eventTime": "2017-06-26T18:41:00.9584103Z",
    "id": "831e1650-001e-001b-66ab-eeb76e069631",
    "data": {
        "api": "PutBlockList", "requestId": "831e1650-001e-001b-66ab-eeb76e000000", "eTag": "0x8D4BCC2E4835CD0",
        "contentType": "video/mp4", "contentLength": 524288, "blobType": "BlockBlob",
        "url": "https://my-account.blob.core.windows.net/input/lobby/cam%201/%C3%BC%25.mp4",
    },
    "dataVersion": "", "metadataVersion": "1",
}  # fmt: skip
CLOUD: dict[str, Any] = {
    "specversion": "1.0", "source": GRID["topic"], "subject": GRID["subject"], "type": GRID["eventType"],
    "time": GRID["eventTime"], "id": GRID["id"], "data": GRID["data"],
}  # fmt: skip
NAME = "lobby/cam 1/ü%.mp4"


def encoded(event: dict[str, Any]) -> str:
    return base64.b64encode(json.dumps(event).encode()).decode()


def without(event: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in event.items() if name != key}


@pytest.mark.parametrize("event", [GRID, CLOUD], ids=["event grid", "cloud events"])
@pytest.mark.parametrize("text", [encoded, json.dumps], ids=["base64", "plain"])
def test_both_schemas_are_read_in_base64_and_plain(event: dict[str, Any], text: Any) -> None:
    assert uploaded(text(event), "input") == NAME


def test_without_an_address_the_subject_names_the_upload() -> None:
    assert uploaded(encoded(without(GRID, "data")), "input") == NAME
    for url in ("https://[", "https://a/output/b.mp4", "https://a/input/", "https://a/input/%FF", 7, None):
        assert uploaded(encoded(GRID | {"data": {"url": url}}), "input") == NAME


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (GRID | {"eventType": "Microsoft.Storage.BlobDeleted"}, "is 'Microsoft.Storage.BlobDeleted'"),
        (CLOUD | {"type": 1}, "its type is 1"),
        (without(GRID, "eventType"), "its type is None"),
        (CLOUD | {"specversion": "1.0", "eventType": CLOUD["type"], "type": ""}, "its type is ''"),
        (without(GRID, "subject"), "names no blob"),
        (GRID | {"subject": "/blobServices/default/containers/input"}, "names no blob"),
        (GRID | {"subject": "/blobServices/default/containers/input-archive/blobs/a.mp4"}, "of container"),
    ],
)
def test_what_tells_of_no_upload_of_ours_is_poison_with_its_reason(event: dict[str, Any], words: str) -> None:
    world = World()
    poison = json.loads(world.app.on_event(encoded(event).encode(), world.clock()) or "")
    assert words in poison["reason"]
    assert poison["code"] == "UNREADABLE_MESSAGE"
    assert world.debounce.total() == 0


def test_an_event_becomes_the_check_that_the_blob_trigger_sends() -> None:
    by_event, by_trigger = World(), World()
    assert by_event.app.on_event(encoded(GRID).encode(), by_event.clock()) is None
    by_trigger.app.dispatcher.on_upload(NAME, by_trigger.clock())
    (first,), (second,) = by_event.debounce.messages, by_trigger.debounce.messages
    assert DebounceCheck.from_json(first.text) == DebounceCheck.from_json(second.text)
    assert DebounceCheck.from_json(first.text).scene == "lobby"


def test_a_scene_uploaded_with_events_from_the_queue_becomes_one_job() -> None:
    world = World()
    for name in ("lobby/a.mp4", "lobby/b.mp4"):
        world.upload(name, event=False)
        event = GRID | {"subject": f"/blobServices/default/containers/input/blobs/{name}", "data": {}}
        for _ in range(2):  # at least once
            assert world.app.on_event(encoded(event).encode(), world.clock()) is None
    world.advance(120)
    assert [message.scene for message in world.sent] == ["lobby"]


@pytest.mark.parametrize("name", ["../secret.mp4", "a/../../b.mp4", "lobby/%2e%2e/x.mp4", "a\\b.mp4"])
def test_a_hostile_name_is_refused_as_from_the_trigger(name: str) -> None:
    world = World()
    event = GRID | {"subject": f"/blobServices/default/containers/input/blobs/{name}", "data": {}}
    assert world.app.on_event(encoded(event).encode(), world.clock()) is None
    assert world.debounce.total() == 0
    assert [info.name for info in world.state.list("refused/")]


def test_no_message_does_more_than_be_poison() -> None:
    world = World()
    for text in messages(5, 1500):
        poison = world.app.on_event(text.encode("utf-8", "surrogatepass"), world.clock())
        assert poison is not None
        assert len(poison) <= 65_536, "a queue takes no more"


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner)))
def test_any_value_in_any_field_is_read_or_refused(value: Any) -> None:
    for field in GRID:
        for event in (GRID, CLOUD):
            try:
                assert uploaded(json.dumps(event | {field: value}), "input")
            except UnreadableMessage:
                continue
