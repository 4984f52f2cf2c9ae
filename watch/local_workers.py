"""Workers as processes of this machine: the Compute port of watch and serve mode. A starter asks for one at a time."""

from __future__ import annotations

import logging
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from datetime import UTC, datetime

from runner.paths import with_our_code
from scenejobs.adapters.folder import Places
from scenejobs.errors import Code, ComputeError, ConfigurationError
from scenejobs.ports import Execution
from scenejobs.settings import modes

EXPECTED_EXITS = (0, 75, 143)  # done, another worker has the scene, stopped by a signal
GRACE_S = 30.0  # from SIGTERM to SIGKILL, as on Container Apps
LAST_WORDS = "WATCH_LAST_WORDS"  # variable of a worker: the descriptor into which it says why it ends
MAX_WORDS = 4000  # bytes
# A worker needs no account, and the files that it opens could read its environment.
WITHHELD = ("AZURE_", "IDENTITY_", "MSI_")

log = logging.getLogger(__name__)


def worker_environment(env: Mapping[str, str]) -> dict[str, str]:
    """The settings of this process, for a runner in queue mode that ends when the queue is empty."""
    others = modes.not_read_by("queue")  # the worker would tell that it does not read them
    kept = {name: value for name, value in env.items() if name not in others}
    return with_our_code({**kept, "RUN_MODE": "queue", "QUEUE_IDLE_POLLS": "1", "QUEUE_IDLE_WAIT_SECS": "0"})


def folder_worker_environment(env: Mapping[str, str], places: Places) -> dict[str, str]:
    """The same for a runner on folders."""
    kept = {name: value for name, value in env.items() if not name.startswith(WITHHELD)}
    folders = {f"{item.name.upper()}_PATH": str(getattr(places, item.name)) for item in fields(places)}
    # the watch saw the files at rest, empty ones too
    return {
        **worker_environment(kept), **folders, "UPLOAD_STALLED_SECS": "0", "DATA_PATH": str(places.input.parent),
    }  # fmt: skip


@dataclass
class _Running:
    execution: Execution
    process: subprocess.Popen[bytes]
    words: int  # descriptor of the pipe into which it says why it ends
    kill_at: float | None = None  # on the monotonic clock; None: it was not told to stop

    def last_words(self) -> str:
        """Once, after its end."""
        try:
            return os.read(self.words, MAX_WORDS).decode("utf-8", "replace")
        except BlockingIOError:  # its job is still ending, and holds the pipe
            return ""
        finally:
            os.close(self.words)

    def terminate(self, grace_s: float) -> None:
        """Once: a second SIGTERM would end the worker before it has given its scene back."""
        if self.kill_at is None:
            self.kill_at = time.monotonic() + grace_s
            self.process.send_signal(signal.SIGTERM)


class LocalCompute:
    """See scenejobs.ports.Compute. Used from one thread, because the kernel stops a worker when that thread ends."""

    def __init__(
        self,
        env: Mapping[str, str],
        command: Sequence[str] = (sys.executable, "-P", "-m", "watch.worker_process"),
        grace_s: float = GRACE_S,
        kind: str = "watch",
    ) -> None:
        """kind: with what the names of executions begin."""
        self._kind = kind
        self._env = dict(env)
        self._grace_s = grace_s
        self._command = [*command, str(os.getpid())]
        self._running: list[_Running] = []
        self._started: set[str] = set()
        self._refused = ""  # why the last worker stopped at its settings; raised once
        self.trouble = ""  # why the last worker that ended did not end well; "" when it did

    def start(self) -> str:
        self.live()
        if self._refused:
            reason, self._refused = self._refused, ""
            raise ComputeError(reason, code=Code.START_FAILED, advice="correct the settings")
        name = f"{self._kind}-{secrets.token_hex(4)}"
        words, told = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            process = subprocess.Popen(
                self._command,
                env={**self._env, "CONTAINER_APP_JOB_EXECUTION_NAME": name, LAST_WORDS: str(told)},
                stdin=subprocess.DEVNULL,
                pass_fds=(told,),
                start_new_session=True,  # Ctrl-C is for this process, which shuts the worker down
            )
        except OSError as exc:
            os.close(words)
            raise ComputeError(
                f"no worker can be started: {exc}", advice="is memory or the number of processes used up?"
            ) from exc
        finally:
            os.close(told)
        self._started.add(name)
        self._running.append(_Running(Execution(name, "Running", datetime.now(UTC)), process, words))
        return name

    def live(self) -> tuple[Execution, ...]:
        for item in list(self._running):
            code = item.process.poll()
            if code is None:
                if item.kill_at is not None and time.monotonic() >= item.kill_at:
                    log.warning("worker %s did not stop and is killed", item.execution.name)
                    item.process.kill()  # its job dies with it, by the kernel; the next look sees the end
                continue
            self._running.remove(item)
            name, why = item.execution.name, item.last_words()
            self.trouble = ""
            if code not in EXPECTED_EXITS:
                log.warning("worker %s ended with exit code %d", name, code)
                self.trouble = f"worker {name} ended with exit code {code}: {why or 'its log says why'}"
            if code == ConfigurationError.exit_code:
                self._refused = self.trouble = (
                    f"worker {name} stopped at its settings (exit code {code}): {why or 'its log says why'}"
                )
        return tuple(item.execution for item in self._running)

    def stop(self, name: str) -> None:
        """SIGTERM; what hangs or stands still is killed by a look after the grace."""
        for item in self._running:
            if item.execution.name == name:
                item.terminate(self._grace_s)

    def knows(self, name: str) -> bool:
        """Whether an execution of that name was started here."""
        return name in self._started

    def end(self, grace_s: float) -> None:
        """Sends SIGTERM to all, so that they requeue their scene, waits, and kills the rest."""
        for execution in self.live():
            self.stop(execution.name)
        for item in self._running:
            try:
                item.process.wait(grace_s)
            except subprocess.TimeoutExpired:
                log.warning("worker %s did not stop within %g s and is killed", item.execution.name, grace_s)
                with suppress(ProcessLookupError):
                    item.process.kill()
                item.process.wait()
        self.live()
