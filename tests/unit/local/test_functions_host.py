"""The emulated host does what the real one was seen to do (host 4.1037, Python worker 4.34, storage extension 5.3.10).

Times are those of a clock that the tests move.
"""

from __future__ import annotations

import itertools
import logging
import random
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import azure.functions as func
import pytest

from local.functions_host.bindings import as_sent, index, trace_parent
from local.functions_host.host import set_up_logs
from local.functions_host.options import BLOB_RETRY_S, HostOptions
from local.functions_host.polling import Backoff
from local.functions_host.queue_trigger import LOCK_S, QueueListener
from local.functions_host.worker import Worker, WorkerKilled
from scenejobs.adapters.memory import MemoryQueue
from tests.doubles.functions_host import SdkQueue, StepClock, soon

ROOT = Path(__file__).parents[3]
STOP_S = 10.0


class Desk:
    """One queue, its poison queue, and functions that end when the test says so."""

    def __init__(self) -> None:
        self.clock = StepClock()
        self.queue = MemoryQueue("checks", self.clock.manual)
        self.poison = MemoryQueue("checks-poison", self.clock.manual)
        self.calls: list[tuple[str, int, float]] = []  # text, dequeue count, when
        self.gates: dict[str, threading.Event] = {}  # a function whose text is in here runs until its gate opens
        self.failing: set[str] = set()
        self.listeners: list[QueueListener] = []

    def host(self, *, retry_s: float = 60.0, tries: int = 3, worker: Worker | None = None) -> QueueListener:
        def function(message: Any) -> None:
            self.calls.append((message.content, message.dequeue_count, self.clock.monotonic()))
            if message.content in self.gates:
                self.gates[message.content].wait()
            if message.content in self.failing:
                raise RuntimeError(f"{message.content} fails")

        handle: Callable[[Any], None] = function
        if worker is not None:
            handle = lambda message: worker.run("on_quiet", lambda: function(message))  # noqa: E731
        listener = QueueListener(
            "on_quiet", SdkQueue(self.queue), SdkQueue(self.poison), handle, tries=tries, parallel=12, at_once=8,
            retry_s=retry_s, max_polling_s=5.0, clock=self.clock,
        )  # fmt: skip
        self.listeners.append(listener)
        listener.start()
        return listener

    def running(self, text: str) -> threading.Event:
        """Sends a message, waits until its function runs, and returns what lets it end."""
        gate = self.gates[text] = threading.Event()
        self.queue.send(text)
        self.clock.until(lambda: any(call[0] == text for call in self.calls))
        return gate


@pytest.fixture
def desk() -> Iterator[Desk]:
    desk = Desk()
    yield desk
    for gate in desk.gates.values():
        gate.set()
    for listener in desk.listeners:
        listener.stop(0)


