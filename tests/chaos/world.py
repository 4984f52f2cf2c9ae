"""A world of real processes: containers and queues of its own on the emulator, runners, dispatchers, a jobs API.

    with Worlds() as worlds, worlds.new() as world:
        world.upload("lobby/view1.mp4", b"...")
        world.queue("lobby")
        world.runner(chaos="b:17").wait(60)
        world.settle()
        assert world.problems() == []

Every process is real: `python -m runner`, the function app's triggers, the storage emulator. `settle` is the platform:
it delivers the checks that are due, starts a runner when a message waits, and sweeps.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import fields, replace
from datetime import UTC, datetime
from pathlib import Path

from local.azurite import Azurite, dying_with_parent
from local.jobs_api.executions import Executions
from local.jobs_api.server import JobsApi
from scenejobs.adapters.azure.clients import open_containers, open_queues
from scenejobs.errors import NotFound
from scenejobs.settings.storage import StorageSettings
from scenejobs.state import records
from scenejobs.state.messages import JobMessage
from scenejobs.state.record import SceneRecord
from tests.azurite import fresh_settings
from tests.chaos.rest import Upload, at_rest

ROOT = Path(__file__).parents[2]
LEASE_S = 15  # the shortest the service grants; whoever waits for one to end waits for this
SETTLE_S = 240.0  # a message may be hidden, a lease held, a batch under suspicion for two minutes
SWEEP_EVERY_S = 30.0
LOOK_S = 1.0
# The kernel's "die with your parent" means the thread that forked: one thread forks for all, and lives on.
FORKER = ThreadPoolExecutor(1, "forker")


class NotSettled(AssertionError):
    """Work is left after the longest time it may take."""


class Process:
    """A program of ours that was started, in a session of its own."""

    def __init__(self, popen: subprocess.Popen[bytes], log: Path, trace: Path) -> None:
        self.popen = popen
        self.log = log
        self._trace = trace

    @property
    def pid(self) -> int:
        return self.popen.pid

    def wait(self, seconds: float = 120) -> int:
        return self.popen.wait(seconds)

    def wait_frozen(self, seconds: float = 120) -> bool:
        """Waits until it has stopped itself; False when it ended instead."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.popen.poll() is not None:
                return False
            if state_of(self.pid) == "T":
                return True
            time.sleep(0.05)
        raise TimeoutError(f"process {self.pid} neither stopped nor ended: {self.log}")

    def thaw(self) -> None:
        self.popen.send_signal(signal.SIGCONT)

    def children(self) -> list[int]:
        """Process ids; empty when it has ended."""
        try:
            return [int(pid) for pid in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()]
        except OSError:
            return []

    def end(self) -> None:
        """SIGKILL. Returns when its children, who die with it, are gone too. Quiet when it has ended."""
        children = self.children() if self.popen.poll() is None else []
        self.popen.kill()
        self.popen.wait()
        while any(state_of(pid) not in ("", "Z") for pid in children):
            time.sleep(0.02)

    def trace(self) -> list[str]:
        """Its counted requests: "number method path?query"."""
        return self._trace.read_text().splitlines() if self._trace.is_file() else []

    def output(self) -> str:
        return self.log.read_text(errors="replace")


