"""Executions of a job as processes of this machine, with the life cycle that Container Apps gives them.

Each has a session of its own and a log. Stopping is SIGTERM to every process of it, and SIGKILL 30 s later. When the
main process ends, what it left behind in its session is killed, as with a container.

The platform has bad days, and tests ask for them (`Fault`): azure-container-apps issues 1656 and 1649.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

import psutil

from local.azurite import dying_with_parent

GRACE_S = 30.0  # fixed by the platform


class Status(StrEnum):
    """The words of the service's API."""

    RUNNING = "Running"
    SUCCEEDED = "Succeeded"  # exit code 0
    FAILED = "Failed"
    STOPPED = "Stopped"  # on request


class Fault(StrEnum):
    """What is wrong with an execution."""

    NONE = "none"
    IDLE = "idle"  # it runs and does nothing, without a line
    UNNOTICED = "unnoticed"  # it does its work, and is listed as running after its end, until it is stopped


DOES_NOTHING = (sys.executable, "-c", "import time; time.sleep(10**6)")


@dataclass(frozen=True)
class Execution:
    """One start of the job."""

    name: str
    status: Status
    started_at: datetime
    ended_at: datetime | None = None
    exit_code: int | None = None  # negative: died of that signal


class TooManyExecutions(Exception):
    """The limit of executions at the same time is reached."""


class Executions:
    """Starts, lists and stops executions.

    command: what one runs. env: its environment, to which the variables of Container Apps are added.
    logs: folder of `<execution>.log`. limit: executions at the same time; None for no limit.
    faults: of the first starts, in their order.
    """

    def __init__(
        self,
        job: str,
        command: Sequence[str],
        env: Mapping[str, str],
        logs: Path,
        *,
        limit: int | None = None,
        grace_s: float = GRACE_S,
        faults: Sequence[Fault] = (),
    ) -> None:
        self.job = job
        self._command = list(command)
        self._env = dict(env)
        self._logs = logs
        self._limit = limit
        self._grace_s = grace_s
        self._faults = list(faults)
        self._unnoticed: set[str] = set()
        self._lock = threading.Lock()
        self._history: dict[str, Execution] = {}
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._stopping: set[str] = set()
        # The kernel signals a child when the *thread* ends that forked it. So one thread forks all, and keeps running.
        self._forker = ThreadPoolExecutor(1, "forker")
        logs.mkdir(parents=True, exist_ok=True)

    def start(self) -> Execution:
        """Raises TooManyExecutions."""
        return self._forker.submit(self._start).result()

    def all(self) -> list[Execution]:
        """The newest first."""
        with self._lock:
            return list(reversed(self._history.values()))

    def get(self, name: str) -> Execution | None:
        with self._lock:
            return self._history.get(name)

    def stop(self, name: str) -> bool:
        """Sends SIGTERM, and SIGKILL after the grace. False when there is none of that name."""
        with self._lock:
            if name not in self._history:
                return False
            process = self._processes.get(name)
            if process is None and self._history[name].status is Status.RUNNING:
                self._ended(name, Status.STOPPED, self._history[name].exit_code)
            if process is not None and name not in self._stopping:
                self._stopping.add(name)
                signal_all(process.pid, signal.SIGTERM)
                killer = threading.Timer(self._grace_s, self._kill, [name])
                killer.daemon = True
                killer.start()
        return True

    def kill(self, name: str) -> bool:
        """As when its machine is lost: SIGKILL to every process of it, without a warning. False when it has ended."""
        with self._lock:
            process = self._processes.get(name)
            if process is not None:
                signal_all(process.pid, signal.SIGKILL)
        return process is not None

    def close(self) -> None:
        """Stops all; returns when all have ended."""
        for execution in self.all():
            self.stop(execution.name)
        for process in list(self._processes.values()):
            process.wait()  # at most the grace, until SIGKILL
        self._forker.shutdown()

    def _start(self) -> Execution:
        with self._lock:
            if self._limit is not None and len(self._processes) >= self._limit:
                raise TooManyExecutions(f"{len(self._processes)} executions of {self.job} are running")
            name = f"{self.job}-{uuid.uuid4().hex[:7]}"
            fault = self._faults.pop(0) if self._faults else Fault.NONE
            if fault is Fault.UNNOTICED:
                self._unnoticed.add(name)
            with (self._logs / f"{name}.log").open("wb") as log:
                process = subprocess.Popen(
                    dying_with_parent(DOES_NOTHING if fault is Fault.IDLE else self._command),
                    env={**self._env, **self._platform_variables(name)},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            execution = Execution(name, Status.RUNNING, datetime.now(UTC))
            self._history[name] = execution
            self._processes[name] = process
        threading.Thread(target=self._watch, args=[name, process], daemon=True).start()
        return execution

    def _platform_variables(self, name: str) -> dict[str, str]:
        return {
            "CONTAINER_APP_JOB_NAME": self.job,
            "CONTAINER_APP_JOB_EXECUTION_NAME": name,
            "CONTAINER_APP_REPLICA_NAME": f"{name}-{uuid.uuid4().hex[:5]}",
        }

    def _watch(self, name: str, process: subprocess.Popen[bytes]) -> None:
        code = process.wait()
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        with self._lock:
            del self._processes[name]
            if name in self._unnoticed and name not in self._stopping:
                self._history[name] = replace(self._history[name], exit_code=code)
                return
            status = Status.STOPPED if name in self._stopping else Status.SUCCEEDED if code == 0 else Status.FAILED
            self._ended(name, status, code)

    def _ended(self, name: str, status: Status, code: int | None) -> None:
        self._history[name] = replace(self._history[name], status=status, ended_at=datetime.now(UTC), exit_code=code)

    def _kill(self, name: str) -> None:
        with self._lock:
            if name in self._processes:
                signal_all(self._processes[name].pid, signal.SIGKILL)


def signal_all(leader: int, number: signal.Signals) -> None:
    """Once to every process of a container: also to descendants of the leader that made a session of their own."""
    for pid in descendants(leader):
        with suppress(ProcessLookupError):
            if os.getpgid(pid) != leader:
                os.kill(pid, number)
    with suppress(ProcessLookupError):
        os.killpg(leader, number)


def descendants(root: int) -> list[int]:
    """Process ids of all processes below one; none when it has ended."""
    try:
        return [process.pid for process in psutil.Process(root).children(recursive=True)]
    except psutil.NoSuchProcess:
        return []
