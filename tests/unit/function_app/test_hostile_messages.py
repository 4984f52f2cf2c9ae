"""Messages that somebody else put into the queues: poison with a reason, and the next good one is served."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from function_app.wiring import App, assemble
from runner.worker.loop import MAX_DEQUEUES
from scenejobs.adapters.memory import MemoryCompute
from scenejobs.errors import UnreadableMessage
from scenejobs.names import refusal
from scenejobs.ports import Containers, QueueMessage, Queues
from scenejobs.settings.groups import DispatchSettings
from scenejobs.state.messages import DebounceCheck, JobMessage
from tests.fuzzed_messages import GOOD, NOW, messages
from tests.runner_world import Cloud

FUZZED = 6_000  # through each of the two readers


@pytest.fixture
def cloud(tmp_path: Path) -> Cloud:
    return Cloud(tmp_path)


def app_of(cloud: Cloud) -> App:
    compute = MemoryCompute(cloud.clock)
    return assemble(Containers(**cloud.stores), Queues(**cloud.queues), compute, DispatchSettings(quiet_s=60))


def is_work(text: str) -> bool:
    try:
        return refusal(JobMessage.from_json(text).scene) is None
    except UnreadableMessage:
        return False


def is_check(text: str) -> bool:
    try:
        return refusal(DebounceCheck.from_json(text).scene) is None
    except UnreadableMessage:
        return False


def handled(cloud: Cloud, text: str) -> None:
    """One message, from the queue to its end; the oversized ones that no queue takes are handed over as they are."""
    queue = cloud.queues["jobs"]
    if len(text.encode("utf-8", "surrogatepass")) <= 65_536:
        queue.send(text.encode("utf-8", "replace").decode())
        message = queue.receive(300)
        assert message is not None
    else:
        message = QueueMessage("oversized", "1", text, 1)
    cloud.worker().handle(message)
    assert queue.total() == 0, "the message would come back"


def test_the_runner_brings_every_fuzzed_message_to_an_end(cloud: Cloud) -> None:
    """No exception comes out, nothing runs, each bad one is in the poison queue once with a reason."""
    bad = 0
    for number, text in enumerate(messages(1, FUZZED)):
        handled(cloud, text)
        bad += not is_work(text.encode("utf-8", "replace").decode())
        if number % 500 == 0:  # a good one in between is served
            cloud.upload(f"good-{number}/a.mp4", b"video")
            handled(cloud, JobMessage(f"good-{number}", "", cloud.clock()).to_json())
            assert f"good-{number}/manifest.json" in cloud.names("output")
    assert FUZZED * 0.5 < bad < FUZZED
    assert cloud.queues["poison"].total() == bad
    assert cloud.jobs_run == FUZZED // 500
    while (message := cloud.queues["poison"].receive(60)) is not None:
        document = json.loads(message.text)
        assert document["reason"]
        assert len(document["reason"]) < 300
        assert document["code"] == "UNREADABLE_MESSAGE"
        cloud.queues["poison"].complete(message)


def test_the_dispatcher_brings_every_fuzzed_check_to_an_end(cloud: Cloud) -> None:
    """It is answered with a poison message, or looks at a scene without uploads; nothing is sealed or started."""
    app = app_of(cloud)
    bad = 0
    for text in messages(2, FUZZED):
        body = text.encode("utf-8", "replace")
        poison = app.on_quiet(body)
        assert (poison is None) == is_check(body.decode("utf-8", "replace"))
        if poison is not None:
            bad += 1
            assert poison.isascii()
            assert len(poison) <= 65_536
            assert json.loads(poison)["reason"]
    assert FUZZED * 0.5 < bad < FUZZED
    assert cloud.queues["jobs"].total() == cloud.queues["debounce"].total() == 0
    assert cloud.names("state", "batches/") == []


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_a_check_or_poison(data: bytes) -> None:
    cloud = Cloud(Path())
    poison = app_of(cloud).on_quiet(data)
    assert (poison is None) == is_check(data.decode("utf-8", "replace"))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
MESSAGE_LIKE = st.fixed_dictionaries(
    {}, optional={"v": st.just(1) | JSON, "scene": st.text(max_size=20) | JSON, "batch": JSON,
                  "sent_at": st.just(NOW.isoformat()) | JSON, "traceparent": JSON}
)  # fmt: skip


@settings(max_examples=500, deadline=None)
@given(MESSAGE_LIKE)
def test_any_object_is_work_or_poison(body: dict[str, object]) -> None:
    cloud = Cloud(Path())
    text = json.dumps(body)
    cloud.queues["jobs"].send(text)
    message = cloud.queues["jobs"].receive(60)
    assert message is not None
    if not is_work(text):  # what is work was handled above, with a folder to work in
        cloud.worker().handle(message)
        assert (cloud.queues["jobs"].total(), cloud.queues["poison"].total()) == (0, 1)


def test_a_message_that_goes_round_in_circles_is_taken_out(cloud: Cloud) -> None:
    """Snoozes and restarts raise the count and are no reason; a thousand are."""
    text = JobMessage("lobby", "", NOW).to_json()
    for count, poisoned in ((MAX_DEQUEUES, 0), (MAX_DEQUEUES + 1, 1)):
        cloud.queues["jobs"].send(text)
        cloud.queues["jobs"].messages[0].dequeue_count = count - 1
        message = cloud.queues["jobs"].receive(60)
        assert message is not None
        cloud.worker().handle(message)
        assert cloud.queues["poison"].total() == poisoned
        assert cloud.queues["jobs"].total() == 0
    last = cloud.queues["poison"].receive(60)
    assert last is not None
    assert json.loads(last.text)["code"] == "LOOP"


def test_the_fuzz_holds_good_messages_too() -> None:
    """Otherwise it would prove little: some of the bent ones still can be acted on."""
    assert all(is_work(text) or is_check(text) for text in GOOD)
    kinds = [is_work(text.encode("utf-8", "replace").decode()) for text in messages(1, FUZZED)]
    assert sum(kinds) > FUZZED * 0.1
