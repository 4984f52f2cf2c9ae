"""Starts the COLMAP process for one request, watches it, and turns every way it can end into a value or an error."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from runner.paths import ROOT
from runner.scene.progress import Progress
from scenejobs.errors import Code, ResourceError, RunnerError

STAGE = "colmap_reconstruction"
POLL_S = 0.2
TAIL_BYTES = 2000  # of the child's stderr, kept in the error
KEPT_VARIABLES = ("PATH", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH")  # no credential reaches native code
ADVICE = "the job is tried again; if it fails the same way, report the scene"


def run(
    request: dict[str, Any],
    folder: Path,
    progress: Progress,
    *,
    limit_s: float,
    watch: Callable[[int], None] = lambda _placed: None,
    command: tuple[str, ...] = (sys.executable, "-m", "runner.poses.colmap.process"),
) -> dict[str, Any]:
    """The child's result. It may write below the parent of `folder` only.

    `watch` is called several times a second with the number of images placed so far.

    Raises RunnerError JOB_CRASHED, JOB_TIMED_OUT or BUG, ResourceError OUT_OF_MEMORY or DISK_FULL, Interrupted when a
    stop was asked for. The child never outlives the call.
    """
    folder.mkdir(parents=True, exist_ok=True)
    result, request_path, log = folder / "result.json", folder / "request.json", folder / "stderr.log"
    result.unlink(missing_ok=True)
    request = {**request, "result": str(result), "workspace": str(folder.parent)}
    request_path.write_text(json.dumps(request), encoding="utf-8")
    environment = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
    environment |= {"PYTHONPATH": str(ROOT), "OMP_WAIT_POLICY": "PASSIVE"}
    environment |= {"OPENBLAS_NUM_THREADS": "1"}  # a thread from before the process is closed in would stay outside
    deadline = time.monotonic() + limit_s
    with log.open("wb") as stderr:
        child = subprocess.Popen(
            [*command, str(request_path)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, env=environment, start_new_session=True,
        )  # fmt: skip
    placed = _Placed()
    reader = threading.Thread(target=placed.read, args=(child.stdout,), daemon=True)
    reader.start()
    try:
        while True:
            try:
                child.wait(POLL_S)
                break
            except subprocess.TimeoutExpired:
                watch(placed.count)
                progress.check(STAGE)
            if time.monotonic() > deadline:
                raise RunnerError(
                    f"{request['action']} took more than {limit_s:.0f} s", code=Code.JOB_TIMED_OUT, stage=STAGE,
                    advice="use a preset with fewer frames, or a larger machine",
                )  # fmt: skip
    finally:
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
        reader.join()
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                pipe.close()
    if child.returncode == 0 and result.is_file():
        value: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
        return value
    raise death(request["action"], child.returncode, _tail(log))


def rows_seen(database: Path, table: str) -> int:
    """How many rows of COLMAP's database are in its file by now; 0 while the table cannot be read.

    It reads past SQLite's locks (`immutable`): COLMAP does not wait for a lock, so a reader that takes one ends it with
    "database is locked". What it may see instead is a page that is half written, or none of the last rows.
    """
    try:
        connection = sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
        try:
            return int(connection.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0])
        finally:
            connection.close()
    except sqlite3.Error:
        return 0


def death(action: str, code: int, log: str) -> RunnerError | ResourceError:
    """The error for a child that ended without a result. code: as subprocess gives it, negative for a signal."""
    if code == -signal.SIGKILL or "bad_alloc" in log or "MemoryError" in log:
        return ResourceError(
            f"{action} ran out of memory", code=Code.OUT_OF_MEMORY, stage=STAGE,
            advice="use a preset with fewer frames, or a machine with more memory",
        )  # fmt: skip
    if "No space left on device" in log or "disk is full" in log:  # the system's words, and SQLite's
        cause = f"no space left in the workspace during {action}"
        return ResourceError(cause, code=Code.DISK_FULL, stage=STAGE, advice="give the workspace a larger disk")
    last = f"; its last words: {log[-400:]}" if log else ""
    if code < 0:
        cause = f"{action} died of {signal.Signals(-code).name}{last}"
        return RunnerError(cause, code=Code.JOB_CRASHED, stage=STAGE, advice=ADVICE)
    return RunnerError(f"{action} ended with code {code}{last}", code=Code.BUG, stage=STAGE, advice=ADVICE)


class _Placed:
    """Counts the images placed, from the child's stdout."""

    def __init__(self) -> None:
        self.count = 0

    def read(self, lines: Any) -> None:
        for line in lines:
            if line.startswith(b'{"placed":'):
                self.count += int(json.loads(line)["placed"])


def _tail(log: Path) -> str:
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - TAIL_BYTES))
        return file.read().decode("utf-8", "replace").strip()
