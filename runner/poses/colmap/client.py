"""Starts the COLMAP process for one request, watches it, and turns every way it can end into a value or an error."""

from __future__ import annotations

import os
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path

from runner.poses.colmap.requests import AnswerT, Request, decode_answer, encode, steps_of
from runner.process import environment
from runner.process.exit_reason import Exit, ExitReason, reason_in_words
from runner.process.supervise import Child, supervise
from runner.scene.progress import Progress
from scenejobs.errors import Code, ResourceError, RunnerError

STAGE = "colmap_reconstruction"
ADVICE = "the job is tried again; if it fails the same way, report the scene"


def run(
    request: Request[AnswerT],
    folder: Path,
    progress: Progress,
    *,
    limit_s: float,
    watch: Callable[[int], None] = lambda _steps: None,
    command: tuple[str, ...] = (sys.executable, "-P", "-m", "runner.poses.colmap.process"),
) -> AnswerT:
    """The child's answer. It may write below the parent of `folder` only.

    `watch` is called several times a second with the number of images that are done so far.

    Raises RunnerError JOB_CRASHED, JOB_TIMED_OUT or BUG, ResourceError OUT_OF_MEMORY or DISK_FULL, Interrupted when a
    stop was requested. The child never outlives the call.
    """
    folder.mkdir(parents=True, exist_ok=True)
    result, request_path, log = folder / "result.json", folder / "request.json", folder / "stderr.log"
    for earlier in (result, log):
        earlier.unlink(missing_ok=True)
    request_path.write_bytes(encode(request, result=str(result), workspace=str(folder.parent)))
    steps = _Steps()

    def check() -> None:
        watch(steps.count)
        progress.check(STAGE)

    child = Child(
        [*command, str(request_path)],
        environment.for_child(os.environ, environment.COLMAP),
        wall_s=limit_s,
        lines_on_stdout=True,
        output=log,
    )
    end = supervise(child, None, steps.take_line, check)
    if end.reason is ExitReason.OK and result.is_file():
        try:
            return decode_answer(request, result.read_bytes())
        except (ValueError, RecursionError) as exc:  # ValueError: of msgspec as well
            cause = f"the answer to {request.action} cannot be used: {exc}"
            raise RunnerError(cause, code=Code.BUG, stage=STAGE, advice=ADVICE) from exc
    raise death(request.action, end, limit_s)


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


def death(action: str, end: Exit, limit_s: float) -> RunnerError | ResourceError:
    """The error for a child that ended without a result, or was ended."""
    if end.reason is ExitReason.TIMED_OUT:
        cause = f"{action} took more than {limit_s:.0f} s"
        advice = "use a preset with fewer frames, or a larger machine"
        return RunnerError(cause, code=Code.JOB_TIMED_OUT, stage=STAGE, advice=advice)
    in_words = reason_in_words(end.last_words)
    if ExitReason.KILLED_FOR_MEMORY in (end.reason, in_words):
        return ResourceError(
            f"{action} ran out of memory", code=Code.OUT_OF_MEMORY, stage=STAGE,
            advice="use a preset with fewer frames, or a machine with more memory",
        )  # fmt: skip
    if in_words is ExitReason.DISK_FULL:
        cause = f"no space left in the workspace during {action}"
        return ResourceError(cause, code=Code.DISK_FULL, stage=STAGE, advice="give the workspace a larger disk")
    last = f"; its last words: {end.last_words[-400:]}" if end.last_words else ""
    code = Code.JOB_CRASHED if end.reason is ExitReason.CRASHED else Code.BUG
    return RunnerError(f"{action} {end.explained()}{last}", code=code, stage=STAGE, advice=ADVICE)


class _Steps:
    """Counts the images that are done, from the child's lines."""

    def __init__(self) -> None:
        self.count = 0

    def take_line(self, line: bytes) -> bool:
        self.count += steps_of(line)
        return True
