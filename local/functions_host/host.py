"""Hosts the function app on this machine, over the storage emulator, as the Functions host would.

    python -m local.functions_host

Settings come from the environment, as app settings do in Azure, limits from host.json. It indexes the app through its
decorators and delivers blob, queue and timer events as the real host does (queue_trigger.py, blob_trigger.py,
timers.py, worker.py). SIGTERM and Ctrl-C stop it: running functions have ten seconds. SIGUSR1 drains it: they run to
their end.

LOCAL_SWEEP_SECONDS         replaces the timers' schedule by an interval
LOCAL_MAX_POLLING_SECONDS   longest wait between two looks at an empty queue, in the place of host.json's
LOCAL_HTTP_PORT             of 127.0.0.1, where HTTP functions and Event Grid's endpoint answer; 0: a free one
LOCAL_HTTP_PORT_FILE        where that port is written once it listens; not set, like the port: nothing listens
LOCAL_KEY                   what Event Grid's endpoint and functions with a key want; default: one that nobody knows
"""

from __future__ import annotations

import hashlib
import importlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import MISSING, fields
from datetime import timedelta
from pathlib import Path
from typing import Any

from azure.core.exceptions import ResourceExistsError
from azure.storage.blob import BlobClient, BlobServiceClient
from azure.storage.queue import QueueClient

from local import places
from local.functions_host import http_server, webhook
from local.functions_host.bindings import HostedFunction, index, queue_message, timer_request, trace_parent
from local.functions_host.blob_trigger import HOST_CONTAINER, SCAN, BlobScanner, deliver
from local.functions_host.clock import Clock, SystemClock
from local.functions_host.http_server import HttpServer
from local.functions_host.ncrontab import Schedule
from local.functions_host.options import BLOB_MAX_POLLING_S, BLOB_RETRY_S, HostOptions
from local.functions_host.queue_trigger import POISON, QueueListener
from local.functions_host.timers import BlobLock, BlobMonitor, TimerListener
from local.functions_host.worker import Worker
from scenejobs.errors import ConfigurationError, SceneJobError
from scenejobs.settings.groups import DispatchSettings, LogSettings
from scenejobs.settings.reader import read
from scenejobs.settings.storage import StorageSettings

log = logging.getLogger("local.functions_host")

HOST_STORAGE = "AzureWebJobsStorage"
STOP_WAIT_S = 10.0
NO_PROXY: Any = {"use_env_settings": False}  # a proxy of the environment cannot reach an emulator