def state_of(pid: int) -> str:
    """The kernel's letter: T stopped, Z dead and not reaped; "" when there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


class World:
    """See the module. For one thread; any number of threads may have one each."""

    def __init__(self, azurite: Azurite, folder: Path, **env: str) -> None:
        self.azurite = azurite
        self.settings = fresh_settings(azurite)
        self.containers, self.queues = open_containers(self.settings), open_queues(self.settings)
        self.folder = folder
        self.uploads: list[Upload] = []
        self.processes: list[Process] = []
        (folder / "work").mkdir(parents=True)
        self.env = {**environment(self.settings), "TEMP_PATH": str(folder / "work"), **env}
        command = [sys.executable, "-m", "runner"]
        self.executions = Executions("runner", command, self.env, folder / "executions")
        self._jobs_api = JobsApi(self.executions)
        self.env["ARM_ENDPOINT"] = self._jobs_api.endpoint

    def __enter__(self) -> World:
        self._jobs_api.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes:
            process.end()
        self._jobs_api.__exit__()

    # ---- the user ----

    def upload(self, name: str, data: bytes) -> Upload:
        """Uploads, and notes which version it replaces."""
        before = self._version(name)
        upload = Upload(name, self.containers.input.write(name, data), data)
        self.uploads = [replace(old, superseded=True) if old.etag == before else old for old in self.uploads]
        self.uploads.append(upload)
        return upload

    def _version(self, name: str) -> str | None:
        try:
            return self.containers.input.head(name).etag
        except NotFound:
            return None

    # ---- the programs ----

    def queue(self, scene: str) -> None:
        self.queues.jobs.send(JobMessage(scene, "", datetime.now(UTC)).to_json())

    def runner(self, chaos: str = "", **env: str) -> Process:
        return self.start("runner", chaos=chaos, **env)

    def dispatcher(self, *arguments: str, chaos: str = "", **env: str) -> Process:
        """`upload NAME...`, `quiet` or `sweep`: see tests/chaos/dispatching.py."""
        return self.start("tests.chaos.dispatching", *arguments, chaos=chaos, **env)

    def start(self, module: str, *arguments: str, chaos: str = "", **env: str) -> Process:
        """`chaos`: what happens at which request, see tests/chaos/crashing.py."""
        number = len(self.processes)
        log, trace = self.folder / f"{number:03}-{module}.log", self.folder / f"{number:03}-{module}.trace"
        command = dying_with_parent([sys.executable, "-m", "tests.chaos.crashing", module, *arguments])
        settings = {**self.env, "CHAOS": chaos, "CHAOS_TRACE": str(trace), **env}
        process = Process(FORKER.submit(_spawn, command, settings, log).result(), log, trace)
        self.processes.append(process)
        return process

    # ---- the platform ----

    def settle(self, seconds: float = SETTLE_S, sweep_every_s: float = SWEEP_EVERY_S) -> None:
        """Until nothing is left to do. Raises NotSettled."""
        end, swept_at = time.monotonic() + seconds, time.monotonic()
        while not self.is_done():
            now = time.monotonic()
            if now > end:
                raise NotSettled(f"not at rest after {seconds:.0f} s: {'; '.join(self.problems())}")
            if self.queues.debounce.waiting():
                self.dispatcher("quiet").wait()
            elif self.queues.jobs.waiting() and not self._running():
                self.runner().wait()
            elif now - swept_at > sweep_every_s and not self._running():
                self.dispatcher("sweep").wait()
                swept_at = time.monotonic()
            else:
                time.sleep(LOOK_S)

    def is_done(self) -> bool:
        """No message anywhere, no upload waiting. (Hidden messages count.)"""
        queues = self.queues
        return not self._running() and not queues.jobs.total() and not queues.debounce.total() and not self._waiting()

    def _waiting(self) -> bool:
        return any(True for _ in self.containers.input.list())

    def _running(self) -> bool:
        return any(execution.ended_at is None for execution in self.executions.all())

    # ---- what came of it ----

    def problems(self) -> list[str]:
        return at_rest(self.containers, self.queues, self.uploads)

    def record(self, scene: str) -> SceneRecord:
        stored = records.load(self.containers.state, scene)
        if stored is None:
            raise NotFound(f"scene {scene} has no record")
        return stored.record

    def runs(self) -> int:
        """Processes of the runner that were started, by hand and by the dispatcher."""
        return sum("-runner" in process.log.name for process in self.processes) + len(self.executions.all())

    def attempts(self) -> int:
        """How often the work was begun, told by the runners' logs."""
        logs = [*self.folder.glob("*-runner.log"), *(self.folder / "executions").glob("*.log")]
        return sum(log.read_text(errors="replace").count(": attempt ") for log in logs)


def environment(settings: StorageSettings) -> dict[str, str]:
    """What the programs are told: the fastest clock that the service allows."""
    values = {item.metadata["variable"]: getattr(settings, item.name) for item in fields(settings)}
    return {
        **{name: str(value) for name, value in values.items() if value and value is not True},
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "SceneStorage": settings.connection_string,
        "AZURE_SUBSCRIPTION_ID": "00000000-0000-0000-0000-000000000000",
        "AZURE_RESOURCE_GROUP": "local",
        "RUNNER_JOB_NAME": "runner",
        "BACKEND": "mock",
        "LOG_FORMAT": "text",
        "RUNNER_LEASE_SECONDS": str(LEASE_S),
        "QUEUE_IDLE_POLLS": "1",
        "QUEUE_IDLE_WAIT_SECS": "0",
        "MIN_DISK_SPACE_GB": "0",
        "RETRY_BASE_DELAY_SECS": "1",
        "QUIET_SECONDS": "1",
        "REQUEUE_AFTER_SECONDS": "5",
        "SWEEP_INTERVAL_SECONDS": "3600",
        "CHAOS_LOCK_SECONDS": "10",
        "UPLOAD_STALLED_SECS": "0",  # a file without bytes is one that came so
    }


def _spawn(command: list[str], env: dict[str, str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("wb") as file:
        return subprocess.Popen(
            command, cwd=ROOT, env=env, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip


class Worlds:
    """Any number of worlds on one emulator, which is started here unless one is given."""

    def __init__(self, azurite: Azurite | None = None) -> None:
        self._azurite = azurite
        self._stack = ExitStack()
        self._lock = threading.Lock()
        self._count = 0

    def __enter__(self) -> Worlds:
        self.azurite = self._azurite or self._stack.enter_context(Azurite())
        self._folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="chaos-")))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @contextmanager
    def new(self, **env: str) -> Iterator[World]:
        """`env`: settings on top of `environment`."""
        with self._lock:
            self._count += 1
            folder = self._folder / f"world-{self._count:04}"
        with World(self.azurite, folder, **env) as world:
            yield world
