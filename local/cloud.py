"""The whole local cloud in one context manager: storage emulator, host of the function app, jobs API.

Every part is a process of its own with the settings it would have in Azure; only the endpoints differ.

    video-splat cloud DIR     run it until Ctrl-C or SIGTERM, logs in DIR. AZURE_STORAGE_CONNECTION_STRING names an
                              emulator that runs already (compose.yaml); else one is started with its data in DIR, where
                              UseDevelopmentStorage=true looks for it
    video-splat cloud DIR --storage-alone
                              the emulator alone, with all containers and queues
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from local import places
from local.azurite import DESK_PORTS, EMULATOR, Azurite, dying_with_parent, install_once
from scenejobs.adapters.azure.clients import allow_origins, create_all, open_containers, open_queues
from scenejobs.errors import InfrastructureError, SceneJobError
from scenejobs.ports import Containers, Queues
from scenejobs.settings.reader import read
from scenejobs.settings.storage import StorageSettings

START_TIMEOUT_S = 60.0
HOST_RESTARTS = 3  # more crashes than these are told instead
ELSEWHERE = f"if it is an emulator to be used, export AZURE_STORAGE_CONNECTION_STRING={EMULATOR} first"
PAGE = "/api/ui"
PAGE_PORT = 7071  # where the Functions Core Tools answer too
STOP_TIMEOUT_S = 40.0  # the jobs API gives its executions 30 s, as the platform does


class LocalCloud:
    """Started on entry, stopped on exit with every process it started.

    folder:  keeps storage (`azurite/`), logs (`*.log`, `executions/`)
    env:     settings on top of this process's environment, for all parts
    command: what a job execution runs
    storage: connection string of an emulator that runs elsewhere; "": one is started here, at `ports`
    ports:   of the emulator's blobs, queues and tables; 0 takes a free one, as for `jobs_port`, of the jobs API, and
             `page_port`, of the HTTP API and its page
    host:    whether the functions are hosted here
    """

    def __init__(
        self,
        folder: Path,
        env: Mapping[str, str],
        command: Sequence[str] = (sys.executable, "-m", "runner"),
        storage: str = "",
        ports: tuple[int, int, int] = (0, 0, 0),
        jobs_port: int = 0,
        host: bool = True,
        page_port: int = 0,
    ) -> None:
        self.folder = folder.resolve()  # the parts run in another one
        self._storage = storage
        self._ports, self._jobs_port, self._page_port, self._host = ports, jobs_port, page_port, host
        self._overrides = dict(env)
        self._command = list(command)
        self._processes = ExitStack()
        self.env: dict[str, str] = {}
        self._parts: dict[str, subprocess.Popen[bytes]] = {}
        self._host_starts = 0

    def __enter__(self) -> LocalCloud:
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            connection_string = self._storage
            if not connection_string:
                emulator = Azurite(self.folder / "azurite", self._ports, otherwise=ELSEWHERE if self._host else "")
                azurite = self._processes.enter_context(emulator)
                connection_string = azurite.connection_string
            self.env = {
                **os.environ,
                "OMP_WAIT_POLICY": "PASSIVE",
                "PYTHONFAULTHANDLER": "1",  # a crash in native code says in the log where
                "AZURE_STORAGE_CONNECTION_STRING": connection_string,
                "AzureWebJobsStorage": connection_string,
                "BLOB_TRIGGER_SOURCE": "LogsAndContainerScan",
                "LOCAL_MAX_POLLING_SECONDS": "0.3",  # somebody sits before it; host.json's is for the cloud
                "AZURE_SUBSCRIPTION_ID": "00000000-0000-0000-0000-000000000000",
                "AZURE_RESOURCE_GROUP": "local",
                "RUNNER_JOB_NAME": "runner",
                "WEB": "true",
                "WEB_AUTH": "local",
                "LOCAL_HTTP_PORT": str(self._page_port),
                "LOCAL_HTTP_PORT_FILE": str(self.folder / "page.port"),
                **self._overrides,
            }
            storage = read(StorageSettings, self.env)
            create_all(storage)
            self.containers: Containers = open_containers(storage)
            self.queues: Queues = open_queues(storage)
            self._start_jobs_api()
            if self._host:
                (self.folder / "page.port").unlink(missing_ok=True)
                self._start_host()
                self._processes.callback(self._stop, "host")
                # a host that is started again answers where the first one did
                self.env["LOCAL_HTTP_PORT"] = self._port("page.port", "the local host", "host.log")
                allow_origins(
                    storage, [self.page.removesuffix(PAGE), f"http://localhost:{self.env['LOCAL_HTTP_PORT']}"]
                )
        except BaseException:
            self._processes.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._processes.close()

    def check(self) -> None:
        """A host that a signal ended (a crash, somebody's kill) is started again, as the platform does, a few times.

        Raises InfrastructureError when a part has ended otherwise, with the end of its log.
        """
        for name, process in self._parts.items():
            if process.poll() is None:
                continue
            if name == "host" and process.returncode < 0 and self._host_starts <= HOST_RESTARTS:
                self._start_host()
                continue
            tail = (self.folder / f"{name}.log").read_text(errors="replace")[-2000:]
            if process.returncode == InfrastructureError.exit_code and tail.strip():  # its last line says why
                raise InfrastructureError(f"the local {name} ended: {tail.strip().splitlines()[-1]}")
            raise InfrastructureError(f"the local {name} ended with {process.returncode}:\n{tail}")

    @property
    def page(self) -> str:
        """The address of the page."""
        return f"http://127.0.0.1:{self.env['LOCAL_HTTP_PORT']}{PAGE}"

    def pid(self, part: str) -> int:
        """The process of `host` or `jobs_api`."""
        return self._parts[part].pid

    def _start_host(self) -> None:
        self._host_starts += 1
        command = [sys.executable, "-m", "local.functions_host"]
        self._parts["host"] = self._popen("host", command, again=self._host_starts > 1)

    def _start_jobs_api(self) -> None:
        port_file = self.folder / "jobs_api.port"
        port_file.unlink(missing_ok=True)
        logs = self.folder / "executions"
        options = ["--port", str(self._jobs_port), "--port-file", str(port_file), "--logs", str(logs)]
        command = [sys.executable, "-m", "local.jobs_api", *options, "--", *self._command]
        self._parts["jobs_api"] = self._popen("jobs_api", command)
        self._processes.callback(self._stop, "jobs_api")
        self.env["ARM_ENDPOINT"] = (
            f"http://127.0.0.1:{self._port('jobs_api.port', 'the local jobs API', 'jobs_api.log')}"
        )

    def _port(self, file: str, what: str, log: str) -> str:
        """Waits until a part has written where it listens. Raises InfrastructureError."""
        deadline = time.monotonic() + START_TIMEOUT_S
        while not ((self.folder / file).is_file() and (self.folder / file).read_text().strip()):
            self.check()
            if time.monotonic() > deadline:
                raise InfrastructureError(f"{what} did not start", advice=f"see {log}")
            time.sleep(0.05)
        return (self.folder / file).read_text().strip()

    def _popen(self, name: str, command: list[str], again: bool = False) -> subprocess.Popen[bytes]:
        with (self.folder / f"{name}.log").open("ab" if again else "wb") as log:
            return subprocess.Popen(
                dying_with_parent(command),
                env=self.env,
                cwd=places.ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for this process, which shuts the others down
            )

    def _stop(self, name: str) -> None:
        process = self._parts.pop(name)
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def stay(self, stop: threading.Event) -> None:
        """Returns when it is told to stop. Raises InfrastructureError when a part has ended."""
        while not stop.wait(CHECK_INTERVAL_S):
            self.check()


CHECK_INTERVAL_S = 1.0  # between two checks that all parts are running


def stopped_by_signals() -> threading.Event:
    """Set by Ctrl-C and SIGTERM from now on."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop


def told(connection_string: str, folder: Path, elsewhere: str = "", *, page: str = "", alone: bool = False) -> str:
    """What a person who started it needs next.

    elsewhere: what they named the storage by, where it ran already. page: its address, where there is one.
    alone: nobody works on uploads.
    """
    named = f"'{elsewhere}'" if ";" in elsewhere else elsewhere or EMULATOR
    lines = [
        f"running; logs{'' if elsewhere else ' and storage'} in {folder}; Ctrl-C stops it, and the next start goes on",
        "in another terminal:",
        f"  export AZURE_STORAGE_CONNECTION_STRING={named}",
    ]
    if not alone:
        lines += ["  scenejobs upload lobby view1.mp4 view2.mp4", "  scenejobs status lobby --wait"]
    if page:
        lines += [f"or in a browser: {page}"]
    return "\n".join([*lines, f"for tools that do not know {EMULATOR}, connection string: {connection_string}"])


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="video-splat cloud", description="The whole cloud, until it is stopped.")
    parser.add_argument("folder", type=Path, help="for logs, and for storage where none runs elsewhere")
    parser.add_argument("--storage-alone", action="store_true", help="no host of the functions, no jobs API")
    options = parser.parse_args(arguments)
    stop = stopped_by_signals()
    elsewhere = os.environ.get("AZURE_STORAGE_CONNECTION_STRING", "")
    try:
        if options.storage_alone or not elsewhere:
            install_once()
        if options.storage_alone:
            with Azurite(options.folder / "azurite", DESK_PORTS) as azurite:
                settings = {**os.environ, "AZURE_STORAGE_CONNECTION_STRING": azurite.connection_string}
                create_all(read(StorageSettings, settings))
                print(told(azurite.connection_string, options.folder, alone=True), flush=True)
                stop.wait()
            return 0
        with LocalCloud(options.folder, {}, storage=elsewhere, ports=DESK_PORTS, page_port=PAGE_PORT) as cloud:
            named = cloud.env["AZURE_STORAGE_CONNECTION_STRING"]
            print(told(named, options.folder, elsewhere, page=cloud.page), flush=True)
            cloud.stay(stop)
    except SceneJobError as exc:
        print(exc, file=sys.stderr)
        return exc.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
