"""Queue triggers of the local host over the emulator: tries, delays, poison, how many at once, outputs."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.queue import QueueClient

from local.functions_host.options import HostOptions
from tests.acceptance.functions_host.recorder import FAST, Recorder, hosted, queue, wait_for

pytestmark = pytest.mark.azurite


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