class Host:
    """Runs an app's functions until stopped. As a context manager, in this process.

    failed: functions that could not be indexed, with the reason; the others run, as in Azure.
    """

    def __init__(
        self,
        app: Any,
        settings: Mapping[str, str],
        options: HostOptions,
        *,
        blob_poll_s: float = 1.0,
        clock: Clock | None = None,
        on_worker_killed: Callable[[], None] = lambda: None,
    ) -> None:
        self._settings = settings
        self._options = options
        self._blob_poll_s = blob_poll_s
        self._clock = clock or SystemClock()
        self._worker = Worker(options.function_timeout.total_seconds(), self._clock, on_worker_killed)
        indexed = index(app, settings)
        self.functions, self.failed = indexed.functions, indexed.failed
        self._queues: list[QueueListener] = []
        self._others: list[BlobScanner | TimerListener | HttpServer] = []
        self._notes: dict[str, tuple[QueueClient, QueueListener]] = {}
        self._web: HostedFunction | None = None
        for function in self.functions:
            self._listen(function)
        run = self._worker.run
        self.http = http_server.opened(self._web, run, self.receive_events, settings)
        self._others += [self.http] if self.http else []

    def __enter__(self) -> Host:
        if self.failed:
            log.error("functions that failed indexing and are disabled: %s", self.failed_line())
        if self._others:
            with suppress(ResourceExistsError):
                self._host_storage().create_container(HOST_CONTAINER)
        for listener in (*self._queues, *self._others):
            listener.start()
        log.info("functions: %s", ", ".join(f"{one.name} ({one.kind})" for one in self.functions))
        return self

    def __exit__(self, *_: object) -> None:
        self._stop(STOP_WAIT_S)

    def drain(self) -> None:
        """Takes nothing more and waits until all that runs has ended: /admin/host/drain of the real host."""
        for listener in self._queues:
            listener.stop(None)

    def kill_worker(self, why: str) -> None:
        """Ends the process of the functions; the host goes on with a new one."""
        self._worker.kill(why)

    def receive_events(self, function: str, body: bytes) -> webhook.Answer:
        """A POST of Event Grid for a function, by name."""

        def send(note: str) -> None:
            for notes, listener in list(self._notes.values())[:1]:  # the host has one queue for all its functions
                with suppress(ResourceExistsError):
                    notes.create_queue()
                notes.send_message(note, time_to_live=-1)
                listener.notify()

        accounts = [one.connection for one in self.functions if one.kind == "blobTrigger"]
        service = BlobServiceClient.from_connection_string(self._connection(accounts[0])) if accounts else None
        prefix = (
            "/".join(str(service.url).split("/")[3:]) if service else ""
        )  # an emulator names the account in the path
        return webhook.receive(function, body, prefix, send)

    def failed_line(self) -> str:
        return ", ".join(f"{name} ({why})" for name, why in self.failed.items())

    def _stop(self, wait_s: float) -> None:
        threads = [threading.Thread(target=one.stop, args=[wait_s]) for one in (*self._others, *self._queues)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _listen(self, function: HostedFunction) -> None:
        match function.kind:
            case "queueTrigger":
                self._listen_to_queue(function)
            case "blobTrigger":
                self._listen_to_blobs(function)
            case "timerTrigger":
                self._listen_to_time(function)
            case "httpTrigger":
                self._web = function
            case kind:
                raise ConfigurationError(f"function {function.name}: this host knows no {kind}")

    def _listen_to_queue(self, function: HostedFunction) -> None:
        name, connection = str(function.trigger["queueName"]), function.connection
        options = self._options
        self._queues.append(
            QueueListener(
                function.name,
                self._queue(connection, name),
                self._queue(connection, name + POISON),
                lambda message: self._invoke(function, queue_message(message)),
                tries=options.max_dequeue_count,
                parallel=options.batch_size + options.new_batch_threshold,
                at_once=options.batch_size,
                retry_s=options.visibility.total_seconds(),
                max_polling_s=self._max_polling_s(options.max_polling.total_seconds()),
                clock=self._clock,
            )
        )

    def _listen_to_blobs(self, function: HostedFunction) -> None:
        container = str(function.trigger["path"]).split("/")[0]
        source = str(function.trigger.get("source") or SCAN)
        connection = self._connection(function.connection)
        uploads = BlobServiceClient.from_connection_string(connection, **NO_PROXY)
        # its name holds the container: hosts of other apps may share the storage
        notes = self._queue(HOST_STORAGE, f"azure-webjobs-blobtrigger-{container}"[:63])

        def handle(note: Any) -> None:
            def client_of(where: str, name: str) -> BlobClient:
                return BlobClient.from_connection_string(connection, where, name)

            deliver(note, function.name, source, uploads, client_of, lambda client: self._invoke(function, client))

        listener = QueueListener(
            function.name,
            notes,
            self._queue(function.connection, f"webjobs-blobtrigger{POISON}"),
            handle,
            tries=self._options.blob_tries,
            parallel=self._options.blob_parallel,
            at_once=self._options.blob_parallel,
            retry_s=BLOB_RETRY_S,
            max_polling_s=self._max_polling_s(BLOB_MAX_POLLING_S),
            clock=self._clock,
        )
        self._queues.append(listener)
        self._notes[function.name] = notes, listener
        if source == SCAN:
            host = self._host_storage()
            self._others.append(
                BlobScanner(
                    function.name, container, uploads, host, notes, listener.notify,
                    poll_s=self._blob_poll_s, clock=self._clock,
                )
            )  # fmt: skip

    def _listen_to_time(self, function: HostedFunction) -> None:
        def call(past_due: bool) -> None:
            self._invoke(function, timer_request(past_due))

        every = self._settings.get("LOCAL_SWEEP_SECONDS")
        if every:
            step = timedelta(seconds=float(every))
            self._others.append(TimerListener(function.name, lambda now: now + step, call, self._clock))
            return

        def of_host(path: str) -> BlobClient:
            return self._host_storage().get_blob_client(HOST_CONTAINER, path)

        schedule, name = Schedule.parse(str(function.trigger["schedule"])), f"Host.Functions.{function.name}"
        self._others.append(
            TimerListener(
                function.name,
                schedule.next_after,
                call,
                self._clock,
                lock=BlobLock(of_host(f"locks/{self._id()}/{name}.Listener")),
                monitor=BlobMonitor(of_host(f"timers/{self._id()}/{name}/status")),
            )
        )

    def _id(self) -> str:
        """Tells the hosts of one app from those of others on the same storage."""
        ours = sorted(str(one.trigger.get("path", one.trigger.get("queueName"))) for one in self.functions)
        default = "local-" + hashlib.sha256("\0".join(ours).encode()).hexdigest()[:12]
        return self._settings.get("AzureFunctionsWebHost__hostid") or default

    def _max_polling_s(self, of_the_host: float) -> float:
        return float(self._settings.get("LOCAL_MAX_POLLING_SECONDS") or of_the_host)

    def _invoke(self, function: HostedFunction, argument: Any) -> None:
        begin = self._clock.monotonic()
        trace = trace_parent(self._settings)
        for output, text in self._worker.run(function.name, lambda: function.invoke(argument, trace)).items():
            queue = self._queue(output.connection, output.queue)
            with suppress(ResourceExistsError):
                queue.create_queue()
            queue.send_message(text, time_to_live=-1)
        log.debug("%s took %.2f s", function.name, self._clock.monotonic() - begin)

    def _queue(self, connection: str, name: str) -> QueueClient:
        return QueueClient.from_connection_string(self._connection(connection), name, **NO_PROXY)

    def _host_storage(self) -> BlobServiceClient:
        return BlobServiceClient.from_connection_string(self._connection(HOST_STORAGE), **NO_PROXY)

    def _connection(self, name: str) -> str:
        if not self._settings.get(name):
            raise ConfigurationError(f"the connection {name} is not set", advice=f"set {name} to a connection string")
        return self._settings[name]


def app_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment over the defaults of the settings that a deployment would set."""
    groups = (StorageSettings, DispatchSettings)
    defaults = {
        item.metadata["variable"]: str(item.default)
        for group in groups
        for item in fields(group)
        if item.default is not MISSING
    }
    storage = environment.get("AZURE_STORAGE_CONNECTION_STRING", "")
    defaults |= {"SceneStorage": storage, HOST_STORAGE: storage, "BLOB_TRIGGER_SOURCE": "LogsAndContainerScan"}
    return {**{name: text for name, text in defaults.items() if text}, **environment}


def set_up_logs() -> None:
    """What the real host's log shows: all warnings, those of the HTTP library included. Raises ConfigurationError."""
    level = read(LogSettings, os.environ).level
    logging.basicConfig(stream=sys.stdout, level=level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for chatty in ("azure", "urllib3"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


def main(arguments: Sequence[str] | None = None) -> int:
    if arguments or len(sys.argv) > 1:
        print(__doc__)
        return 2
    stop, drain, restart = threading.Event(), threading.Event(), threading.Event()

    def asked(number: int, _: object) -> None:
        if number == signal.SIGUSR1:
            drain.set()
        stop.set()

    def worker_killed() -> None:  # its threads can only be ended with this process, which begins anew
        restart.set()
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
        signal.signal(number, asked)
    os.environ.update(app_settings(os.environ))  # the app reads it, as in Azure
    try:
        set_up_logs()
        entry = Path(os.environ.get("PYTHON_SCRIPT_FILE_NAME") or "functions_entry.py").stem
        options = HostOptions.read(places.HOST_JSON)
        host = Host(importlib.import_module(entry).app, os.environ, options, on_worker_killed=worker_killed)
        if host.failed:  # the real host goes on with the rest, and nobody notices; a desk says so and ends
            print(f"functions that failed indexing: {host.failed_line()}", file=sys.stderr)
            return ConfigurationError.exit_code
        with host:
            stop.wait()
            if drain.is_set():
                host.drain()
    except SceneJobError as exc:
        print(exc, file=sys.stderr)
        return exc.exit_code
    sys.stdout.flush()
    if restart.is_set():
        os.execv(sys.executable, [sys.executable, "-m", "local.functions_host"])
    os._exit(0)  # a function that still runs must not keep the process: its message stays hidden
