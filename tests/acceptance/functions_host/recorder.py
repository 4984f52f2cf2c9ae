"""Functions under the local host that note what they got, and fail as often as they are told to."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import azure.functions as func
from azure.storage.queue import QueueClient

from local.functions_host.host import Host
from local.functions_host.options import HostOptions

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


@contextmanager
def hosted(recorder: Recorder, settings: dict[str, str], options: HostOptions = FAST) -> Iterator[Host]:
    with Host(recorder.app(), settings, options, blob_poll_s=0.1) as host:
        yield host


def queue(settings: dict[str, str], suffix: str = "") -> QueueClient:
    return QueueClient.from_connection_string(settings["Storage"], settings["QUEUE"] + suffix)
