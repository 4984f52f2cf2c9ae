"""Hosts the function app on this machine, over the storage emulator, as the Functions host would.

    python -m local.functions_host

Settings come from the environment, as app settings do in Azure, limits from host.json. It indexes the app through its
decorators and delivers blob, queue and timer events as the real host does (queue_trigger.py, blob_trigger.py).
LOCAL_SWEEP_SECONDS replaces the timers' schedule by an interval. SIGTERM and Ctrl-C stop it within two seconds.
"""

from __future__ import annotations

import importlib
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import MISSING, fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from azure.core.exceptions import ResourceExistsError
from azure.storage.blob import BlobClient, BlobServiceClient
from azure.storage.queue import QueueClient

from local.functions_host.bindings import HostedFunction, HostOptions, index, queue_message, timer_request
from local.functions_host.blob_trigger import BlobScanner, deliver
from local.functions_host.ncrontab import Schedule
from local.functions_host.queue_trigger import POISON, QueueListener
from scenejobs.errors import ConfigurationError, SceneJobError
from scenejobs.settings.groups import DispatchSettings, StorageSettings

log = logging.getLogger("local.functions_host")

ROOT = Path(__file__).resolve().parents[2]
HOST_STORAGE = "AzureWebJobsStorage"
STOP_WAIT_S = 1.5
NO_PROXY: Any = {"use_env_settings": False}  # a proxy of the environment cannot reach an emulator


class TimerListener:
    """Calls a function at the times of its schedule, one call at a time."""

    def __init__(self, name: str, next_after: Callable[[datetime], datetime], call: Callable[[], None]) -> None:
        self.name = name
        self._next_after = next_after
        self._call = call
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()

    def _run(self) -> None:
        while not self._stop.is_set():
            now = datetime.now(UTC)
            if self._stop.wait((self._next_after(now) - now).total_seconds()):
                return
            try:
                self._call()
            except Exception:  # whatever a function raises is logged, here as in the real host
                log.exception("%s failed", self.name)


class Host:
    """Runs an app's functions until stopped. As a context manager, in this process."""

    def __init__(
        self,
        app: Any,
        settings: Mapping[str, str],
        options: HostOptions,
        *,
        blob_poll_s: float = 1.0,
        queue_poll_s: float = 0.3,
    ) -> None:
        self._settings = settings
        self._options = options
        self._blob_poll_s, self._queue_poll_s = blob_poll_s, queue_poll_s
        self.functions = index(app, settings)
        self._queues: list[QueueListener] = []
        self._others: list[BlobScanner | TimerListener] = []
        for function in self.functions:
            self._listen(function)

    def __enter__(self) -> Host:
        for listener in (*self._queues, *self._others):
            listener.start()
        log.info("functions: %s", ", ".join(f"{one.name} ({one.kind})" for one in self.functions))
        return self

    def __exit__(self, *_: object) -> None:
        for other in self._others:
            other.stop()
        deadline = time.monotonic() + STOP_WAIT_S
        threads = [
            threading.Thread(target=listener.stop, args=[max(0.0, deadline - time.monotonic())])
            for listener in self._queues
        ]
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
                call = lambda: self._invoke(function, timer_request())  # noqa: E731
                self._others.append(TimerListener(function.name, self._times(function), call))
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
                poll_s=self._queue_poll_s,
            )
        )

    def _listen_to_blobs(self, function: HostedFunction) -> None:
        container = str(function.trigger["path"]).split("/")[0]
        connection = self._connection(function.connection)
        uploads = BlobServiceClient.from_connection_string(connection, **NO_PROXY)
        host_storage = BlobServiceClient.from_connection_string(self._connection(HOST_STORAGE), **NO_PROXY)
        # its name holds the container: hosts of other apps may share the storage
        notes = self._queue(HOST_STORAGE, f"azure-webjobs-blobtrigger-{container}"[:63])

        def handle(note: Any) -> None:
            def client_of(where: str, name: str) -> BlobClient:
                return BlobClient.from_connection_string(connection, where, name)

            deliver(note, uploads, client_of, lambda client: self._invoke(function, client))

        self._queues.append(
            QueueListener(
                function.name,
                notes,
                self._queue(function.connection, f"webjobs-blobtrigger{POISON}"),
                handle,
                tries=self._options.blob_tries,
                parallel=self._options.blob_parallel,
                at_once=self._options.blob_parallel,
                retry_s=self._options.visibility.total_seconds(),
                poll_s=self._queue_poll_s,
            )
        )
        scanner = BlobScanner(function.name, container, uploads, host_storage, notes, poll_s=self._blob_poll_s)
        self._others.append(scanner)

    def _times(self, function: HostedFunction) -> Callable[[datetime], datetime]:
        every = self._settings.get("LOCAL_SWEEP_SECONDS")
        if every:
            return lambda now: now + timedelta(seconds=float(every))
        return Schedule.parse(str(function.trigger["schedule"])).next_after

    def _invoke(self, function: HostedFunction, argument: Any) -> None:
        begin = time.monotonic()
        for output, text in function.invoke(argument).items():
            queue = self._queue(output.connection, output.queue)
            with suppress(ResourceExistsError):
                queue.create_queue()
            queue.send_message(text, time_to_live=-1)
        log.debug("%s took %.2f s", function.name, time.monotonic() - begin)

    def _queue(self, connection: str, name: str) -> QueueClient:
        return QueueClient.from_connection_string(self._connection(connection), name, **NO_PROXY)

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


def main(arguments: Sequence[str] | None = None) -> int:
    if arguments or len(sys.argv) > 1:
        print(__doc__)
        return 2
    logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for noisy, level in (("azure", logging.WARNING), ("urllib3", logging.ERROR)):
        logging.getLogger(noisy).setLevel(level)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    os.environ.update(app_settings(os.environ))  # the app reads it, as in Azure
    try:
        entry = Path(os.environ.get("PYTHON_SCRIPT_FILE_NAME") or "functions_entry.py").stem
        with Host(importlib.import_module(entry).app, os.environ, HostOptions.read(ROOT / "host.json")):
            stop.wait()
    except SceneJobError as exc:
        print(exc, file=sys.stderr)
        return exc.exit_code
    sys.stdout.flush()
    os._exit(0)  # a function that still runs must not keep the process: its message was released
