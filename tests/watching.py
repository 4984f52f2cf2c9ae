"""A real `python -m runner` in watch mode on folders of a test, with the mock pipeline."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from local.jobs_api.executions import descendants

ROOT = Path(__file__).parents[1]
PATIENCE_S = 60.0  # of a busy machine


def wait_for(condition: Callable[[], object], what: str, seconds: float = PATIENCE_S) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.05)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Watching:
    """folder: gets `data` and `scratch`. settings: on top of quick ones. prefix: a command that runs the command."""

    folder: Path
    settings: dict[str, str] = field(default_factory=dict)
    prefix: Sequence[str] = ()
    process: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        self.health_port, self.metrics_port = free_port(), free_port()
        for name in ("data/input", "scratch"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    def environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "RUN_MODE": "watch",
            "BACKEND": "mock",
            "DATA_PATH": str(self.data),
            "TEMP_PATH": str(self.folder / "scratch"),
            "POLL_INTERVAL_SECS": "0.2",
            "UPLOAD_STABILITY_TIMEOUT_SECS": "1.5",
            "HEALTH_CHECK_PORT": str(self.health_port),
            "METRICS_PORT": str(self.metrics_port),
            "RUNNER_LEASE_SECONDS": "15",
            "MIN_DISK_SPACE_GB": "0",
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def start(self, **settings: str) -> Self:
        env = {**self.environment(), **self.settings, **settings}
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [*self.prefix, sys.executable, "-m", "runner"], cwd=ROOT, env=env, stdin=subprocess.DEVNULL,
                stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        return self

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(PATIENCE_S)

    def kill(self, *, everything: bool) -> None:
        """SIGKILL, to the watch alone or to all below it, as when the machine is lost."""
        assert self.process is not None
        below = descendants(self.process.pid) if everything else []
        for pid in [self.process.pid, *below]:
            with suppress(ProcessLookupError):  # a short one below ends by itself between the list and here
                os.kill(pid, signal.SIGKILL)
        self.process.wait()

    def close(self) -> None:
        """For the end of a test, however it went."""
        if self.process is not None and self.process.poll() is None:
            self.kill(everything=True)

    def ask(self, path: str, port: int | None = None) -> tuple[int, str]:
        """(status, body); (0, "") while nobody answers."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(f"http://127.0.0.1:{port or self.health_port}{path}", timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as exc:
            with exc:
                return exc.code, exc.read().decode()
        except OSError:
            return 0, ""

    def health(self) -> Any:
        status, body = self.ask("/health")
        return json.loads(body) if status else {}

    def put(self, name: str, data: bytes) -> Path:
        path = self.data / "input" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path

    def files(self, kind: str) -> dict[str, bytes]:
        """What a person sees there. Files may go while one looks."""
        found = {}
        for path in sorted((self.data / kind).rglob("*")):
            name = path.relative_to(self.data / kind)
            if name.parts[0] != ".scenejobs" and path.is_file():
                found[name.as_posix()] = path.read_bytes()
        return found

    def is_done(self, scene: str) -> bool:
        """Published, archived, and the worker has let go."""
        note = self.data / f"state/generations/{scene}/1.json"
        return note.is_file() and not self.files("input").keys() & {f"{scene}/a.mp4", f"{scene}/b.mp4"}