def in_thread(call: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    return thread


# ---- a stop, a drain ---------------------------------------------------------------------------------


def test_a_function_that_a_stop_cuts_off_keeps_its_message_hidden_for_the_rest_of_ten_minutes(desk: Desk) -> None:
    host = desk.host()
    gate = desk.running("slow")
    taken_at = desk.calls[0][2]
    stopping = in_thread(lambda: host.stop(STOP_S))
    waited = desk.clock.until(lambda: not stopping.is_alive())
    assert 8 <= waited <= 14, "running functions get ten seconds"
    gate.set()  # whatever it does from here on: in the real host the process is gone
    del desk.gates["slow"]
    desk.host()
    desk.clock.advance(taken_at + LOCK_S - desk.clock.monotonic() - 1, step=20)
    assert len(desk.calls) == 1
    assert desk.queue.total() == 1
    desk.clock.until(lambda: len(desk.calls) == 2)
    assert desk.calls[1][:2] == ("slow", 2)
    desk.clock.until(lambda: desk.queue.total() == 0)


def test_a_function_that_ends_in_the_ten_seconds_of_a_stop_is_acknowledged(desk: Desk) -> None:
    host = desk.host()
    gate = desk.running("slow")
    stopping = in_thread(lambda: host.stop(STOP_S))
    desk.clock.advance(6)
    assert stopping.is_alive()
    gate.set()
    soon(lambda: not stopping.is_alive())
    assert desk.queue.total() == 0


def test_a_stopped_host_takes_nothing_more(desk: Desk) -> None:
    host = desk.host()
    host.stop(STOP_S)
    desk.queue.send("late")
    desk.clock.advance(20)
    assert desk.calls == []
    assert desk.queue.waiting() == 1


def test_a_drain_lets_functions_run_to_their_end_and_failed_messages_come_back_after_a_minute(desk: Desk) -> None:
    host = desk.host()
    desk.failing.add("bad")
    good, bad = desk.running("good"), desk.running("bad")
    draining = in_thread(lambda: host.stop(None))
    desk.clock.advance(120, step=10)
    assert draining.is_alive()
    good.set()
    bad.set()
    soon(lambda: not draining.is_alive())
    assert [message.text for message in desk.queue.messages] == ["bad"]
    (message,) = desk.queue.messages
    assert (message.visible_at - desk.clock.now()).total_seconds() == 60


# ---- polling -----------------------------------------------------------------------------------------


def test_an_idle_queue_is_looked_at_less_and_less_often_up_to_the_limit_and_at_once_after_a_message() -> None:
    backoff = Backoff(30.0, random.Random(7))
    waits = [backoff.next_s(found=False) for _ in range(20)]
    assert waits[0] == 0.1
    assert waits == sorted(waits)
    assert waits[-1] == 30.0
    assert waits.count(30.0) >= 8
    for before, after in itertools.pairwise(waits[2:]):
        assert after == 30.0 or 1.2 < after / before < 3.0
    assert backoff.next_s(found=True) == 0.1
    assert 0.1 < backoff.next_s(found=False) < 0.3


def test_the_wait_of_an_idle_listener_grows_and_a_word_from_its_own_instance_ends_it(desk: Desk) -> None:
    host = desk.host()
    desk.clock.advance(60, step=0.5)
    looks = len(_counted(desk, 20.0))
    assert 3 <= looks <= 6, "every five seconds"
    desk.queue.send("now")
    host.notify()
    soon(lambda: desk.calls)
    assert desk.clock.monotonic() - desk.calls[0][2] < 0.01


def _counted(desk: Desk, seconds: float) -> list[float]:
    """When the queue was looked at."""
    looks: list[float] = []
    receive = desk.queue.receive

    def counting(visibility_s: float) -> Any:
        if not looks or looks[-1] != desk.clock.monotonic():  # a batch is eight of these
            looks.append(desk.clock.monotonic())
        return receive(visibility_s)

    desk.queue.receive = counting  # type: ignore[method-assign]
    desk.clock.advance(seconds, step=0.5)
    return looks


def test_from_the_moment_a_check_can_be_seen_to_its_function_it_takes_five_seconds_at_most() -> None:
    """By the host's rule and our host.json, over 2,000 random moments; the start itself takes two seconds more."""
    options = HostOptions.read(ROOT / "host.json")
    limit_s = options.max_polling.total_seconds()
    draw, waited = random.Random(5), list[float]()
    for _ in range(2000):
        backoff, now, visible = Backoff(limit_s, draw), 0.0, draw.uniform(0, 600)
        backoff.next_s(found=True)
        while now < visible:
            now += backoff.next_s(found=False)
        waited.append(now - visible)
    assert max(waited) <= 5.0
    assert max(waited) + 2.0 + 2.0 <= 10.0  # on_quiet took 1.99 s at most on the real host; and the start call


# ---- tries -------------------------------------------------------------------------------------------


def test_a_blob_event_is_tried_again_at_once(desk: Desk) -> None:
    """Not after host.json's visibilityTimeout, which is of queue triggers."""
    desk.failing.add("event")
    desk.host(retry_s=BLOB_RETRY_S, tries=5)
    desk.queue.send("event")
    desk.clock.until(lambda: desk.poison.total() == 1, step=0.05)
    times = [when for _, _, when in desk.calls]
    assert [count for _, count, _ in desk.calls] == [1, 2, 3, 4, 5]
    assert times[-1] - times[0] <= 1.0


def test_a_queue_message_is_tried_again_a_minute_after_its_failure(desk: Desk) -> None:
    desk.failing.add("check")
    desk.host(retry_s=60)
    desk.queue.send("check")
    desk.clock.until(lambda: desk.poison.total() == 1, limit_s=200)
    times = [when for _, _, when in desk.calls]
    assert len(times) == 3
    assert all(60 <= after - before <= 67 for before, after in itertools.pairwise(times))


# ---- the worker --------------------------------------------------------------------------------------


def test_a_function_that_takes_too_long_takes_all_others_with_it_and_their_messages_come_back_after_a_minute(
    desk: Desk,
) -> None:
    killed: list[bool] = []
    worker = Worker(300.0, desk.clock, lambda: killed.append(True))
    desk.host(worker=worker)
    desk.running("hangs")
    desk.clock.advance(290, step=10)
    desk.running("young")
    assert killed == []
    desk.clock.until(lambda: killed, limit_s=20)

    def waits() -> list[float]:
        return [(message.visible_at - desk.clock.now()).total_seconds() for message in desk.queue.messages]

    soon(lambda: all(wait <= 60 for wait in waits()))  # each was hidden for ten minutes until its thread hears of it
    assert len(waits()) == 2
    assert all(wait >= 50 for wait in waits())
    del desk.gates["hangs"], desk.gates["young"]
    desk.clock.until(lambda: desk.queue.total() == 0, limit_s=80)
    assert {(text, count) for text, count, _ in desk.calls} >= {("hangs", 2), ("young", 2)}


def test_a_worker_that_is_killed_fails_what_runs_in_it_at_once_and_is_not_heard_again() -> None:
    clock, gate, raised = StepClock(), threading.Event(), list[BaseException]()

    def call() -> None:
        try:
            worker.run("on_upload", lambda: gate.wait() and "done")
        except WorkerKilled as exc:
            raised.append(exc)

    worker = Worker(300.0, clock)
    thread = in_thread(call)
    soon(lambda: worker._running)
    worker.kill("somebody said so")
    soon(lambda: not thread.is_alive())
    assert len(raised) == 1
    gate.set()
    assert worker.run("on_upload", lambda: "next") == "next"


# ---- indexing, outputs, traces, logs -----------------------------------------------------------------


def app() -> func.FunctionApp:
    app = func.FunctionApp()

    @app.function_name("on_quiet")
    @app.queue_trigger(arg_name="message", queue_name="%DEBOUNCE_QUEUE%", connection="Storage")
    def on_quiet(message: func.QueueMessage) -> None: ...

    @app.function_name("sweep")
    @app.timer_trigger(arg_name="timer", schedule="%SWEEP_SCHEDULE%")
    def sweep(timer: func.TimerRequest) -> None: ...

    @app.function_name("on_upload_poison")
    @app.queue_trigger(arg_name="message", queue_name="webjobs-blobtrigger-poison", connection="Storage")
    def on_upload_poison(message: func.QueueMessage) -> None: ...

    return app


def test_functions_whose_settings_are_missing_are_disabled_and_the_others_run() -> None:
    found = index(app(), {"Storage": "x", "SWEEP_SCHEDULE": ""})
    assert [one.name for one in found.functions] == ["on_upload_poison"]
    assert found.failed == {"on_quiet": "DEBOUNCE_QUEUE is not set", "sweep": "SWEEP_SCHEDULE is not set"}
    assert index(app(), {"DEBOUNCE_QUEUE": "debounce", "SWEEP_SCHEDULE": "0 * * * * *"}).failed == {}


def test_json_in_an_output_is_written_with_indents_and_other_text_as_it_is() -> None:
    assert as_sent('{"code":"X","reason":"ü"}') == '{\n  "code": "X",\n  "reason": "ü"\n}'
    for text in ("00-aa-bb-00", "12", '"text"', "{broken", ""):
        assert as_sent(text) == text


def test_a_trace_is_there_with_application_insights_alone_and_is_not_sampled() -> None:
    assert trace_parent({}) == ""
    found = trace_parent({"APPLICATIONINSIGHTS_CONNECTION_STRING": "InstrumentationKey=0"})
    version, trace, span, flags = found.split("-")
    assert (version, len(trace), len(span), flags) == ("00", 32, 16, "00")


def test_warnings_of_the_http_library_are_seen() -> None:
    names = ("urllib3", "urllib3.connectionpool", "azure")
    before = {name: logging.getLogger(name).level for name in names}
    logging.getLogger(names[1]).setLevel(logging.NOTSET)  # as in the host's process, where no program of ours set it
    try:
        set_up_logs()
        assert logging.getLogger("urllib3.connectionpool.x").isEnabledFor(logging.WARNING)
    finally:
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)
